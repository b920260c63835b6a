"""A store like that of a very large study: many cells, thousands of seeds, real configurations."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lrlc.harness.bench.instant import ended, open_text
from lrlc.harness.plan.planning import Planner
from lrlc.harness.trial import blank_result
from lrlc.results.part_files import Part, publish
from lrlc.results.parts import new_name
from lrlc.results.schema import COMPANIONS, CURVES, SCHEMAS, TrialStatus, to_tables
from lrlc.results.store import Store

ROWS_PER_PART = 100_000
"""The size of parts after compaction, which merges parts with fewer trials than this."""

STUDY = """
name: tables
title: A store of many rows
datasets: [digits, {name: digits, translate: 2}, {name: digits, translate: 4}]
grid:
  - {kind: conv}
  - {kind: coord_conv, placement: [1]}
  - {kind: locally_connected, placement: [[1], [2], [3]]}
  - {kind: [lrlc, lrlc_input_dependent], rank: [1, 2, 3, 4, 5, 6, 7], placement: [[1], [3], [1, 2, 3]]}
  - {kind: wide_conv, rank: [2, 4, 7], placement: [[3]]}
seeds: 1
train: {epochs: 2}
"""
EPOCHS = 2
DIVERGING = 0.001
"""The share of trials that diverge."""
OTHER = {"lrlc_input_dependent": 0.3, "wide_conv": -0.6}
BASELINES = {"coord_conv": 0.2, "locally_connected": -0.4}
DEPTH = {"": 0.0, "1": 0.3, "2": 0.6, "3": 1.0, "1+2+3": 0.8}


def make_store(rows: int, folder: Path) -> Store:
    """`rows` finished trials with two epochs each, in parts of ROWS_PER_PART, below `folder`.

    Rows go through all cells with one seed before the next seed, as in a run.
    """
    opened, store = open_text(STUDY, folder)
    planned = Planner(opened, None).grid()
    cells = to_tables([ended(blank_result(trial), trial) for trial in planned])
    ids: list[str] = []
    for number, first in enumerate(range(0, rows, ROWS_PER_PART)):
        made = _part(cells, np.arange(first, min(first + ROWS_PER_PART, rows)), number)
        _commit(store, made)
        ids += made["trials"]["trial_id"].to_pylist()
    store.write_plan(None, ids)
    store.write_study(opened.study)
    return store


def _part(cells: dict[str, pa.Table], rows: npt.NDArray[np.int64], number: int) -> dict[str, pa.Table]:
    """The rows with these numbers; each seed of a cell has its own identity and measurements."""
    noise, count = np.random.default_rng(number), len(rows)
    cell, seed = rows % len(cells["trials"]), rows // len(cells["trials"])
    ids = pa.array([noise.bytes(8).hex() for _ in rows], pa.string())
    accuracy = _accuracies(cells["trials"])[cell] + noise.normal(0, 0.004, count)
    diverged = noise.random(count) < DIVERGING
    seconds = noise.gamma(20.0, 1.0, count)
    trials = _with(
        cells["trials"].take(cell),
        {
            "trial_id": ids,
            "status": np.where(diverged, TrialStatus.DIVERGED.value, TrialStatus.FINISHED.value),
            "seed": seed,
            "test_accuracy": pa.array(accuracy, mask=diverged),
            "test_loss": pa.array(1 - accuracy, mask=diverged),
            "validation_accuracy": accuracy + noise.normal(0, 0.002, count),
            "train_images": np.full(count, 1000),
            "validation_images": np.full(count, 300),
            "test_images": np.full(count, 10_000),
            "parameters": 75_466 + 36_864 * (cell % 7),
            "flops_per_image": 12_345_678 + 1_000_000 * (cell % 7),
            "train_seconds": seconds,
            "total_seconds": seconds + 1,
            "images_per_second": 2000 / seconds,
            "peak_memory_bytes": noise.integers(2**29, 2**30, count),
        },
    )
    empty = {name: SCHEMAS[name].empty_table() for name in COMPANIONS}
    return {**empty, "trials": trials, "curves": _curves(ids, accuracy)}


def _with(table: pa.Table, changed: Mapping[str, object]) -> pa.Table:
    for name, values in changed.items():
        index = table.schema.get_field_index(name)
        field = table.schema.field(index)
        table = table.set_column(index, field, pa.array(values, field.type))
    return table


def _curves(ids: pa.Array, accuracy: npt.NDArray[np.float64]) -> pa.Table:
    epoch = np.tile(np.arange(1, EPOCHS + 1), len(ids))
    reached = np.repeat(accuracy, EPOCHS) * (1 - 0.2 / epoch)
    columns = {
        "trial_id": ids.take(pa.array(np.repeat(np.arange(len(ids)), EPOCHS))),
        "epoch": epoch,
        "train_loss": 1 / epoch,
        "train_accuracy": reached,
        "validation_loss": 1.1 / epoch,
        "validation_accuracy": reached,
        "learning_rate": np.full(len(epoch), 0.1),
        "seconds": np.full(len(epoch), 2.0),
    }
    return pa.table([pa.array(columns[field.name], field.type) for field in CURVES], schema=CURVES)


def _accuracies(cells: pa.Table) -> npt.NDArray[np.float64]:
    """The mean accuracy of each cell, which rises with rank and falls with the shift of its images."""
    found = []
    for cell in cells.select(["kind", "rank", "placement", "translate"]).to_pylist():
        relaxed = 1 - np.exp(-((cell["rank"] or 1) - 1) / 1.5)
        gain = relaxed * (DEPTH[cell["placement"]] + OTHER.get(cell["kind"], 0.0)) + BASELINES.get(
            cell["kind"], 0.0
        )
        found.append(0.9 + 0.02 * gain - 0.01 * cell["translate"])
    return np.array(found)


def _commit(store: Store, tables: Mapping[str, pa.Table]) -> None:
    """Write as Store.commit does, which would need a million TrialResults."""
    part = Part(new_name(store.root), {name: len(tables[name]) for name in COMPANIONS}, frozenset())
    for name in SCHEMAS:
        if len(tables[name]):
            publish(store.root, name, part, [tables[name]])
