"""The examples of docs/extending.md, run unchanged."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from lrlc.results.store import Store

DOC = Path(__file__).resolve().parent.parent / "docs/extending.md"


def test_the_documented_kind_network_and_data_set_work_like_shipped_ones(
    lrlc: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    examples = re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)
    assert len(examples) == 8
    (tmp_path / "mine.py").write_text("\n\n".join(examples))
    study = tmp_path / "mine.yaml"
    asked = (
        "datasets: stripes\nnetwork: one_layer\n"
        "grid: {kind: [conv, depthwise]}\ntrain: {epochs: 2, batch_size: 50, learning_rate: 0.1}\n"
        "measure: {shifts: [0, 1], effective_rank: true}\n"
    )
    study.write_text(f"name: mine\nplugins: [mine.py]\n{asked}")
    lrlc("run", study)  # on Ray: the plugin's text travels to the workers
    found = Store(tmp_path / "runs/mine").trials()
    assert dict(found["status"].value_counts()) == {"finished": 2}
    assert sorted(found["kind"]) == ["conv", "depthwise"]
    assert sorted(Store(tmp_path / "runs/mine").shifts()["pixels"]) == [0, 0, 1, 1]
    assert Store(tmp_path / "runs/mine").equivariance()["error"].max() < 1e-5  # both convolve
    (tmp_path / "mine.py").write_text("\n\n".join(examples) + "\n# an edit\n")
    study.write_text(f"name: mine\n{asked}")
    lrlc("run", study, "plugins=[mine.py]", "--serial")
    assert len(Store(tmp_path / "runs/mine").trials()) == 4, "an edited plugin makes its trials new"


def test_a_broken_plugin_is_named_in_one_line(
    lrlc: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "bad.py").write_text("import nothing_of_that_name\n")
    study = tmp_path / "bad.yaml"
    study.write_text("name: bad\nplugins: [bad.py]\ndatasets: digits\ngrid: {kind: conv}\n")
    (line,) = lrlc("run", study, code=2).stderr.strip().splitlines()
    assert "bad.py failed: ModuleNotFoundError" in line
