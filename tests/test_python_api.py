"""`import lrlc`: a study's results as frames, figures and verdicts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.results_samples import result

import lrlc
from lrlc.results.schema import TABLES, TrialStatus

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
    """The results folder of a study that has run, with an additional stale row and a failed one."""
    folder = tmp_path_factory.mktemp("api")
    (folder / "mine.yaml").write_text(STUDY)
    results = str(folder / "runs")
    done = lrlc.run(str(folder / "mine.yaml"), results=results, quiet=True)
    lost = result(done.trials["trial_id"][0], status=TrialStatus.FAILED, error="Boom")
    done.store.commit([result("stale", study="mine"), lost])
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


def test_trials_are_the_finished_planned_ones_and_others_are_separate(runs: str) -> None:
    study = lrlc.load("mine", results=runs)
    assert sorted(zip(study.trials["kind"], study.trials["seed"], strict=True)) == sorted(
        (kind, seed) for kind in ("conv", "lrlc", "lrlc") for seed in (0, 1)
    )
    assert set(study.trials["status"]) == {"finished"}
    assert list(study.trials) == [column.name for column in TABLES["trials"]]
    assert list(study.stale["trial_id"]) == ["stale"]
    assert len(study.every) == 7
    assert study.every["stage"].isna().sum() == 1
    assert study.unfinished.empty  # its finished row takes precedence over the failed one


def test_companion_tables_have_the_rows_of_finished_trials(runs: str) -> None:
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
    narrow = lrlc.load("mine", results=runs).plot("learning_curves", cells=["kind=conv"], width=3)
    assert narrow.get_size_inches()[0] == pytest.approx(3)


def test_claims_are_a_row_for_each_test(runs: str) -> None:
    (row,) = lrlc.load("mine", results=runs).claims().to_dict("records")
    assert row["claim"] == "low rank gains"
    assert row["verdict"] in {"supported", "contradicted", "undecided"}
    assert row["unit"] == "points"


def test_paths_may_be_given_as_paths(runs: str, tmp_path: Path) -> None:
    file = Path(runs).parent / "mine.yaml"
    assert len(lrlc.load(file, results=Path(runs)).trials) == 6
    done = lrlc.run(file, "grid={kind: conv}", results=tmp_path, quiet=True)
    assert len(done.trials) == 2
    record = done.store.study()
    assert record is not None
    assert record.file == str(file)


def test_status_follows_the_profile(tmp_path: Path) -> None:
    def stop(event: lrlc.events.Fate) -> None:
        if isinstance(event, lrlc.events.Finished):
            raise RuntimeError("enough")

    asked = {"name": "given", "datasets": "digits", "train_images": 100, "grid": {"kind": "conv"}}
    asked |= {"profiles": {"more": {"seeds": 3}}}
    with pytest.raises(RuntimeError, match="enough"):
        lrlc.run(asked, "train.epochs=1", results=tmp_path, profile="more", callbacks=[stop], quiet=True)
    assert lrlc.run(asked, "train.epochs=1", results=tmp_path, quiet=True).status().missing == 0
    assert lrlc.load("given", results=tmp_path, profile="more").status().missing == 2


def test_status_matches_the_command(runs: str) -> None:
    status = lrlc.load("mine", results=runs).status()
    assert status.rows == {"finished": 7}
    assert (status.missing, status.stale, status.driver) == (0, ("stale",), None)
    assert status.as_dict()["unplanned"] == ["stale"]


def test_run_takes_a_dictionary_calls_callbacks_and_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[Any] = []
    asked = {"name": "given", "datasets": "digits", "train_images": 100, "grid": {"kind": "conv"}}
    study = lrlc.run(asked, "train.epochs=2", results=str(tmp_path), callbacks=[told.append])
    assert "1/1 trials" in capsys.readouterr().err
    assert [type(event) for event in told] == [
        lrlc.events.Started, lrlc.events.Progress, lrlc.events.Progress, lrlc.events.Finished,
    ]  # fmt: skip
    assert told[-1].result.test_accuracy == study.trials["test_accuracy"][0]
    lrlc.run(asked, "train.epochs=2", results=str(tmp_path), callbacks=[told.append], quiet=True)
    assert len(told) == 4
    assert capsys.readouterr().err == ""


def test_a_callback_that_raises_ends_the_run_and_keeps_finished_trials(tmp_path: Path) -> None:
    def stop(event: lrlc.events.Fate) -> None:
        if isinstance(event, lrlc.events.Finished):
            raise RuntimeError("enough")

    asked = {"name": "given", "datasets": "digits", "train_images": 100, "seeds": 2, "grid": {"kind": "conv"}}
    with pytest.raises(RuntimeError, match="enough"):
        lrlc.run(asked, "train.epochs=1", results=str(tmp_path), callbacks=[stop], quiet=True)
    assert lrlc.load("given", results=str(tmp_path)).status().missing == 1


def test_train_gives_the_numbers_of_the_study_and_the_network(runs: str) -> None:
    row = lrlc.load("mine", results=runs).trials.query("kind == 'lrlc' and rank == 2 and seed == 1").iloc[0]
    told: list[float] = []
    trained = lrlc.train(
        {
            "dataset": "digits", "train_images": 300, "kind": "lrlc", "rank": 2, "placement": [3], "seed": 1,
            "train": {"epochs": 2, "batch_size": 64, "learning_rate": 0.05},
        },
        on_epoch=lambda record: told.append(record.validation_accuracy),
    )  # fmt: skip
    assert (trained.result.trial_id, trained.result.test_accuracy) == (row["trial_id"], row["test_accuracy"])
    assert list(trained.curve["validation_accuracy"]) == told
    assert trained.model is not None
    assert trained.model(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


def test_numbers_of_a_frame_are_accepted(runs: str, tmp_path: Path) -> None:
    row = lrlc.load("mine", results=runs).trials.query("kind == 'lrlc' and rank == 2").iloc[0]
    cell = {"kind": "lrlc", "rank": int(row["rank"]), "placement": (3,), "train": {"epochs": 1}}
    trained = lrlc.train({"dataset": "digits", "train_images": 100, "seed": row["seed"], **cell})
    rates = np.array([0.05, 0.1])
    grid = ({"kind": "lrlc", "rank": np.int64(2), "placement": (3,), "train.learning_rate": rates},)
    asked = {
        "name": "given",
        "datasets": "digits",
        "train_images": np.int64(100),
        "grid": grid,
        "seeds": range(1),
    }
    done = lrlc.run(asked, "train.epochs=1", results=tmp_path, quiet=True)
    assert sorted(done.trials["learning_rate"]) == rates.tolist()
    assert trained.result.trial_id in set(done.trials["trial_id"])


def test_train_leaves_the_random_numbers_of_the_caller_alone() -> None:
    drawn = []
    for is_between in (True, False):
        torch.manual_seed(7)
        if is_between:
            lrlc.train({"dataset": "digits", "train_images": 100, "kind": "conv", "train": {"epochs": 1}})
        drawn.append(torch.rand(3).tolist())
    assert drawn[0] == drawn[1]


def test_train_takes_the_configuration_of_a_row_and_leaves_torch_as_it_was(runs: str) -> None:
    row = lrlc.load("mine", results=runs).trials.query("kind == 'conv'").iloc[0]
    torch.use_deterministic_algorithms(False)  # a trial of another test may have left it on
    assert lrlc.train(json.loads(row["config"])).result.test_loss == row["test_loss"]
    assert not torch.are_deterministic_algorithms_enabled()


LISTED = {"dataset": "digits", "kind": ["conv", "lrlc"], "rank": 2}


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda runs: lrlc.load("mien", results=runs), lrlc.StudyError, "'mien' here; did you mean 'mine'"),
        (lambda runs: lrlc.load("nothing", results=runs), lrlc.StudyError, "'nothing' here; known: mine"),
        (lambda runs: lrlc.load("quickstart", results=runs), lrlc.UserError, "no results of study"),
        (lambda runs: lrlc.load("mine", results=runs, profile="cup"), lrlc.StoreError, "no plan of profile"),
        (lambda runs: lrlc.load("mine", results=runs).plot("rank"), lrlc.UserError, "rank_vs_accuracy"),
        (
            lambda runs: lrlc.load("mine", results=runs).plot("pareto", width="wide"),
            lrlc.StoreError,
            "^width wide",
        ),
        (lambda runs: lrlc.load("mine", results=runs).plot("tuning"), lrlc.UserError, "not drawn"),
        (lambda runs: lrlc.train({"dataset": "digits", "knd": 1}), lrlc.StudyError, "did you mean 'kind'"),
        (lambda runs: lrlc.train(LISTED), lrlc.UserError, "the configuration describes 2 trials"),
        (lambda runs: lrlc.run({"name": "n", "grid": {}}, results=runs), lrlc.StudyError, "study: grid"),
        (lambda runs: lrlc.run("mine", processes=2, address="auto"), lrlc.UserError, "either"),
        (lambda runs: lrlc.run("mine", results=runs, processes=0), lrlc.UserError, "at least 1, got 0"),
        (lambda runs: lrlc.run("mine", results=runs, processes=-1), lrlc.UserError, "at least 1, got -1"),
        (
            lambda runs: lrlc.load("mine", results=runs).table("curvs"),
            lrlc.UserError,
            "did you mean 'curves'",
        ),
    ],
)
def test_mistakes_are_reported_in_one_line(call, error, says, runs: str) -> None:
    with pytest.raises(error, match=says) as raised:
        call(runs)
    assert "\n" not in str(raised.value)
