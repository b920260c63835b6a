"""`import lrlc`: a study's results as frames, figures and verdicts."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.results_samples import result
from support.sessions import planned_run, run_serially

import lrlc
from lrlc.results.schema import TABLES, TrialStatus
from lrlc.results.store import Store

STUDY = """
name: mine
title: A small study on real digits
datasets: digits
train_images: 300
grid:
  - kind: conv
  - {kind: lrlc, rank: [1, 2], placement: [3]}
claims:
  - {name: low rank gains, test: difference, ours: {kind: lrlc, rank: [1, 2]}, theirs: conv}
regime: any
seeds: 2
train: {epochs: 2, batch_size: 64, learning_rate: 0.05}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The results folder of a study that has run, with a row besides that no plan asks for and one that failed."""
    folder = tmp_path_factory.mktemp("api")
    (folder / "mine.yaml").write_text(STUDY)
    results = str(folder / "runs")
    session = planned_run(folder / "mine.yaml", [], results)
    run_serially(session)
    planned = session.store.trials(["trial_id"])["trial_id"]
    lost = result(planned[0], status=TrialStatus.FAILED, error="Boom")
    store = Store(f"{results}/mine")
    store.commit([result("stale", study="mine"), lost])
    return results


def test_import_lrlc_loads_nothing_heavy() -> None:
    code = "import sys, lrlc; print(*({'torch', 'ray', 'pandas', 'pydantic', 'typer'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_public_name_is_there_and_a_wrong_one_is_not() -> None:
    assert all(getattr(lrlc, name) is not None for name in lrlc.__all__)
    assert set(lrlc.__all__) <= set(dir(lrlc))
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = lrlc.lode


def test_trials_are_the_finished_ones_of_the_plan_and_the_others_stand_apart(runs: str) -> None:
    study = lrlc.load("mine", results=runs)
    assert sorted(zip(study.trials["kind"], study.trials["seed"], strict=True)) == sorted(
        (kind, seed) for kind in ("conv", "lrlc", "lrlc") for seed in (0, 1)
    )
    assert set(study.trials["status"]) == {"finished"}
    assert list(study.trials) == [column.name for column in TABLES["trials"]]
    assert list(study.stale["trial_id"]) == ["stale"]
    assert len(study.every) == 7
    assert study.every["stage"].isna().sum() == 1
    assert study.unfinished.empty  # its finished row stands before the failed one


def test_tables_beside_hold_the_rows_of_finished_trials(runs: str) -> None:
    study = lrlc.load("mine", results=runs)
    assert study.curves.groupby("trial_id")["epoch"].agg(list).tolist() == [[1, 2]] * 6
    assert set(study.weights["trial_id"]) == set(study.trials.query("kind == 'lrlc'")["trial_id"])
    assert len(study.table("correct")) == 6


def test_a_figure_is_matplotlibs(runs: str, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    figure = lrlc.load("mine", results=runs).plot("rank_vs_accuracy")
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5_000


def test_claims_are_a_row_for_each_test(runs: str) -> None:
    (row,) = lrlc.load("mine", results=runs).claims().to_dict("records")
    assert row["claim"] == "low rank gains"
    assert row["verdict"] in {"supported", "contradicted", "undecided"}
    assert row["unit"] == "points"


def test_status_says_what_the_command_says(runs: str) -> None:
    status = lrlc.load("mine", results=runs).status()
    assert status.rows == {"finished": 7}
    assert (status.missing, status.stale, status.driver) == (0, ("stale",), None)
    assert status.as_dict()["unplanned"] == ["stale"]


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda runs: lrlc.load("mien", results=runs), lrlc.StudyError, "mien"),
        (lambda runs: lrlc.load("quickstart", results=runs), lrlc.UserError, "no results of study"),
        (lambda runs: lrlc.load("mine", results=runs, profile="cup"), lrlc.StoreError, "no plan of profile"),
        (lambda runs: lrlc.load("mine", results=runs).plot("rank"), lrlc.UserError, "rank_vs_accuracy"),
        (lambda runs: lrlc.load("mine", results=runs).plot("tuning"), lrlc.UserError, "not drawn"),
        (
            lambda runs: lrlc.load("mine", results=runs).table("curvs"),
            lrlc.UserError,
            "did you mean 'curves'",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(call, error, says, runs: str) -> None:
    with pytest.raises(error, match=says) as raised:
        call(runs)
    assert "\n" not in str(raised.value)
