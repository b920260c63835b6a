"""Searches: the study's own total, resumed, rebuilt from rows, answered from rows, pruned."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from results.store import Store

Lrlc = Callable[..., subprocess.CompletedProcess[str]]

SEARCH = """
name: hunt
title: A small search on real digits
train_images: 100
evaluation_images: 100
search:
  dataset: digits
  trials: 6
  seeds: 2
  sampler: random
  space:
    kind: [conv, lrlc]
    rank: [1, 2]
    placement: [[1], [3]]
train: {epochs: 1, batch_size: 50, learning_rate: 0.05}
"""


@pytest.fixture
def hunt(tmp_path: Path) -> Path:
    path = tmp_path / "hunt.yaml"
    path.write_text(SEARCH)
    return path


def suggestions(root: Path) -> list[optuna.trial.FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(root / "optuna.journal")))
    return optuna.load_study(study_name="hunt", storage=storage).get_trials()


def rows(root: Path) -> pd.DataFrame:
    return Store(root).trials().set_index("trial_id").sort_index()


def test_a_search_asks_its_total_and_tells_the_mean_of_the_seeds(
    lrlc: Lrlc, hunt: Path, tmp_path: Path
) -> None:
    root = tmp_path / "runs/hunt"
    lrlc("run", hunt, "--serial")
    told = suggestions(root)
    assert [trial.state for trial in told] == [TrialState.COMPLETE] * 6
    found = rows(root)
    for trial in told:
        rank = trial.params.get("rank")
        assert (rank is None) == (trial.params["kind"] == "conv")
        placement = "" if trial.params["kind"] == "conv" else trial.params["placement"]
        asked = found[(found["kind"] == trial.params["kind"]) & (found["placement"] == placement)]
        asked = asked if rank is None else asked[asked["rank"] == rank]
        assert sorted(asked["seed"]) == [0, 1]
        assert trial.value == pytest.approx(asked["validation_accuracy"].mean(), abs=1e-12)
    assert len(found) == 2 * len(
        {tuple(sorted(t.params.items())) for t in told if t.params["kind"] == "lrlc"}
    ) + (2 if any(t.params["kind"] == "conv" for t in told) else 0)
    lrlc("run", hunt, "--serial")
    assert len(suggestions(root)) == 6
    lrlc("run", hunt, "--serial", "search.trials=8")
    assert len(suggestions(root)) == 8


def test_a_lost_or_torn_journal_costs_no_row(lrlc: Lrlc, hunt: Path, tmp_path: Path) -> None:
    root = tmp_path / "runs/hunt"
    lrlc("run", hunt, "--serial")
    before, journal = rows(root), root / "optuna.journal"
    journal.write_bytes(journal.read_bytes() + b'{"op_code": 4, "trial')
    lrlc("run", hunt, "--serial")
    lrlc("run", hunt, "--serial")
    assert len(suggestions(root)) == 6
    journal.unlink()
    lrlc("run", hunt, "--serial")
    counted = [trial for trial in suggestions(root) if trial.state == TrialState.COMPLETE]
    assert len(counted) == 6
    pd.testing.assert_frame_equal(rows(root).loc[before.index], before)


def test_what_was_told_but_never_committed_is_trained_again(lrlc: Lrlc, hunt: Path, tmp_path: Path) -> None:
    root = tmp_path / "runs/hunt"
    lrlc("run", hunt, "--serial")
    before, told = rows(root), suggestions(root)
    for part in (root / "trials").glob("*.parquet"):
        part.unlink()
    lrlc("run", hunt, "--serial")
    assert [(t.number, t.values) for t in suggestions(root)] == [(t.number, t.values) for t in told]
    results = ["test_accuracy", "validation_accuracy", "test_loss", "kind", "placement", "seed"]
    pd.testing.assert_frame_equal(rows(root)[results], before[results])


def test_what_a_dead_driver_left_running_is_asked_again(lrlc: Lrlc, hunt: Path, tmp_path: Path) -> None:
    root = tmp_path / "runs/hunt"
    lrlc("run", hunt, "--serial", "search.trials=2")
    storage = JournalStorage(JournalFileBackend(str(root / "optuna.journal")))
    left = optuna.load_study(study_name="hunt", storage=storage).ask()
    left.suggest_categorical("kind", ["conv", "lrlc"])
    lrlc("run", hunt, "--serial", "search.trials=4")
    told = suggestions(root)
    assert told[left.number].state == TrialState.FAIL
    assert sum(trial.state == TrialState.COMPLETE for trial in told) == 4
    assert not [trial for trial in told if trial.state == TrialState.RUNNING]
    assert left.params["kind"] in [trial.params["kind"] for trial in told[left.number + 1 :]]


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        ("tpe", "median"),
        ("gp", "none"),
        ("nsga2", "successive_halving"),
        ("qmc", "hyperband"),
        ("brute_force", "wilcoxon"),
    ],
)
def test_every_sampler_and_pruner_ends_a_search(
    sampler: str, pruner: str, lrlc: Lrlc, hunt: Path, tmp_path: Path
) -> None:
    words = [f"search.sampler={sampler}", f"search.pruner={pruner}", "train.epochs=2", "search.trials=5"]
    lrlc("run", hunt, "--serial", *words)
    told = suggestions(tmp_path / "runs/hunt")
    assert len(told) == 5
    assert all(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in told)


def test_a_hopeless_trial_is_pruned_and_keeps_its_row(lrlc: Lrlc, hunt: Path, tmp_path: Path) -> None:
    options = "search.pruner_options={n_startup_trials: 1}"
    words = ["search.pruner=median", options, "train.epochs=4", "search.seeds=1", "search.trials=8"]
    space = "search.space={kind: [conv], train: {learning_rate: {low: 1.0e-6, high: 0.1}}}"
    lrlc("run", hunt, "--serial", *words, space)  # each trial is told before the next is asked
    found = rows(tmp_path / "runs/hunt")
    pruned = found[found["status"] == "pruned"]
    assert len(pruned) == sum(t.state == TrialState.PRUNED for t in suggestions(tmp_path / "runs/hunt")) > 0
    assert (pruned["epochs_run"] < 4).all()
    assert pruned["test_accuracy"].isna().all()
    assert pruned["parameters"].notna().all()


def test_two_objectives_are_told_both(lrlc: Lrlc, hunt: Path, tmp_path: Path) -> None:
    both = "[{metric: validation_accuracy, direction: maximize}, {metric: parameters, direction: minimize}]"
    lrlc("run", hunt, "--serial", f"search.objectives={both}", "search.sampler=nsga2")
    for trial in suggestions(tmp_path / "runs/hunt"):
        assert 0 <= trial.values[0] <= 1 < 1000 < trial.values[1]
    done = lrlc("run", hunt, f"search.objectives={both}", "search.pruner=median", code=2)
    assert "pruner 'median' needs a single objective" in done.stderr


def test_what_the_grid_trains_is_not_trained_again_for_the_search(
    lrlc: Lrlc, hunt: Path, tmp_path: Path
) -> None:
    grid = "grid={kind: [conv, lrlc], rank: [1, 2], placement: [[1], [3]], dataset: digits}"
    lrlc("run", hunt, grid, "seeds=2", "search.trials=12")
    found = rows(tmp_path / "runs/hunt")
    assert len(found) == 10
    parts = list((tmp_path / "runs/hunt/trials").glob("*.parquet"))
    assert sum(len(pd.read_parquet(part)) for part in parts) == 10
    assert [trial.state for trial in suggestions(tmp_path / "runs/hunt")] == [TrialState.COMPLETE] * 12
