"""`lrlc adopt`: tables made elsewhere are merged with those here, each trial once, or refused untouched."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from support.results_samples import noted, result, study

from lrlc import __version__
from lrlc.harness.bundle.adoption import adopt_folder, stores_in
from lrlc.harness.errors import UserError
from lrlc.harness.run.lease import Lease
from lrlc.harness.training.train import CODE_EPOCH
from lrlc.results import models
from lrlc.results.adopting import Adopted
from lrlc.results.datasets import Baseline
from lrlc.results.errors import StoreError
from lrlc.results.files import locate
from lrlc.results.measurements import MetricValue
from lrlc.results.plans import Stage, StagedPlan
from lrlc.results.schema import COMPANIONS, TrialResult, TrialStatus
from lrlc.results.store import Store
from lrlc.results.widths import MeasuredFor, MeasuredWidth

OURS = {"code_epoch": CODE_EPOCH, "versions": json.dumps({"lrlc-bench": __version__, "torch": "2.11.0"})}
BASELINE = Baseline(100, 50, 0.5, 100, 1.0, 0.4, 100, 8, 8)


def rows(*trial_ids: str, **changes: Any) -> list[TrialResult]:
    return [result(trial_id, **{**OURS, **changes}) for trial_id in trial_ids]


@pytest.fixture
def there(tmp_path: Path) -> Store:
    """The folder in which a bundle writes its tables."""
    return Store(tmp_path / "bundle/home/results/sample")


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs/sample")


def adopt(tmp_path: Path) -> Adopted:
    (adopted,) = adopt_folder(tmp_path / "bundle", locate(tmp_path / "runs"))
    return adopted


def test_every_table_is_copied_without_duplicates(there: Store, here: Store, tmp_path: Path) -> None:
    there.commit([replace(row, **OURS) for row in study(("mnist",), 2, (1, 2), ("3",))])
    there.commit(rows("a", metrics=(MetricValue("margin", 0.5),)))
    trials = len(there.trials())
    assert [len(adopt(tmp_path).joined) for _ in range(2)] == [trials, 0]
    for table in ("trials", *COMPANIONS):
        ours = here.table(table).to_pandas().sort_values("trial_id", kind="stable")
        theirs = there.table(table).to_pandas().sort_values("trial_id", kind="stable")
        assert len(ours) > 0
        assert ours.reset_index(drop=True).equals(theirs.reset_index(drop=True)), table


def test_existing_rows_stay_unless_the_trial_only_finished_there(
    there: Store, here: Store, tmp_path: Path
) -> None:
    there.commit(rows("a", "b", "c", host="gpu"))
    here.commit([*rows("a", host="desk"), *rows("b", host="desk", status=TrialStatus.FAILED)])
    adopted = adopt(tmp_path)
    assert (adopted.joined, adopted.known) == ({"b", "c"}, 1)
    assert here.trials().set_index("trial_id")["host"].to_dict() == {"a": "desk", "b": "gpu", "c": "gpu"}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"code_epoch": CODE_EPOCH + 1}, f"rows of code epoch {CODE_EPOCH + 1}"),
        ({"versions": '{"lrlc-bench": "99.0"}'}, "rows of lrlc-bench 99.0"),
    ],
)
def test_rows_of_other_code_are_refused_before_anything_is_written(
    there: Store, tmp_path: Path, changes: dict[str, Any], line: str
) -> None:
    there.commit([*rows("a"), *rows("b", **changes)])
    Store(there.root.parent / "another").commit(rows("c"))
    with pytest.raises(StoreError, match=line):
        list(adopt_folder(tmp_path / "bundle", locate(tmp_path / "runs")))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("table", ["trials", "curves"])
def test_a_damaged_part_is_named_and_its_trials_are_left_out(
    there: Store,
    here: Store,
    tmp_path: Path,
    table: str,
    lrlc: Callable[..., "CompletedProcess[str]"],
) -> None:
    there.commit(rows("a"))
    there.commit(rows("b"))
    damaged = sorted((tmp_path / f"bundle/home/results/sample/{table}").iterdir())[0]
    damaged.write_bytes(damaged.read_bytes()[:-40])
    done = lrlc("adopt", "bundle", "--results", "runs", code=1)
    assert done.stdout == "runs/sample: 1 trial added\n"
    (line,) = [line for line in done.stderr.splitlines() if "not merged" in line]
    assert damaged.name in line
    assert here.trials()["trial_id"].tolist() == ["b"]
    assert set(here.curves()["trial_id"]) == {"b"}


def test_a_study_that_is_all_damaged_leaves_nothing_here(
    there: Store, here: Store, tmp_path: Path, lrlc: Callable[..., "CompletedProcess[str]"]
) -> None:
    there.commit(rows("a"))
    for part in (tmp_path / "bundle/home/results/sample/trials").iterdir():
        part.write_bytes(b"damaged")
    assert "not merged" in lrlc("adopt", "bundle", "--results", "runs", code=1).stderr
    assert not here.root.is_folder()


def test_the_plan_and_the_study_come_with_the_rows(there: Store, here: Store, tmp_path: Path) -> None:
    there.commit(rows("a", "b"))
    there.write_plan("h100", StagedPlan({Stage.GRID: ["a", "b"]}, {"a": ("learning_rate",)}))
    assert adopt(tmp_path).kept_plans == ()
    plan = here.staged_plan("h100")
    assert plan is not None
    assert (plan.trial_ids, plan.tuned) == ({"a", "b"}, {"a": ("learning_rate",)})


def test_a_plan_is_only_replaced_by_one_with_all_its_trials(
    there: Store, here: Store, tmp_path: Path
) -> None:
    there.commit(rows("a", "b"))
    there.write_plan("more", ["a", "b"])
    there.write_plan("other", ["b"])
    here.write_plan("more", ["a"])
    here.write_plan("other", ["a"])
    assert adopt(tmp_path).kept_plans == ("other",)
    assert (here.plan("more"), here.plan("other")) == ({"a", "b"}, {"a"})


def test_summaries_of_data_sets_are_merged(there: Store, here: Store, tmp_path: Path) -> None:
    there.commit(rows("a"))
    there.write_dataset(replace(noted("mnist", 0.5), baselines=(BASELINE,)))
    there.write_dataset(noted("utkface", 0.7))
    known = replace(BASELINE, train_images=9)
    here.write_dataset(replace(noted("mnist", 0.5), baselines=(known,)))
    adopt(tmp_path)
    assert here.datasets()["mnist"].baselines == (known, BASELINE)
    assert here.datasets()["utkface"].alignment == 0.7


def test_kept_weights_come_with_their_trials(there: Store, here: Store, tmp_path: Path) -> None:
    there.commit(rows("a", "b"))
    there.keep_model("a", "weights", b"theirs")
    there.keep_model("b", "weights", b"theirs")
    here.commit(rows("b"))
    here.keep_model("b", "weights", b"ours")
    adopt(tmp_path)
    assert (here.model("a", "weights"), here.model("b", "weights")) == (b"theirs", b"ours")


def test_damaged_weights_are_named_and_left_out(there: Store, here: Store, tmp_path: Path) -> None:
    there.commit(rows("a"))
    content = b'{"__metadata__":{"%s":"%s"}}' % (models.SHA256.encode(), models.BLANK.encode())
    there.keep_model("a", "weights", len(content).to_bytes(8, "little") + content + b"tensors")
    kept = Path(str(there.root)) / "models/a.weights.safetensors"
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    assert [each.path.name for each in adopt(tmp_path).damaged] == [kept.name]
    assert here.model("a", "weights") is None


def test_trials_with_different_measured_widths_are_refused(there: Store, here: Store, tmp_path: Path) -> None:
    measured_for = MeasuredFor((1, 8, 8), 10, "three_layer", "wide_conv", 2, "3", "{}", 64, "float32")
    there.commit(rows("a"))
    there.write_widths([MeasuredWidth(measured_for, 80, 0.1, 0.1, "gpu")])
    here.write_widths([MeasuredWidth(measured_for, 90, 0.1, 0.1, "cpu")])
    with pytest.raises(StoreError, match="at 80 channels there and at 90 here"):
        adopt(tmp_path)
    assert here.trials().empty


def test_a_study_that_runs_there_is_adopted_as_it_grows_and_one_that_runs_here_is_refused(
    there: Store, here: Store, tmp_path: Path
) -> None:
    there.commit(rows("a"))
    with Lease(there.root):
        assert adopt(tmp_path).joined == {"a"}
        there.commit(rows("b"))
        there.compact()
        assert adopt(tmp_path).joined == {"b"}
    there.commit(rows("c"))
    with Lease(here.root), pytest.raises(StoreError, match="another driver runs this study"):
        adopt(tmp_path)
    assert list(here.trials()["trial_id"]) == ["a", "b"]


def test_a_folder_is_a_bundle_its_home_a_results_folder_or_a_study(there: Store, tmp_path: Path) -> None:
    there.commit(rows("a"))
    for folder in ("bundle", "bundle/home", "bundle/home/results", "bundle/home/results/sample"):
        assert [store.root.path for store in stores_in(tmp_path / folder)] == [there.root.path]
    for wrong, line in (("gone", "no such folder"), ("empty", "no tables of a study")):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(UserError, match=line):
            stores_in(tmp_path / wrong)


def test_the_results_folder_itself_is_refused(here: Store, tmp_path: Path) -> None:
    here.commit(rows("a"))
    with pytest.raises(UserError, match="this is the --results folder itself"):
        list(adopt_folder(tmp_path / "runs", locate(tmp_path / "runs")))
