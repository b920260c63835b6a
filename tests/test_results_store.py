"""Guarantees of the tables: every column is read back, rows are complete or absent, damage never breaks a read."""

import dataclasses
import io
import subprocess
import sys
import threading
from itertools import product
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from support.results_samples import OTHER_TRAINING, result

from lrlc.results.files import Location, locate
from lrlc.results.measurements import MetricValue
from lrlc.results.part_files import part_path
from lrlc.results.schema import (
    COMPANIONS,
    SCHEMAS,
    TABLES,
    TRIALS,
    VERSION_KEY,
    TrialStatus,
)
from lrlc.results.store import Store, StoreError
from lrlc.studies import Study


@pytest.fixture
def store(runs: str) -> Store:
    return Store(locate(runs) / "sample")


def parts(store: Store, table: str = "trials") -> list[Location]:
    return [part_path(store.root, table, name) for name in (store.root / table).names(".parquet")]


def put(path: Location, content: bytes) -> None:
    path.replace(lambda file: file.write(content))


def without_checksum(path: Location, table: pa.Table) -> None:
    """Replace a part's file with the table as earlier versions wrote it."""
    path.replace(lambda file: pq.write_table(table, file))


def test_every_column_of_every_table_comes_back(store: Store) -> None:
    written = result()
    store.commit([written])
    (row,) = store.trials().to_dict("records")
    row = {name: None if value != value else value for name, value in row.items()}  # a table's null is NaN
    expected = dataclasses.asdict(written) | {"status": "finished"}
    assert row == {name: expected[name] for name in TRIALS.names}
    assert row["error"] is None  # nothing went wrong
    curve = store.curves().to_dict("records")
    assert curve == [{"trial_id": written.trial_id, **vars(record)} for record in written.curve]
    (weights,) = store.weights().to_dict("records")
    assert weights.pop("image") != 0
    assert tuple(weights.pop("values")) == written.weights[0].values
    assert weights == {"trial_id": written.trial_id, "layer": "layer3", "bank": 0, "height": 2, "width": 3}
    for table in ("correct", "spectra", "shifts", "equivariance"):
        rows = getattr(store, table)().to_dict("records")
        assert rows == [{"trial_id": written.trial_id, **vars(row)} for row in getattr(written, table)]
        assert rows


def test_missing_measurements_read_as_null_of_the_same_type(store: Store) -> None:
    optional = {column.name: None for column in TABLES["trials"] if column.nullable}
    store.commit([result("measured", **OTHER_TRAINING)])
    before = store.trials().dtypes
    store.commit([result("unmeasured", **optional, curve=(), weights=())])
    rows = store.trials().set_index("trial_id")
    assert rows.loc["unmeasured", list(optional)].isna().all()
    assert rows.loc["measured", list(optional)].notna().sum() == len(optional) - 1  # all but `error`
    changed = {name for name, kind in store.trials().dtypes.items() if kind != before[name]}
    # A column of booleans and nulls has no special dtype in pandas.
    assert changed <= {"git_dirty", "shuffle_labels"}


def test_a_study_without_results_reads_as_empty_tables_and_leaves_no_trace(store: Store) -> None:
    assert list(store.trials().columns) == TRIALS.names
    assert all(getattr(store, table)().empty for table in COMPANIONS)
    assert (store.counts(), store.plan(), store.study()) == ({}, None, None)
    store.compact()
    assert not store.root.is_folder()


def test_rows_are_counted_by_status(store: Store) -> None:
    store.commit([result(str(status), status=status) for status in reversed(TrialStatus)])
    store.commit([result("another")])
    others = ["pruned", "diverged", "failed", "timed_out", "out_of_memory"]
    assert list(store.counts().items()) == [("finished", 2), *((ending, 1) for ending in others)]


@pytest.mark.parametrize("compacted", [False, True])
def test_a_retry_replaces_a_failure_and_nothing_replaces_a_finished_row(
    store: Store, compacted: bool
) -> None:
    first = result("retried", status=TrialStatus.FAILED, error="killed", curve=result().curve[:1])
    store.commit([first, result("done", seed=1)])
    store.commit([result("retried", seed=2), result("done", status=TrialStatus.FAILED, seed=2, weights=())])
    store.commit([result("other")])
    if compacted:
        store.compact()
        assert len(parts(store)) == 1
    rows = store.trials().set_index("trial_id")
    assert rows["status"].to_dict() == {"done": "finished", "retried": "finished", "other": "finished"}
    assert rows["seed"].to_dict() == {"done": 1, "retried": 2, "other": 3}
    assert store.curves().groupby("trial_id").size().to_dict() == {"done": 2, "retried": 2, "other": 2}
    assert store.weights().groupby("trial_id").size().to_dict() == {"done": 1, "retried": 1, "other": 1}
    assert store.spectra().groupby("trial_id").size().to_dict() == {"done": 2, "retried": 2, "other": 2}


def test_a_later_commit_counts_as_later_even_if_the_clock_was_set_back(store: Store) -> None:
    store.commit([result("a", status=TrialStatus.FAILED)])
    for table in SCHEMAS:
        (path,) = parts(store, table)
        path.move_to(store.root / table / f"9{path.name[1:]}")  # written in the year 2262
    store.commit([result("a", status=TrialStatus.FAILED, error="the later one")])
    assert store.trials()["error"].tolist() == ["the later one"]


@pytest.mark.parametrize(
    ("runs", "harm", "table"),
    [
        *(("s3", "torn", table) for table in ("trials", "weights")),
        *product(
            ["local"],
            ["torn", "empty", "flipped", "foreign", "gone"],
            ["trials", "curves", "weights", "correct"],
        ),
    ],
    indirect=["runs"],
)
def test_a_damaged_part_is_left_out_and_reported(store: Store, table: str, harm: str) -> None:
    for name in "abc":
        store.commit([result(name)])
    path = parts(store, table)[1]
    content = path.read()
    match harm:
        case "torn":
            put(path, content[: len(content) // 2])
        case "empty":
            put(path, b"")
        case "flipped":  # a bit of the first column's data
            middle = content.index(b"b") if b"b" in content[:200] else 40
            put(path, content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :])
        case "foreign":
            put(path, b"<<<<<<< HEAD\n")
        case "gone":
            path.remove()
    left = ["a", "c"]
    reading = {
        "trials": list(store.trials()["trial_id"]),
        "curves": list(store.curves()["trial_id"].unique()),
        "weights": list(store.weights()["trial_id"].unique()),
        "correct": list(store.correct()["trial_id"].unique()),
    }
    everything = ["a", "b", "c"]
    expected = {name: left if table in ("trials", name) else everything for name in reading}
    assert reading == expected
    assert [each.path for each in store.damaged()] == ([] if (table, harm) == ("trials", "gone") else [path])
    store.compact()
    assert {name: sorted(getattr(store, name)()["trial_id"].unique()) for name in reading} == expected
    if harm != "gone":
        assert path in parts(store, table)  # merging leaves it in place for inspection


@pytest.mark.parametrize(
    ("runs", "table"),
    [("s3", "weights"), *product(["local"], ["trials", "curves", "weights", "equivariance"])],
    indirect=["runs"],
)
def test_a_run_sets_a_damaged_part_aside_with_all_its_files(store: Store, table: str) -> None:
    for name in "abc":
        store.commit([result(name, metrics=(MetricValue("margin", 0.5),))])
    harmed = parts(store, table)[1]
    put(harmed, b"PAR1")
    moved = store.set_damaged_aside()
    assert moved == [part_path(store.root / "damaged", each, harmed.name[:-8]) for each in reversed(SCHEMAS)]
    assert sorted(map(str, store.set_aside())) == sorted(map(str, moved))
    assert (store.root / "damaged" / table / harmed.name).read() == b"PAR1"
    assert store.damaged() == []
    for each in SCHEMAS:
        assert sorted(getattr(store, each)()["trial_id"].unique()) == ["a", "c"]
    store.commit([result("b")])
    store.compact()
    assert sorted(store.trials()["trial_id"]) == ["a", "b", "c"]
    assert store.set_damaged_aside() == []


def test_rows_whose_trials_part_is_missing_do_not_exist(store: Store) -> None:
    store.commit([result("committed")])
    store.commit([result("torn off")])
    parts(store)[1].remove()
    assert all(set(getattr(store, table)()["trial_id"]) == {"committed"} for table in COMPANIONS)
    assert store.damaged() == []


def test_a_table_of_a_later_version_is_refused_in_one_line(store: Store) -> None:
    store.commit([result()])
    (path,) = parts(store)
    table = pq.read_table(io.BytesIO(path.read()))
    without_checksum(path, table.replace_schema_metadata({**table.schema.metadata, VERSION_KEY: b"99"}))
    with pytest.raises(StoreError, match=r"schema version 99.*install a newer one") as raised:
        store.trials()
    assert "\n" not in str(raised.value)


def test_a_part_written_before_a_column_existed_reads_as_null_there(store: Store) -> None:
    store.commit([result("old")])
    (path,) = parts(store)
    old = pq.read_table(io.BytesIO(path.read()))
    without_checksum(path, old.drop_columns(["gpu_fraction"]))
    store.commit([result("new")])
    assert store.trials().set_index("trial_id")["gpu_fraction"].isna().to_dict() == {
        "old": True,
        "new": False,
    }
    store.compact()
    assert store.trials().set_index("trial_id")["gpu_fraction"].isna().to_dict() == {
        "old": True,
        "new": False,
    }


def test_rows_of_another_study_come_with_their_measurements(store: Store) -> None:
    other = Store(store.root.parent / "other")
    other.commit([result("wanted"), result("not wanted")])
    store.commit([result("own")])
    store.copy_from(other, ["wanted"])
    store.compact()
    for table in SCHEMAS:
        copied = store.table(table).filter(pc.equal(store.table(table)["trial_id"], "wanted"))
        assert len(copied) > 0
        assert copied.equals(other.table(table).filter(pc.equal(other.table(table)["trial_id"], "wanted")))
        assert set(store.table(table)["trial_id"].to_pylist()) == {"own", "wanted"}


DISK_FULL = """
import resource, sys
from pathlib import Path
from support.results_samples import result
from lrlc.results.schema import WeightMap
from lrlc.results.store import Store, StoreError
store = Store(Path(sys.argv[1]))
store.commit([result("before")])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = tuple(hash((i, "x")) % 997 / 7 for i in range(100_000))
for big in (result("weights", weights=(WeightMap("l", 0, None, 1, len(noise), noise),)),
            result("row", config="".join(map(str, noise)))):
    try:
        store.commit([big])
    except StoreError as error:
        print(error)
"""


def test_a_disk_that_refuses_leaves_nothing_half_written(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    store = Store(tmp_path / "sample")
    done = subprocess.run(
        [sys.executable, "-c", DISK_FULL, str(store.root)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parent.parent}"},
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("cannot write ") and "File too large" in line for line in lines)
    left = [str(path) for path in tmp_path.rglob("*") if path.is_file()]
    known = [path for table in SCHEMAS for path in parts(store, table)]
    assert sorted(left) == sorted(map(str, known))
    assert list(store.trials()["trial_id"]) == ["before"]
    assert len(left) == len(SCHEMAS)


def test_a_plan_selects_the_rows_of_its_profile_and_orders_them(store: Store) -> None:
    store.commit([result(name) for name in "abcd"])
    assert len(store.planned_trials()) == 4
    store.write_plan(None, ["b", "a"])
    store.write_plan("gpu/large", ["b", "not run yet", "c"])
    assert store.plan("default") == {"a", "b"}
    assert store.plan() == store.plan("gpu/large") == {"b", "c", "not run yet"}
    assert list(store.planned_trials("default")["trial_id"]) == ["b", "a"]
    assert list(store.planned_trials(columns=["seed", "trial_id"])["trial_id"]) == ["b", "c"]
    store.write_plan(None, ["a"])
    assert store.plan() == {"a"}
    with pytest.raises(StoreError, match=r"'paper'.*default, gpu/large"):
        store.plan("paper")


class _Watched(io.BytesIO):
    """A file in memory that knows which threads have read it."""

    threads: ClassVar[set[str]] = set()

    def read(self, size: int | None = -1) -> bytes:
        self.threads.add(threading.current_thread().name)
        return super().read(size)


def test_no_thread_holds_a_plan_when_the_command_that_read_it_ends(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that lets go of Python's memory while the interpreter ends aborts the process, with exit code 134."""
    store.write_plan(None, ["a", "b"])
    monkeypatch.setattr("lrlc.results.checksums.io.BytesIO", _Watched)
    assert store.plan() == {"a", "b"}
    assert _Watched.threads == {threading.current_thread().name}


def test_the_study_is_recorded_per_profile(store: Store) -> None:
    store.write_study(Study(name="s", title="First"), "smoke")
    store.write_study(Study(name="s", title="Ünïcode"), None, ["train.epochs=2"])
    latest, smoke = store.study(), store.study("smoke")
    assert latest is not None
    assert smoke is not None
    assert (latest.profile, latest.study.title, latest.overrides) == (
        "default",
        "Ünïcode",
        ("train.epochs=2",),
    )
    assert smoke.study.title == "First"
    store.write_study(Study(name="s", title="Second"), "smoke")
    again = store.study()
    assert again is not None
    assert (again.profile, again.study.title) == ("smoke", "Second")
    assert store.study("paper") is None


def test_unknown_columns_are_named(store: Store) -> None:
    with pytest.raises(StoreError, match="no column 'test_acuracy'"):
        store.trials(["seed", "test_acuracy"])


def test_only_chosen_columns_and_trials_are_read(store: Store) -> None:
    for name in "abc":
        store.commit([result(name)])
    assert list(store.trials(["seed"]).columns) == ["seed"]
    assert set(store.curves({"a", "c"})["trial_id"]) == {"a", "c"}
    assert store.weights(set()).empty


def test_a_failed_retry_does_not_bring_back_the_curve_it_replaced(store: Store) -> None:
    store.commit([result("a", status=TrialStatus.FAILED)])
    store.commit([result("a", status=TrialStatus.FAILED, curve=(), weights=())])
    assert store.curves().empty
    assert store.curves(["a"]).empty
    assert store.weights().empty
    assert len(store.shifts()) == 2


def test_the_arrow_table_has_the_published_schema(store: Store) -> None:
    store.commit([result()])
    store.commit([result("b", status=TrialStatus.DIVERGED, test_accuracy=None)])
    for name, schema in SCHEMAS.items():
        assert store.table(name).schema.equals(schema, check_metadata=True)
    assert pd.isna(store.trials()["test_accuracy"][1])


def test_the_readme_says_which_rows_of_the_parts_count(store: Store) -> None:
    store.write_study(Study(name="sample", title="A sample"))
    note = (store.root / "README.txt").read().decode()
    assert "a finished row takes precedence" in note
    store.write_study(Study(name="sample", title="A sample"))
    assert (store.root / "README.txt").read().decode() == note


def test_attempts_of_a_retry_continue_the_numbering(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    store.add_log("a", 1, "Monday, failed", "first")
    store.add_log("a", 1, "Tuesday, failed", "second")
    store.add_log("a", 2, "Tuesday, finished", "third")
    headings = [line for line in store.log("a").splitlines() if line.startswith("==")]
    assert headings == [
        "== attempt 1, Monday, failed ==",
        "== attempt 2, Tuesday, failed ==",
        "== attempt 3, Tuesday, finished ==",
    ]


def test_the_file_of_a_study_is_recorded_until_another_is(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    store.write_study(Study(name="s"), file="mine.yaml")
    store.write_study(Study(name="s"))
    record = store.study()
    assert record is not None
    assert record.file == "mine.yaml"
