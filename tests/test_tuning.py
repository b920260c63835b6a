"""Stages of a study: pilots choose settings for each kind, shorter trials check the length, the grid is compared."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from support.commands import RunningCommand
from support.processes import rows, start, wait_for_rows

from lrlc.results.claims import Verdict, judge
from lrlc.results.figures.selection import Selection, panels
from lrlc.results.plans import Stage
from lrlc.results.schema import TrialStatus
from lrlc.results.store import Store

Lrlc = Callable[..., subprocess.CompletedProcess[str]]

TUNED = """
name: tuned
datasets: digits
train_images: 300
grid:
  - kind: conv
  - kind: lrlc
    rank: [1, 2]
    placement: [3]
seeds: 2
train: {epochs: 2, batch_size: 32}
tune:
  grid: {train.learning_rate: [0.0001, 0.05, 1.0e+6]}
  seeds: 2
  epochs: half
length_check: {epochs: half, seeds: 1}
regime: any
claims:
  - {name: equal, test: difference, ours: {kind: lrlc, rank: 2}, theirs: conv, margin: 50, direction: equal}
"""


PICKY = """
from lrlc.layers import layer_kind
from lrlc.layers.registry import LAYER_KINDS


@layer_kind("picky")
def picky(in_channels, out_channels, kernel_size, *, size=3, input_size, stride=1, padding=0, bias=True):
    if size == 1 and in_channels == 1:
        raise RuntimeError("no such size")
    return LAYER_KINDS["conv"].build(
        in_channels, out_channels, kernel_size, input_size=input_size, stride=stride, padding=padding, bias=bias
    )
"""
"""A plugin: a kind with an option, one value of which fails for images with one channel."""


@pytest.fixture
def tuned_study(tmp_path: Path) -> Path:
    path = tmp_path / "tuned.yaml"
    path.write_text(TUNED)
    return path


def of_stage(root: Path, stage: Stage) -> pd.DataFrame:
    """The unmasked rows of a stage."""
    planned = Store(root).plan(stage=stage) or set()
    found = rows(root)
    return found[found.index.isin(planned)]


def test_each_kind_trains_with_the_rate_chosen_by_its_pilots(
    lrlc: Lrlc, tuned_study: Path, tmp_path: Path
) -> None:
    planned = json.loads(lrlc("plan", tuned_study, "--probe", "--json").stdout)
    assert (planned["pilots"], planned["pilots_missing"], planned["untuned"]) == (12, 12, 6)
    assert (planned["grid_trials"], planned["missing"]) == (6, 6)
    assert (planned["length_trials"], planned["length_missing"]) == (3, 3)
    assert planned["forecast_seconds"] > 0
    said = lrlc("run", tuned_study, "--serial").stderr
    assert "tuned: digits conv: learning rate 0.05 (validation" in said
    assert "tuned: digits lrlc: learning rate 0.05 (validation" in said
    told = [line.removeprefix("claims: ") for line in said.splitlines() if line.startswith("claims: ")]
    assert told == planned["claims"] == ["equal on digits cannot be decided with 2 seeds; 5 could decide it"]
    root = tmp_path / "runs/tuned"
    pilots, grid, shorter = (of_stage(root, stage) for stage in (Stage.TUNE, Stage.GRID, Stage.LENGTH))
    assert [len(pilots), len(grid), len(shorter)] == [12, 6, 3]
    assert set(pilots["seed"]) == {1_000_000, 1_000_001}
    assert set(pilots["rank"].dropna()) == {2}  # rank 1 is a convolution
    assert set(pilots["epochs"]) == {1}
    assert dict(pilots.groupby("learning_rate")["status"].first()) == {
        0.0001: "finished",
        0.05: "finished",
        1e6: "diverged",
    }
    best = pilots[pilots["learning_rate"] == 0.05].groupby("kind")["validation_accuracy"].mean()
    for tuned in Store(root).tuning():
        assert tuned.chosen.setting == {"train.learning_rate": 0.05}
        assert tuned.chosen.mean == pytest.approx(best[tuned.kind])
        assert tuned.edges == {}
    assert set(grid["learning_rate"]) == set(shorter["learning_rate"]) == {0.05}
    assert (set(grid["seed"]), set(shorter["seed"])) == ({0, 1}, {0})
    assert (set(grid["epochs"]), set(shorter["epochs"])) == ({2}, {1})
    again = lrlc(
        "run", tuned_study, "--address", "127.0.0.1:1"
    ).stderr  # nothing is missing: no cluster is needed
    assert "tuned: digits conv: learning rate 0.05" in again
    assert "9 of 9 trials done" in again
    planned = json.loads(lrlc("plan", tuned_study, "--json").stdout)
    assert [planned[name] for name in ("missing", "pilots_missing", "untuned", "length_missing")] == [0] * 4


def test_comparisons_use_only_the_grid_and_treat_tuned_settings_as_equal(
    lrlc: Lrlc, tuned_study: Path, tmp_path: Path
) -> None:
    grid = "grid=[{kind: conv, train.learning_rate: 0.1}, {kind: lrlc, rank: [1, 2], placement: [3]}]"
    rates = ["tune.grid.train.learning_rate=[0.05, 0.06]", "tune.seeds=1"]
    lrlc("run", tuned_study, "--serial", grid, *rates)
    store = Store(tmp_path / "runs/tuned")
    assert [tuned.kind for tuned in store.tuning()] == ["lrlc"]  # what a block names is not tuned
    raw, seen = rows(tmp_path / "runs/tuned"), store.planned_trials()
    assert len(raw) == 2 + 6 + 3
    assert raw.loc[seen["trial_id"]].groupby("kind")["learning_rate"].nunique().to_dict() == {
        "conv": 1,
        "lrlc": 1,
    }
    assert raw.loc[seen["trial_id"], "learning_rate"].nunique() == 2
    assert (len(seen), set(seen["learning_rate"])) == (6, {"tuned"})
    (panel,) = panels(Selection.of(store).trials)
    assert (len(panel.rows), panel.detail) == (6, "")
    (claim,) = judge(store)
    assert (claim.verdict, claim.findings[0].seeds) == (Verdict.UNDECIDED, 2)
    assert "identical (paired by seed)" in lrlc("compare", "tuned", "tuned").stdout
    page = (tmp_path / lrlc("report", tuned_study).stdout.strip()).read_text()
    assert "<td>0.05</td>" not in page


def test_values_compared_by_the_grid_stay_separate(lrlc: Lrlc, tuned_study: Path, tmp_path: Path) -> None:
    grid = "grid=[{kind: conv, train.learning_rate: [0.05, 0.1]}, {kind: lrlc, rank: 2, placement: [3]}]"
    lrlc("run", tuned_study, "--serial", grid, "tune.grid.train.learning_rate=[0.05, 0.06]", "tune.seeds=1")
    seen = Store(tmp_path / "runs/tuned").planned_trials()
    assert {kind: set(of_kind["learning_rate"]) for kind, of_kind in seen.groupby("kind")} == {
        "conv": {0.05, 0.1},
        "lrlc": {"tuned"},
    }
    lrlc("report", tuned_study)


def test_a_run_stopped_during_its_pilots_trains_only_what_is_missing(
    lrlc: Lrlc, tuned_study: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    root = tmp_path / "runs/tuned"
    words = ["--serial", "train.epochs=4", "tune.epochs=full"]
    for sent, rows_before in ((signal.SIGKILL, 1), (signal.SIGINT, 5)):
        process = start(tuned_study, environment, *words)
        wait_for_rows(root, rows_before, process)
        process.send_signal(sent)
        process.communicate()
    before = rows(root)
    assert 5 <= len(before) < 12
    assert Store(root).plan(stage=Stage.GRID) == set()
    assert "these are pilots" in lrlc("status", tuned_study).stdout
    assert json.loads(lrlc("plan", tuned_study, *words[1:], "--json").stdout)["pilots_missing"] == 12 - len(
        before
    )
    assert Store(root).planned_trials().empty
    lrlc("run", tuned_study, *words)
    after = rows(root)
    assert len(after) == 12 + 6 + 3
    pd.testing.assert_frame_equal(after.loc[before.index], before)


def test_broken_pilots_leave_the_choice_to_others_and_are_retried_on_request(
    lrlc: Lrlc, tuned_study: Path, tmp_path: Path
) -> None:
    (tmp_path / "picky.py").write_text(PICKY)
    text = tuned_study.read_text().replace("name: tuned", "name: tuned\nplugins: [picky.py]")
    tuned_study.write_text(text)
    words = [
        "grid={kind: picky}",
        "length_check=null",
        "tune.grid={layer.size: [1, 2]}",
        "tune.seeds=1",
        "seeds=1",
    ]
    said = lrlc("run", tuned_study, "--serial", *words, code=1).stderr
    assert "failed: digits picky layers 1+2+3, size 1, seed 1000000: plugins: " in said
    assert "picky.py, line 9: RuntimeError: no such size" in said
    assert "tuned: digits picky: size 2" in said
    first = rows(tmp_path / "runs/tuned")
    assert dict(first["status"].value_counts()) == {"finished": 2, "failed": 1}
    again = lrlc("retry", tuned_study, "--serial", *words, code=1).stderr
    assert again.count("failed: digits picky") == 1  # once, not in each phase
    second = rows(tmp_path / "runs/tuned")
    newer = second["ended_at"] > first["ended_at"]
    assert dict(newer) == dict(first["status"] == "failed")


def test_a_watcher_waits_for_the_grid_after_its_pilots(
    lrlc: Lrlc, tuned_study: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    watching = RunningCommand(["status", tuned_study, "--watch", "0.1"], tmp_path, environment)
    assert watching.stdout.readline() == "0 done\n"
    lrlc("run", tuned_study, "--serial")
    shown, _ = watching.communicate()
    assert "/12 pilots" in shown
    assert "9/9 trials" not in shown  # the plan also has the pilots
    assert shown.splitlines()[-2].startswith("runs/tuned: ")
    assert "0 missing" in shown.splitlines()[-2]


def test_pilots_and_shorter_trials_of_another_study_are_not_trained_again(
    lrlc: Lrlc, tuned_study: Path, tmp_path: Path
) -> None:
    lrlc("run", tuned_study, "--serial")
    first = rows(tmp_path / "runs/tuned")
    finished = first[first["status"] == TrialStatus.FINISHED]
    said = lrlc("run", tuned_study, "name=second", "--serial").stderr
    assert "8 trials taken from" in said
    assert "9 trials taken from" in said
    second = rows(tmp_path / "runs/second")
    pd.testing.assert_frame_equal(second.loc[finished.index], finished)
    assert len(second) == len(first)


def test_pilots_of_a_damaged_part_are_trained_again_before_the_grid(
    lrlc: Lrlc, tuned_study: Path, tmp_path: Path
) -> None:
    words = ["seeds=1", "tune.seeds=1", "length_check=null"]
    lrlc("run", tuned_study, "--serial", *words)
    store = Store(tmp_path / "runs/tuned")
    trained = store.plan(stage=Stage.TUNE) or set()
    (part,) = (tmp_path / "runs/tuned/curves").glob("*.parquet")
    part.write_bytes(b"")
    said = lrlc("run", tuned_study, "--serial", *words).stderr
    assert said.index("damaged, moved to") < said.index("tuned: digits conv")
    assert set(rows(tmp_path / "runs/tuned").index) == trained | (store.plan() or set())


def test_more_seeds_for_undecided_claims_come_after_the_pilots(
    lrlc: Lrlc, tuned_study: Path, tmp_path: Path
) -> None:
    words = ["seeds=1", "decision.looks=[2, 3]", "length_check.seeds=3", "tune.seeds=1"]
    said = lrlc("run", tuned_study, "--serial", "--until-decided", *words).stderr
    assert said.index("tuned: digits conv") < said.index("look at 2 seeds: 6 trials in all")
    grid, shorter = (of_stage(tmp_path / "runs/tuned", stage) for stage in (Stage.GRID, Stage.LENGTH))
    assert grid.groupby("kind")["seed"].nunique().to_dict() == {"conv": 3, "lrlc": 3}
    assert set(grid["learning_rate"]) == {0.05}
    assert set(shorter["seed"]) == {0, 1, 2}
