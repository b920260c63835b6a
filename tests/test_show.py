"""`lrlc show`: one trial from its row, with its curve and provenance; retrained to compare."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.results_samples import result
from typer.testing import CliRunner

import lrlc
from lrlc.harness.api.trial import find_trial, verified
from lrlc.harness.api.trial_ids import full_id
from lrlc.harness.cli.app import app
from lrlc.harness.cli.show import sparkline
from lrlc.results.environments import Environment
from lrlc.results.schema import TrialStatus
from lrlc.results.store import Store

STUDY = {
    "name": "shown",
    "datasets": "digits",
    "train_images": 100,
    "seeds": 2,
    "grid": {"kind": "lrlc", "rank": 2, "placement": 3},
    "train": {"epochs": 2, "batch_size": 32},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("shown"))
    lrlc.run(STUDY, results=folder, quiet=True)
    return folder


@pytest.fixture
def row(runs: str) -> Any:
    return lrlc.load("shown", results=runs).trials.iloc[0]


def shown(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["show", *words])
    assert done.exit_code == code, done.output
    return done.stdout


def test_a_trial_is_shown_with_its_settings_curve_and_origin(runs: str, row: Any) -> None:
    text = shown(row["trial_id"][:6], "--results", runs)
    assert text.startswith(f"{row['trial_id']}: digits lrlc rank 2 layer 3 seed 0, finished; study shown\n")
    for part in (
        "network three_layer, 8x8 pixels, 100 training images",
        "batch size 32, epochs 2, learning rate 0.1",
        f"test {row['test_accuracy']:.2%}",
        "in 2 epochs",
        f"on {row['host']}, {row['device']}",
        row["git_commit"] or "unknown commit",
        f"Python {json.loads(row['versions'])['python']}, ",
    ):
        assert part in text


def test_json_has_the_row_the_curve_and_the_packages(runs: str, row: Any) -> None:
    found = json.loads(shown(row["trial_id"], "--results", runs, "--json"))
    assert found["test_accuracy"] == row["test_accuracy"]
    assert found["config"]["train"]["epochs"] == 2
    assert [record["epoch"] for record in found["curve"]] == [1, 2]
    assert {"torch", "numpy", "pandas"} <= set(found["environment"]["packages"])


def test_verify_finds_a_retrained_trial_identical(runs: str, row: Any) -> None:
    assert "identical: every epoch" in shown(row["trial_id"], "--verify", "--results", runs)


def test_verify_says_by_how_much_numbers_differ(runs: str, tmp_path: Path, row: Any) -> None:
    trained = lrlc.train(json.loads(row["config"])).result
    other = replace(trained.curve[1], train_loss=trained.curve[1].train_loss + 0.5)
    changed = replace(
        trained, study="altered", curve=(trained.curve[0], other), test_accuracy=0.5, device="another"
    )
    Store(tmp_path / "altered").commit([changed])
    lines = verified(find_trial(trained.trial_id, str(tmp_path)), None)
    assert lines[0] == "train_loss: differs from epoch 2 on, by up to 0.5"
    assert lines[1].startswith(f"test_accuracy: 0.5 then, {trained.test_accuracy:.6g} now")
    assert lines[2] == f"device: another then, {trained.device} now"


def test_what_cannot_be_verified_is_refused(tmp_path: Path) -> None:
    failed = result("f" * 16, status=TrialStatus.FAILED)
    digits = {"dataset": {"name": "digits"}, "network": "three_layer", "kind": "conv", "seed": 0}
    stale = result("a" * 16, config=json.dumps({**digits, "train": {"epochs": 1}}))
    Store(tmp_path / "s").commit([failed, stale])
    with pytest.raises(lrlc.UserError, match="only a finished trial can be verified; this one is failed"):
        verified(find_trial("ff", str(tmp_path)), None)
    with pytest.raises(lrlc.UserError, match="have changed; trained now, it would be trial"):
        verified(find_trial("aa", str(tmp_path)), None)


def test_an_id_must_be_known_and_its_beginning_unique(tmp_path: Path) -> None:
    Store(tmp_path / "s").commit([result("abc1"), result("abc2")])
    with pytest.raises(lrlc.UserError, match="2 ids begin with this: abc1, abc2; give more of the id"):
        find_trial("abc", str(tmp_path))
    with pytest.raises(lrlc.UserError, match="did you mean 'abc1'"):
        find_trial("abd1", str(tmp_path))


def test_a_sparkline_reaches_from_the_lowest_to_the_highest() -> None:
    assert sparkline([0.1, 0.2, 0.8]) == "▁▂█"
    assert sparkline([1.0, 1.0]) == "▁▁"
    assert len(sparkline([float(value) for value in range(1000)])) <= 60
    assert sparkline([float("nan"), 1.0, float("inf"), 2.0]) == "▁█"


def test_an_environment_is_recorded_once_while_it_stays_the_same(runs: str, tmp_path: Path) -> None:
    study = lrlc.load("shown", results=runs)
    lrlc.run(STUDY, results=runs, quiet=True)
    (noted,) = study.store.environments()
    store = Store(tmp_path)
    for since, packages in ((1, {"torch": "1"}), (2, {"torch": "1"}), (3, {"torch": "2"})):
        now = Environment(noted.since.replace(microsecond=since), "h", "p", "3", packages)
        store.write_environment(now)
    assert [each.packages["torch"] for each in store.environments()] == ["1", "2"]
    damaged = min((tmp_path / "environments").glob("*.json"))
    damaged.write_text(damaged.read_text().replace("torch", "troch"))
    assert [each.packages["torch"] for each in store.environments()] == ["2"]
    assert [each.path.name for each in store.damaged()] == [damaged.name]


def test_a_trials_id_may_be_abbreviated_everywhere() -> None:
    known = ["db50cc11", "db60aa22", "0123abcd"]
    assert full_id("db5", known, "study s") == "db50cc11"
    with pytest.raises(
        lrlc.UserError, match="db: 2 ids begin with this: db50cc11, db60aa22; give more of the id"
    ):
        full_id("db", known, "study s")
    with pytest.raises(
        lrlc.UserError, match="db50dc: no trial of study s has such an id; did you mean 'db50cc'"
    ):
        full_id("db50dc", known, "study s")
    with pytest.raises(lrlc.UserError, match="zzz: no trial of study s has such an id; there are 3 trials"):
        full_id("zzz", known, "study s")
