"""`lrlc export`: the tables as read by other tools."""

import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from support.results_samples import START, result

from lrlc.results.export import export_tables
from lrlc.results.plans import Stage, StagedPlan
from lrlc.results.schema import SCHEMAS, TABLES, TrialStatus
from lrlc.results.store import Store, StoreError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "runs" / "sample")
    store.commit([result("a"), result("b", rank=1, test_accuracy=0.5)])
    store.commit([result("c", status=TrialStatus.DIVERGED, test_accuracy=None, weights=())])
    return store


def test_a_database_holds_every_table_with_its_types(store: Store, tmp_path: Path) -> None:
    (path,) = export_tables(store, tmp_path / "out", "duckdb")
    assert [each.name for each in path.parent.iterdir()] == ["lrlc.duckdb"]
    with duckdb.connect(str(path), read_only=True) as database:
        for name in SCHEMAS:
            exported = database.sql(f"SELECT * FROM {name}").to_arrow_table()
            expected = store.table(name).to_pylist()
            mark = {"planned": True} if name == "trials" else {}
            assert exported.to_pylist() == [row | mark for row in expected]
        found = dict(database.sql("SELECT column_name, column_type FROM (DESCRIBE trials)").fetchall())
        assert found["started_at"] == "TIMESTAMP WITH TIME ZONE"
        assert (found["rank"], found["test_images"], found["git_dirty"]) == ("INTEGER", "BIGINT", "BOOLEAN")
        began = database.sql("SELECT epoch_us(min(started_at)) FROM trials").fetchall()
        assert began == [(round(START.timestamp() * 1e6),)]
        means = "SELECT rank, avg(test_accuracy) FROM trials GROUP BY rank ORDER BY rank"
        assert database.sql(means).fetchall() == [(1, 0.5), (4, 0.75)]
        joined = "SELECT list_sum(values) FROM weights JOIN trials USING (trial_id) WHERE rank = 4"
        assert database.sql(joined).fetchall() == [(pytest.approx(2.625),)]
        comments = "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'trials'"
        meanings = {column.name: column.meaning for column in TABLES["trials"]}
        assert dict(database.sql(comments).fetchall()) == meanings | {"planned": None}


def test_plans_say_what_each_trial_was_trained_for(store: Store, tmp_path: Path) -> None:
    store.write_plan(
        "cpu", StagedPlan({Stage.GRID: ["a", "b"], Stage.TUNE: ["c"]}, {"b": ("learning_rate",)})
    )
    store.write_plan(None, ["c"])
    (path,) = export_tables(store, tmp_path, "duckdb")
    with duckdb.connect(str(path), read_only=True) as database:
        joined = "SELECT profile, stage, tuned, status FROM plans JOIN trials USING (trial_id)"
        assert database.sql(f"{joined} ORDER BY trial_id, profile").fetchall() == [
            ("cpu", "grid", None, "finished"),
            ("cpu", "grid", "learning_rate", "finished"),
            ("cpu", "tune", None, "diverged"),
            ("default", "grid", None, "diverged"),
        ]


@pytest.mark.parametrize("to", ["csv", "parquet", "duckdb"])
def test_trials_no_longer_in_any_plan_are_marked(store: Store, tmp_path: Path, to: str) -> None:
    store.write_plan(None, ["a", "c"])
    path = export_tables(store, tmp_path, to)[0]
    match to:
        case "csv":
            rows = pd.read_csv(path)
        case "parquet":
            rows = pd.read_parquet(path)
        case _:
            with duckdb.connect(str(path), read_only=True) as database:
                rows = database.sql("SELECT * FROM trials").to_arrow_table().to_pandas()
    assert dict(zip(rows["trial_id"], rows["planned"], strict=True)) == {"a": True, "b": False, "c": True}


def test_leftovers_of_a_killed_export_are_deleted_by_the_next(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / ".duckdb-left.writing").mkdir(parents=True)
    left = [out / ".trials.csv.0123abcd.writing", out / ".duckdb-left.writing" / "lrlc.duckdb"]
    for path in left:
        path.write_bytes(b"half")
    export_tables(store, out, "csv")
    assert all(path.exists() for path in left)  # another export may be writing them
    for path in (*left, out / ".duckdb-left.writing"):
        os.utime(path, (time.time() - 120, time.time() - 120))
    paths = export_tables(store, out, "csv")
    assert sorted(out.iterdir()) == sorted(paths)


def test_leftovers_of_a_killed_command_are_deleted_by_the_next_run(store: Store) -> None:
    root = Path(str(store.root))
    left = [root / "export/.trials.csv.0123abcd.writing", root / "figures/.pareto.svg.0123abcd.writing"]
    for path in left:
        path.parent.mkdir()
        path.write_bytes(b"half")
        os.utime(path, (time.time() - 120, time.time() - 120))
    store.compact()
    assert not any(path.exists() for path in left)


def test_an_earlier_database_is_replaced(store: Store, tmp_path: Path) -> None:
    export_tables(store, tmp_path, "duckdb")
    store.commit([result("d")])
    (path,) = export_tables(store, tmp_path, "duckdb")
    with duckdb.connect(str(path), read_only=True) as database:
        assert database.sql("SELECT count(*) FROM trials").fetchall() == [(4,)]


def test_a_database_that_cannot_be_written_leaves_the_earlier_one(store: Store, tmp_path: Path) -> None:
    (path,) = export_tables(store, tmp_path / "out", "duckdb")
    before = path.read_bytes()
    limited = (
        "import resource, sys; from pathlib import Path; from lrlc.results.store import Store;"
        "from lrlc.results.export import export_tables; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "export_tables(Store(sys.argv[1]), Path(sys.argv[2]), 'duckdb')"
    )
    command = [sys.executable, "-c", limited, str(store.root), str(path.parent)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"lrlc.results.errors.StoreError: cannot write {path}: ")
    assert last.endswith("; nothing was left half-written")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_created_is_reported(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write .*lrlc.duckdb: .*Not a directory"):
        export_tables(store, tmp_path / "file" / "out", "duckdb")


def test_without_duckdb_one_line_says_what_to_install(store: Store, tmp_path: Path) -> None:
    without = "import sys; sys.modules['duckdb'] = None; from lrlc.harness.cli.app import main; main()"
    words = ["export", "sample", "--to", "duckdb", "--results", str(tmp_path / "runs")]
    done = subprocess.run([sys.executable, "-c", without, *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("needs DuckDB: pip install 'lrlc-bench[duckdb]'")
    assert len(done.stderr.splitlines()) == 1


def test_no_text_of_a_csv_is_a_formula(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs" / "sample")
    store.commit([result("a", status=TrialStatus.FAILED, error='=HYPERLINK("http://x")', weights=())])
    store.commit([result("b", status=TrialStatus.FAILED, error="-1 of 3\nwent wrong", weights=())])
    export_tables(store, tmp_path / "out", "csv")
    read = pd.read_csv(tmp_path / "out" / "trials.csv").set_index("trial_id")
    assert read["error"].to_dict() == {"a": '\'=HYPERLINK("http://x")', "b": "'-1 of 3\nwent wrong"}
    assert read["train_seconds"].tolist() == store.trials()["train_seconds"].tolist()
