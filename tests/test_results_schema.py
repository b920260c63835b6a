"""The schema in the code, on its page, and in a table that an earlier version wrote."""

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pandas as pd
import pyarrow.parquet as pq
import pytest
from support.results_samples import result

from lrlc.results.columns import Pixels, Unit, columns_of
from lrlc.results.export import export_tables
from lrlc.results.figures import draw_all
from lrlc.results.part_files import PART_KEY
from lrlc.results.schema import (
    SCHEMA_VERSION,
    SCHEMAS,
    TABLES,
    VERSION_KEY,
    TrialStatus,
)
from lrlc.results.schema_page import PAGE, schema_page
from lrlc.results.store import Store
from lrlc.studies.training import LATER_KEYS

COMMITTED = Path(__file__).parent.parent / "results"
OLDER = Path(__file__).parent / "older_tables"
STORED = sorted(OLDER.glob("v*/older"))
"""Stores as written by `lrlc run older.yaml --serial` of an earlier commit."""
TRIALS_OF_OLDER = 6
LACKING = {
    "v1": {
        "weights_spatial_std",
        "weights_image_std",
        "resumed_epochs",
        "image_height",
        "image_width",
        "draw",
        "shuffle_labels",
        "backend",
        "kernels",
        *LATER_KEYS,
    }
}
"""Columns added since."""
LACKING_TABLES = {"v1": {"correct", "spectra", "shifts", "equivariance", "metrics"}}
"""Tables added since."""

older = pytest.mark.parametrize("stored", STORED, ids=lambda path: path.parent.name)


def test_the_page_matches_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == schema_page(), (
        "write it again: python -m lrlc.results.schema_page"
    )


def test_the_page_has_every_column_and_status() -> None:
    page = schema_page()
    for name, columns in TABLES.items():
        section = page.partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert section.count("\n| `") == len(columns)
        assert all(column.meaning.endswith((".", "`.")) for column in columns)
    assert all(f"| `{status}` | " in page for status in TrialStatus)


@pytest.mark.parametrize("table", TABLES)
def test_tables_keep_the_types_order_and_nulls_of_those_committed_before(table: str) -> None:
    parts = [*COMMITTED.glob(f"*/*/{table}/*.parquet"), *OLDER.glob(f"*/*/{table}/*.parquet")]
    assert parts or table == "metrics", "no plugin had a metric yet"
    assert SCHEMAS[table].metadata == {VERSION_KEY: b"1"}
    for part in parts:
        written = pq.read_schema(part)
        present = [
            (each.name, each.type, each.nullable) for each in SCHEMAS[table] if each.name in written.names
        ]
        assert present == [(each.name, each.type, each.nullable) for each in written]
        assert all(field.nullable for field in SCHEMAS[table] if field.name not in written.names)


def test_a_column_is_one_annotated_field() -> None:
    @dataclasses.dataclass
    class Row:
        layer: Annotated[str, "The layer's name."]
        status: Annotated[TrialStatus, "How it ended."]
        pixels: Annotated[Pixels | None, "How far."] = None
        rate: Annotated[float, "How fast.", Unit("images/second")] = 0.0
        right: Annotated[bool | None, "Whether it is right."] = None

    assert [(str(each.type), each.nullable, each.unit) for each in columns_of(Row)] == [
        ("string", False, ""),
        ("string", False, ""),
        ("int32", True, "pixels"),
        ("double", False, "images/second"),
        ("bool", True, ""),
    ]
    assert [each.meaning for each in columns_of(Row)][:2] == ["The layer's name.", "How it ended."]


def test_a_field_without_a_meaning_or_a_type_is_refused() -> None:
    silent = dataclasses.make_dataclass("Silent", [("rank", int)])
    with pytest.raises(TypeError, match="column rank needs a meaning"):
        columns_of(silent)
    untyped = dataclasses.make_dataclass("Untyped", [("rank", Annotated[object, "A rank."])])
    with pytest.raises(TypeError, match="column rank has no Arrow type"):
        columns_of(untyped)


@pytest.fixture
def store(stored: Path, tmp_path: Path) -> Store:
    return Store(shutil.copytree(stored, tmp_path / "runs" / "older"))


@older
def test_an_older_table_lacks_only_columns_that_allow_nulls(stored: Path) -> None:
    lacking = {}
    for table, columns in TABLES.items():
        for path in (stored / table).glob("*.parquet"):
            schema = pq.read_schema(path)
            assert int(schema.metadata[VERSION_KEY]) <= SCHEMA_VERSION
            lacking[table] = [column for column in columns if column.name not in schema.names]
    assert set(lacking) == set(SCHEMAS) - LACKING_TABLES[stored.parent.name]
    assert {column.name for columns in lacking.values() for column in columns} == LACKING[stored.parent.name]
    assert all(column.nullable for columns in lacking.values() for column in columns)


@older
def test_an_older_table_reads_like_a_current_one(store: Store, stored: Path) -> None:
    (part,) = (stored / "trials").glob("*.parquet")
    written, read = pq.read_table(part), store.table("trials")
    assert read.select(written.schema.names).equals(written.replace_schema_metadata(read.schema.metadata))
    assert all(read[name].null_count == len(read) for name in LACKING[stored.parent.name])
    assert all(len(store.table(table)) == 0 for table in LACKING_TABLES[stored.parent.name])
    assert store.damaged() == []
    assert store.counts() == {"finished": TRIALS_OF_OLDER}
    assert list(store.planned_trials()["trial_id"]) == list(
        store.trials()["trial_id"]
    )  # its plan has no order
    assert len(store.planned_trials()) == TRIALS_OF_OLDER
    assert set(store.curves()["trial_id"]) == set(store.trials()["trial_id"])
    asked = store.study()
    assert asked is not None
    assert asked.study.title == "A table of an earlier version"


@older
def test_an_older_table_is_joined_by_new_rows_and_merged_without_loss(store: Store) -> None:
    before = {name: store.table(name) for name in SCHEMAS}
    store.commit([result("new")])
    again = result(before["trials"]["trial_id"][0].as_py(), seed=77)
    store.commit([again])
    unmerged = {name: store.table(name) for name in SCHEMAS}
    store.compact()
    assert len((store.root / "trials").names(".parquet")) == 1
    for name in SCHEMAS:
        merged = store.table(name)
        assert merged.equals(unmerged[name])
        kept = merged.filter(~pd.Series(merged["trial_id"]).isin(["new", again.trial_id]).to_numpy())
        old = before[name].filter((pd.Series(before[name]["trial_id"]) != again.trial_id).to_numpy())
        assert kept.equals(old)
    rows = store.trials().set_index("trial_id")
    assert rows["resumed_epochs"].notna().sum() == 2
    assert rows.loc[again.trial_id, "seed"] == 77


@older
def test_an_older_table_is_drawn_and_exported(store: Store, tmp_path: Path) -> None:
    drawn = draw_all(store, tmp_path / "figures", ["png"])
    assert "rank_vs_accuracy" in {path.stem for path in drawn.paths}
    for to in ("csv", "parquet", "duckdb"):
        assert all(path.stat().st_size > 0 for path in export_tables(store, tmp_path / to, to))
    exported = pq.read_table(tmp_path / "parquet" / "trials.parquet")
    assert exported.drop_columns(["planned"]).equals(store.table("trials"))
    assert exported["planned"].to_pylist() == [True] * TRIALS_OF_OLDER


@older
def test_a_study_of_an_earlier_version_resumes(
    store: Store, lrlc: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    study, runs = OLDER / "v1" / "older.yaml", Path(str(store.root)).parent
    assert "6 of 6 trials done" in lrlc("run", study, "--serial", "--results", runs).stderr
    more = lrlc("run", study, "seeds=3", "--serial", "--results", runs).stderr
    assert "6 of 9 trials done" in more
    assert store.counts() == {"finished": 9}
    lrlc("report", "older", "--results", runs)
    assert "A table of an earlier version" in (runs / "older" / "report.html").read_text()


def test_a_later_version_is_refused_in_one_line_by_every_command(
    tmp_path: Path, lrlc: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    store = Store(shutil.copytree(STORED[0], tmp_path / "runs" / "older"))
    (part,) = (tmp_path / "runs" / "older" / "trials").glob("*.parquet")
    table = pq.read_table(part)
    later = {**table.schema.metadata, VERSION_KEY: str(SCHEMA_VERSION + 1).encode()}
    pq.write_table(table.replace_schema_metadata(later), part)
    for command in (["plot"], ["report"], ["export", "--to", "parquet"], ["status"]):
        done = lrlc(command[0], "older", *command[1:], "--results", tmp_path / "runs", code=2)
        assert f"has schema version {SCHEMA_VERSION + 1}" in done.stderr
        assert "install a newer one" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert store.root.is_folder()


def test_a_column_of_later_code_survives_compaction(tmp_path: Path) -> None:
    store = Store(tmp_path / "sample")
    for name in "abc":
        store.commit([result(name)])
    names = (store.root / "trials").names(".parquet")
    path = tmp_path / "sample" / "trials" / f"{names[1]}.parquet"
    table = pq.read_table(path)
    pq.write_table(
        table.append_column("of_tomorrow", [["kept"]]).replace_schema_metadata(table.schema.metadata),
        path,
        write_page_checksum=True,
    )
    store.compact()
    assert (store.root / "trials").names(".parquet")[0] == names[1]
    assert pq.read_table(path)["of_tomorrow"].to_pylist() == ["kept"]
    assert sorted(store.trials()["trial_id"]) == ["a", "b", "c"]


def test_a_part_with_rows_in_a_table_of_later_code_is_left_as_it_is(tmp_path: Path) -> None:
    store = Store(tmp_path / "sample")
    for name in "abc":
        store.commit([result(name)])
    second = (store.root / "trials").names(".parquet")[1]
    path = tmp_path / "sample" / "trials" / f"{second}.parquet"
    table = pq.read_table(path)
    told = json.loads(table.schema.metadata[PART_KEY])
    told["rows"]["of_tomorrow"] = 3
    metadata = {**table.schema.metadata, PART_KEY: json.dumps(told).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path, write_page_checksum=True)
    store.compact()
    assert second in (store.root / "trials").names(".parquet")
    assert sorted(store.trials()["trial_id"]) == ["a", "b", "c"]
