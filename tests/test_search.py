"""Searches: the study's own total, resumed, rebuilt from rows, widened, answered from rows, pruned, constrained."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from harness.commands import open_run, plan_study
from harness.errors import UserError
from results.store import Store
from studies import StudyError

Lrlc = Callable[..., subprocess.CompletedProcess[str]]
Run = Callable[..., list[FrozenTrial]]

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
BOTH = "[{metric: validation_accuracy, direction: maximize}, {metric: parameters, direction: minimize}]"


@pytest.fixture
def hunt(tmp_path: Path) -> Path:
    path = tmp_path / "hunt.yaml"
    path.write_text(SEARCH)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs/hunt"


@pytest.fixture
def run(hunt: Path, root: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the search as `lrlc run --serial` does, in this process; returns what Optuna holds of it then."""
    monkeypatch.setenv("LRLC_CACHE", environment["LRLC_CACHE"])

    def run_here(*overrides: str, profile: str | None = None) -> list[FrozenTrial]:
        session = open_run(str(hunt), list(overrides), profile, root.parent, None)
        session.run(session.executor(serial=True, address="local", max_in_flight=None))
        return suggestions(root)

    return run_here


def journal(root: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(root / "optuna.journal")))


def suggestions(root: Path) -> list[FrozenTrial]:
    """The suggestions of the Optuna study that was made last."""
    return optuna.load_study(study_name=latest(root), storage=journal(root)).get_trials()


def latest(root: Path) -> str:
    return journal(root).get_all_studies()[-1].study_name


def rows(root: Path) -> pd.DataFrame:
    return Store(root).trials().set_index("trial_id").sort_index()


def committed(root: Path) -> int:
    return sum(len(pd.read_parquet(part)) for part in (root / "trials").glob("*.parquet"))


def distinct(told: list[FrozenTrial]) -> set[tuple[tuple[str, object], ...]]:
    return {tuple(sorted(trial.params.items())) for trial in told}


def test_a_search_asks_its_total_and_tells_the_mean_of_the_seeds(run: Run, root: Path) -> None:
    told = run()
    assert [trial.state for trial in told] == [TrialState.COMPLETE] * 6
    found = rows(root)
    for trial in told:
        asked = found[found["kind"] == trial.params["kind"]]
        if trial.params["kind"] == "conv":
            assert trial.params.keys() == {"kind"}
        else:
            asked = asked[
                (asked["rank"] == trial.params["rank"]) & (asked["placement"] == trial.params["placement"])
            ]
        assert sorted(asked["seed"]) == [0, 1]
        assert trial.value == pytest.approx(asked["validation_accuracy"].mean(), abs=1e-12)
    assert len(found) == committed(root) == 2 * len(distinct(told))
    assert len(run()) == 6
    assert Store(root).plan() == set(found.index)
    assert len(run("search.trials=8")) == 8
    assert Store(root).plan() == set(rows(root).index)


def test_a_lost_or_torn_journal_costs_no_row_and_is_built_again(run: Run, root: Path) -> None:
    told, before, path = run(), rows(root), root / "optuna.journal"
    path.write_bytes(path.read_bytes() + b'{"op_code": 4, "trial')
    run()
    assert len(run()) == 6
    path.unlink()
    run(f"search.trials={len(distinct(told))}")
    built = suggestions(root)
    assert {(*t.params.items(), *t.values) for t in built} == {(*t.params.items(), *t.values) for t in told}
    assert len(built) == len(distinct(told))
    pd.testing.assert_frame_equal(rows(root), before)


def test_what_was_told_but_never_committed_is_trained_again(run: Run, root: Path) -> None:
    told, before = run(), rows(root)
    for part in (root / "trials").glob("*.parquet"):
        part.unlink()
    assert [(t.number, t.values) for t in run()] == [(t.number, t.values) for t in told]
    results = ["test_accuracy", "validation_accuracy", "test_loss", "kind", "placement", "seed"]
    pd.testing.assert_frame_equal(rows(root)[results], before[results])


@pytest.mark.parametrize("sampler", ["random", "brute_force"])
def test_what_a_dead_driver_left_running_is_asked_again(sampler: str, run: Run, root: Path) -> None:
    run("search.trials=2", f"search.sampler={sampler}")
    left = optuna.load_study(study_name=latest(root), storage=journal(root)).ask()
    left.suggest_categorical("kind", ["conv", "lrlc"])
    told = run("search.trials=4", f"search.sampler={sampler}")
    assert told[left.number].state == TrialState.FAIL
    assert sum(trial.state == TrialState.COMPLETE for trial in told) == 4
    assert not [trial for trial in told if trial.state == TrialState.RUNNING]
    assert told[left.number].params in [trial.params for trial in told[left.number + 1 :]]


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        ("tpe", "median"),
        ("gp", "none"),
        ("nsga2", "successive_halving"),
        ("random", "hyperband"),
        ("qmc", "hyperband"),
        ("brute_force", "wilcoxon"),
    ],
)
def test_every_sampler_and_pruner_ends_a_search(sampler: str, pruner: str, run: Run, root: Path) -> None:
    words = (f"search.sampler={sampler}", f"search.pruner={pruner}", "train.epochs=3", "search.seeds=3")
    told = run(*words, "search.trials=5")
    assert len(told) == 5
    assert all(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in told)
    (root / "optuna.journal").unlink()
    again = run(*words, "search.trials=5")
    assert sum(trial.state.is_finished() for trial in again) == 5
    assert committed(root) == len(rows(root))
