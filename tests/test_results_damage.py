"""Damage below a study's folder: whatever happens to a file, nothing is read that was not written there.

Damage is named in one line, left where it is until a run moves it aside, and costs no other file and no other study.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.results_samples import noted, result, tuned

from lrlc.results.importance import Importance
from lrlc.results.plans import Stage, StagedPlan
from lrlc.results.schema import COMPANIONS, SCHEMAS
from lrlc.results.store import Store, StoreError
from lrlc.results.widths import MeasuredFor, MeasuredWidth
from lrlc.studies import Study

pytestmark = pytest.mark.xdist_group("results_damage")  # what they share is made once

IDS = ("a" * 16, "b" * 16, "c" * 16)


def filled(root: Path) -> Store:
    """A store with every kind of file beside the tables, and three parts."""
    store = Store(root)
    for trial_id in IDS:
        store.commit([result(trial_id)])
    store.write_study(Study(name="sample", title="A sample", seeds=[0, 1]), overrides=["seeds=2"])
    store.write_plan(None, StagedPlan({Stage.GRID: IDS, Stage.TUNE: ["d" * 16]}, {IDS[0]: ["learning_rate"]}))
    store.write_plan("other", IDS[:1])
    store.write_importance([Importance("parameters", "minimize", 30, {"kind": 0.75, "rank": 0.25})])
    store.write_tuning([tuned("mnist", "conv", best=0.1)])
    store.write_dataset(noted("mnist", 0.5))
    store.write_dataset(noted("cifar10", 0.25))
    of = MeasuredFor((1, 8, 8), 10, "three_layer", "wide_conv", 2, "3", "{}", 64, "float32")
    store.write_widths([MeasuredWidth(of, 20, 0.5, 0.51, "cpu")])
    return store


def tables(store: Store) -> dict[str, pd.DataFrame]:
    return {name: store.companion(name) for name in COMPANIONS} | {"trials": store.trials()}


def notes(store: Store) -> dict[str, Any]:
    """The content of each file beside the tables, as deterministic text."""
    noted_plans = {row["profile"]: [] for row in store.plans().to_pylist()}
    for row in store.plans().to_pylist():
        noted_plans[row["profile"]].append(row)
    summaries = {
        title: [
            str(vars(each) | {"mean_image": each.mean_image.tolist(), "examples": each.examples.tolist()})
        ]
        for title, each in store.datasets().items()
    }
    single = {"study": store.study(), "importance": store.importance(), "tuning": store.tuning()}
    return noted_plans | summaries | single | {"widths": store.widths()}


@dataclass(frozen=True)
class Sample:
    store: Store
    root: Path
    tables: dict[str, pd.DataFrame]
    notes: dict[str, Any]

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.root.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    root = tmp_path_factory.mktemp("damage") / "sample"
    store = filled(root)
    return Sample(store, root, tables(store), notes(store))


def mutated(content: bytes, other: bytes, draw: st.DataObject) -> bytes:
    """Mutations of a file, as by disks, hands and careless tools."""
    at = draw.draw(st.integers(0, len(content) - 1))
    match draw.draw(
        st.sampled_from(["flip", "flip near the end", "cut", "zeros", "another's", "gap", "added"])
    ):
        case "flip":
            return content[:at] + bytes([content[at] ^ 1 << draw.draw(st.integers(0, 7))]) + content[at + 1 :]
        case "flip near the end":  # where Parquet keeps its footer
            at = len(content) - 1 - at % min(len(content), 2000)
            return content[:at] + bytes([content[at] ^ 1 << draw.draw(st.integers(0, 7))]) + content[at + 1 :]
        case "cut":
            return content[:at]
        case "zeros":
            return content[:at] + bytes(len(content) - at)
        case "gap":
            return content[:at] + content[at + draw.draw(st.integers(1, 64)) :]
        case "added":
            return content + draw.draw(st.binary(min_size=1, max_size=20))
    return other


@settings(max_examples=40)
@given(draw=st.data())
def test_a_mutated_file_is_read_as_written_or_left_out(sample: Sample, draw: st.DataObject) -> None:
    path = draw.draw(st.sampled_from(sample.files))
    other = draw.draw(st.sampled_from([each for each in sample.files if each.suffix == path.suffix]))
    content = path.read_bytes()
    path.write_bytes(mutated(content, other.read_bytes(), draw))
    try:
        damaged = sample.store.damaged()
        assert {Path(str(each.path)) for each in damaged} <= {path}
        for name, rows in tables(sample.store).items():
            whole = sample.tables[name]
            expected = whole[whole["trial_id"].isin(rows["trial_id"])] if damaged else whole
            pd.testing.assert_frame_equal(rows, expected.reset_index(drop=True))
        now = notes(sample.store)
        for name, known in sample.notes.items():
            assert str(now.get(name)) in ([str(known), "None", "[]"] if damaged else [str(known)])
    finally:
        path.write_bytes(content)


ODD = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b'{"profiles": null}',
    b'{"profiles": {"default": 7}}',
    b"7" * 5000,
    b"[" * 100_000,
    b'{"profiles": {"default": {"study": 5, "objectives": [1], "tuned": [{}]}}, "widths": [{}]}',
    b'{"profiles": {"default": {"study": {}, "overrides": 1, "objectives": [{"metric": 1}], "tuned": 3}}}',
    b"\xff\xfe",
]


@pytest.mark.parametrize("content", ODD, ids=lambda content: content[:24].decode(errors="replace"))
@pytest.mark.parametrize("name", ["study.json", "importance.json", "tuning.json", "widths.json"])
def test_odd_json_is_left_out_and_written_again(name: str, content: bytes, tmp_path: Path) -> None:
    store = filled(tmp_path / "sample")
    before = notes(store)
    (tmp_path / "sample" / name).write_bytes(content)
    kind = name.removesuffix(".json")
    assert str(notes(store)[kind]) in ("None", "[]")
    assert [each.path.name for each in store.damaged()] == [name]
    refilled = filled(tmp_path / "sample")
    assert notes(refilled)[kind] == before[kind]
    assert (tmp_path / "sample" / "damaged" / name).read_bytes() == content


def test_damage_is_reported_once_in_one_line_and_stays_in_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = filled(tmp_path / "sample")
    path = min((tmp_path / "sample" / "trials").iterdir())
    path.write_bytes(b"PAR1")
    assert sorted(store.trials()["trial_id"]) == list(IDS[1:])
    assert len(store.curves()) == 4
    assert caplog.messages == [f"damaged and left out: {path}: no whole Parquet file"]
    assert path.read_bytes() == b"PAR1"


def test_swapped_parts_and_copies_under_another_name_are_damage(tmp_path: Path) -> None:
    store = filled(tmp_path / "sample")
    first, second, third = sorted((tmp_path / "sample" / "trials").iterdir())
    swapped = first.read_bytes(), second.read_bytes()
    second.write_bytes(swapped[0])
    first.write_bytes(swapped[1])
    shutil.copy(third, third.with_stem("99999999999999999999-000000000000"))
    assert list(store.trials()["trial_id"]) == [IDS[2]]
    assert {each.reason for each in store.damaged()} == {"its checksum does not match its content and name"}
    assert len(store.damaged()) == 3


def test_a_foreign_file_among_the_parts_costs_no_row(tmp_path: Path) -> None:
    store = filled(tmp_path / "sample")
    for folder in ("trials", "plans", "datasets"):
        pq.write_table(pa.table({"trial_id": [1, 2]}), tmp_path / "sample" / folder / "foreign.parquet")
        (tmp_path / "sample" / folder / "notes.txt").write_text("hello")
    assert sorted(store.trials()["trial_id"]) == list(IDS)
    assert sorted(store.datasets()) == ["cifar10", "mnist"]
    assert [each.path.name for each in store.damaged()] == ["foreign.parquet"] * 3
    moved = [str(path) for path in store.set_damaged_aside()]
    assert len(moved) == 3
    assert sorted(map(str, store.set_aside())) == sorted(moved)
    assert store.damaged() == []


@pytest.mark.parametrize("table", ["trials", "curves"])
def test_a_null_in_a_required_column_is_damage_also_without_a_checksum(table: str, tmp_path: Path) -> None:
    store = filled(tmp_path / "sample")
    path = sorted((tmp_path / "sample" / table).iterdir())[1]
    rows = pq.read_table(path)
    column = "seed" if table == "trials" else "train_loss"
    at = rows.schema.get_field_index(column)
    field = SCHEMAS[table].field(column).with_nullable(True)
    pq.write_table(rows.set_column(at, field, pa.nulls(len(rows), field.type)), path)
    assert sorted(set(store.companion(table)["trial_id"])) == [IDS[0], IDS[2]]
    (found,) = store.damaged()
    assert (found.path.name, found.reason) == (path.name, f"values are missing in the column {column}")


def test_rows_missing_from_a_file_without_a_checksum_are_damage(tmp_path: Path) -> None:
    store = filled(tmp_path / "sample")
    path = sorted((tmp_path / "sample" / "curves").iterdir())[1]
    pq.write_table(pq.read_table(path).slice(1), path)
    assert [each.reason for each in store.damaged()] == ["1 rows where its part has 2"]
    assert sorted(set(store.curves()["trial_id"])) == [IDS[0], IDS[2]]


def test_a_second_damaged_file_of_a_name_does_not_take_the_place_of_the_first(tmp_path: Path) -> None:
    store = filled(tmp_path / "sample")
    for content in (b"first", b"second"):
        (tmp_path / "sample" / "study.json").write_bytes(content)
        store.set_damaged_aside()
    aside = tmp_path / "sample" / "damaged"
    assert (aside / "study.json").read_bytes() == b"first"
    assert (aside / "study.json.1").read_bytes() == b"second"


NO_FILES = {
    "pipe": lambda path: os.mkfifo(path),
    "folder": lambda path: path.mkdir(),
    "link to nowhere": lambda path: path.symlink_to("nowhere"),
    "loop of links": lambda path: path.symlink_to(path.name),
    "name that is no text": lambda path: Path(os.fsdecode(os.fsencode(path) + b"\xff.parquet")).write_text(
        "x"
    ),
}


@pytest.mark.parametrize("kind", NO_FILES)
def test_something_other_than_a_file_among_the_parts_is_damage_and_moved_aside(
    kind: str, tmp_path: Path
) -> None:
    store = filled(tmp_path / "s")
    NO_FILES[kind](tmp_path / "s/trials/00000000000000000001-aaaaaaaaaaaa.parquet")
    assert set(store.trials()["trial_id"]) == set(IDS)
    assert len(store.damaged()) == 1
    assert len(store.set_damaged_aside()) == 1
    assert store.damaged() == []
    assert set(store.trials()["trial_id"]) == set(IDS)


@pytest.mark.parametrize("kind", ["pipe", "folder", "loop of links"])
@pytest.mark.parametrize("name", ["study.json", "tuning.json", "plans/default.parquet"])
def test_something_other_than_a_file_beside_the_tables_is_damage(
    kind: str, name: str, tmp_path: Path
) -> None:
    store = filled(tmp_path / "s")
    (tmp_path / "s" / name).unlink()
    NO_FILES[kind](tmp_path / "s" / name)
    assert [(each.path.relative_to(store.root), each.reason) for each in store.damaged()] == [
        (name, "not a regular file")
    ]
    store.set_damaged_aside()
    assert store.damaged() == []


def test_a_file_in_place_of_a_table_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    store = filled(tmp_path / "s")
    shutil.rmtree(tmp_path / "s/trials")
    (tmp_path / "s/trials").write_text("x")
    with pytest.raises(StoreError, match=r"trials: not a folder, but results need one here; move it away"):
        store.trials()
