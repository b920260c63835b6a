"""docs/python.md and docs/notebooks: their code runs unchanged, cell by cell, in a separate folder."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import lrlc
from lrlc.harness.cli.study_files import TEMPLATE

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


def executed(cells: list[str]) -> dict[str, Any]:
    """The variables after running the cells; lines that start with % are for IPython only."""
    names: dict[str, Any] = {}
    for cell in cells:
        exec(compile(re.sub(r"(?m)^%.*$", "", cell), "<cell>", "exec"), names)
    return names


def test_the_notebook_runs_and_shows_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (notebook,) = NOTEBOOKS
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] for cell in cells)
    left = executed(["".join(cell["source"]) for cell in cells])
    assert sorted(left["accuracies"]) == sorted(left["study"].trials["test_accuracy"])
    assert list(left["trained"].curve["epoch"]) == [1, 2]


def test_the_pages_code_runs_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = TEMPLATE.read_text("utf-8").replace("NAME", "my_study").replace("seeds: 3", "seeds: 2")
    Path("my_study.yaml").write_text(small.replace("epochs: 5", "epochs: 1"))
    lrlc.run("my_study.yaml", quiet=True)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(), re.S)
    blocks = [block.replace('"seeds=4"', '"seeds=3", "grid=[{kind: conv}]", "claims=[]"') for block in blocks]
    blocks = [block.replace("train.epochs=2", "train.epochs=1") for block in blocks]
    left = executed(blocks)
    assert "finished" in capsys.readouterr().out
    assert left["trained"].result.status == "finished"
