"""`lrlc bench tables` at a small size: it reads a store like any other. No time limits."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lrlc.harness.bench.large_store import make_store
from lrlc.results.figures import Selection
from lrlc.results.figures.selection import cells, panels

Lrlc = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.proof
def test_every_part_is_timed_in_its_own_process(lrlc: Lrlc) -> None:
    sizes = ["--rows", "600", "--rounds", "1"]
    done = lrlc("bench", "tables", *sizes, "--only", "rank", "--only", "export", "--json")
    found = {each["name"]: each for each in json.loads(done.stdout)["results"]}
    assert len(found) == 4
    assert all(each["value"] > 0 for each in found.values())
    assert found["rank vs accuracy of 600 rows"]["goal"] == "at most 2"
    assert found["rank vs accuracy of 600 rows, peak memory"]["goal"] == "at most 1000"
    assert found["lrlc export --to parquet, 600 rows"]["goal"] == ""


def test_an_unknown_part_is_named(lrlc: Lrlc) -> None:
    assert "--only: 'gpu' is none of rank" in lrlc("bench", "tables", "--only", "gpu", code=2).stderr


def test_the_store_is_one_of_many_cells_and_seeds(tmp_path: Path) -> None:
    store = make_store(1500, tmp_path)
    rows = store.trials()
    assert len(rows) == rows["trial_id"].nunique() == 1500
    assert len(store.curves()) == 3000
    assert store.damaged() == []
    found = panels(Selection.of(store).trials)
    assert [panel.dataset for panel in found] == ["digits", "digits+t2", "digits+t4"]
    for panel in found:
        for _, of_cell in cells(panel.rows):
            assert of_cell["seed"].is_unique
            assert len(of_cell) in (9, 10, 11)
