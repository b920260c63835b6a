"""The tables: one row per trial, and companions with its epochs, its maps of combining weights and measurements.

A column is a field of the dataclass and a line in results.columns, under the same name.

How the tables may change:
- A column may be added if it allows nulls. The version stays; parts written before read as null there, and code that
  does not know the column yet leaves parts that have it as they are.
- A table may be added: parts written before have no rows in it, and code that does not know it yet leaves parts that
  have it as they are.
- A column that goes, or gets another name or meaning, raises the version (SCHEMA_VERSION in results/schema.py), and
  parts of earlier versions are then turned into the present form as they are read.
- Parts of a later version than the code knows are refused, never guessed at.

No column has gone or changed its name or meaning yet: version 1 is the only one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import pyarrow as pa

from lrlc.results.columns import (
    CORRECT_COLUMNS,
    CURVE_COLUMNS,
    EQUIVARIANCE_COLUMNS,
    SHIFT_COLUMNS,
    SPECTRUM_COLUMNS,
    TRIAL_COLUMNS,
    WEIGHT_COLUMNS,
    arrow_schema,
)
from lrlc.results.errors import StoreError
from lrlc.results.measurements import CorrectImages, EquivarianceError, ShiftAccuracy, SpectrumValue

SCHEMA_VERSION = 1
VERSION_KEY = b"lrlc.schema_version"
"""Where a Parquet file keeps the version, in the metadata of its schema."""


class TrialStatus(StrEnum):
    """How a trial ended."""

    FINISHED = "finished"
    """Trained to its last epoch and tested."""
    PRUNED = "pruned"
    """Stopped early by the search's pruner; the curve ends there and nothing was tested."""
    DIVERGED = "diverged"
    """Its loss was no longer finite. The same settings and seed would diverge again."""
    FAILED = "failed"
    """Stopped by an error, which stands in `error`. `lrlc retry` trains it again."""
    TIMED_OUT = "timed_out"
    """Stopped at the study's time limit; the curve ends there and nothing was tested."""
    OUT_OF_MEMORY = "out_of_memory"
    """Its memory did not suffice, even without another trial beside it."""


BROKEN = (TrialStatus.FAILED, TrialStatus.TIMED_OUT, TrialStatus.OUT_OF_MEMORY)
"""Endings that say nothing about the network; `lrlc retry` trains such trials again."""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of a learning curve. Accuracies are fractions 0..1; `seconds` is training alone."""

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class WeightMap:
    """The learned weights of one filter bank over a layer's output positions.

    `values` are row-major, height * width of them. `image` is the test image the map was made for, None for
    fixed combining weights.
    """

    layer: str
    bank: int
    image: int | None
    height: int
    width: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class TrialResult:
    """All that is known of one trial when it ended: its row, its learning curve and what was measured of it.

    Accuracies are fractions 0..1, losses mean cross-entropies in nats. `options`, `config` and `versions` are
    JSON text; `placement` reads '1+3', or '' where no layer was replaced. `attempts` counts the workers that took it
    on; the last of them took over `resumed_epochs` from a checkpoint. With a `gpu_fraction` under 1 others could
    train on the same GPU, so its seconds are not those of a trial alone. What was not measured is None.
    """

    trial_id: str
    study: str
    status: TrialStatus
    error: str | None
    dataset: str
    dataset_name: str
    translate: int
    label: str | None
    data_digest: str
    network: str
    kind: str
    rank: int | None
    placement: str
    options: str
    seed: int
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    warmup_epochs: float
    precision: str
    config: str
    code_epoch: int
    started_at: datetime
    ended_at: datetime
    search_number: int | None = None
    draw: str | None = None
    shuffle_labels: bool | None = None
    image_height: int | None = None
    image_width: int | None = None
    train_images: int | None = None
    validation_images: int | None = None
    test_images: int | None = None
    test_accuracy: float | None = None
    test_loss: float | None = None
    validation_accuracy: float | None = None
    validation_loss: float | None = None
    train_accuracy: float | None = None
    train_loss: float | None = None
    weights_spatial_std: float | None = None
    weights_image_std: float | None = None
    epochs_run: int = 0
    parameters: int | None = None
    flops_per_image: int | None = None
    train_seconds: float = 0.0
    total_seconds: float = 0.0
    images_per_second: float | None = None
    peak_memory_bytes: int | None = None
    attempts: int = 1
    resumed_epochs: int | None = None
    gpu_fraction: float | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    versions: str = "{}"
    host: str = ""
    device: str | None = None
    backend: str | None = None
    curve: tuple[EpochRecord, ...] = ()
    weights: tuple[WeightMap, ...] = ()
    correct: tuple[CorrectImages, ...] = ()
    spectra: tuple[SpectrumValue, ...] = ()
    shifts: tuple[ShiftAccuracy, ...] = ()
    equivariance: tuple[EquivarianceError, ...] = ()


COMPANIONS = {
    "curves": "curve",
    "weights": "weights",
    "correct": "correct",
    "spectra": "spectra",
    "shifts": "shifts",
    "equivariance": "equivariance",
}
"""The tables beside `trials`, each with the field of TrialResult that holds a trial's rows."""

TABLES = {
    "curves": CURVE_COLUMNS,
    "weights": WEIGHT_COLUMNS,
    "correct": CORRECT_COLUMNS,
    "spectra": SPECTRUM_COLUMNS,
    "shifts": SHIFT_COLUMNS,
    "equivariance": EQUIVARIANCE_COLUMNS,
    "trials": TRIAL_COLUMNS,
}
"""The columns of every table, in the order a part is written: the trials part comes last and commits the others."""

SCHEMAS = {
    name: arrow_schema(columns, {VERSION_KEY: str(SCHEMA_VERSION).encode()})
    for name, columns in TABLES.items()
}
CURVES, WEIGHTS, TRIALS = SCHEMAS["curves"], SCHEMAS["weights"], SCHEMAS["trials"]


def to_tables(results: Sequence[TrialResult]) -> dict[str, pa.Table]:
    """The Arrow tables of these results, by table name."""
    tables = {
        table: _table(
            SCHEMAS[table], ((result.trial_id, row) for result in results for row in getattr(result, field))
        )
        for table, field in COMPANIONS.items()
    }
    return {**tables, "trials": _table(TRIALS, ((result.trial_id, result) for result in results))}


def check_version(metadata: dict[bytes, bytes] | None, where: str) -> None:
    """Raise StoreError if the file at `where` was written by a later schema than this one."""
    version = int((metadata or {}).get(VERSION_KEY, b"0"))
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{where} has schema version {version}, this lrlc-bench reads up to {SCHEMA_VERSION}: "
            f"install a newer one"
        )


def _table(schema: pa.Schema, rows: Iterable[tuple[str, object]]) -> pa.Table:
    columns: dict[str, list[object]] = {name: [] for name in schema.names}
    for trial_id, row in rows:
        for name, column in columns.items():
            column.append(trial_id if name == "trial_id" else getattr(row, name))
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)
