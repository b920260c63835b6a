"""The three tables: one row per trial, one per epoch, one per map of combining weights.

A column is a field of the dataclass and a field of the Arrow schema, under the same name. A column that is
added later must allow nulls: a part written before it then reads as null there. SCHEMA_VERSION is raised when
a column changes its meaning or goes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import pyarrow as pa

from results.errors import StoreError

SCHEMA_VERSION = 1
VERSION_KEY = b"lrlc.schema_version"


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
    """All that is known of one trial when it ended: its row, its learning curve and its weight maps.

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
    train_images: int | None = None
    validation_images: int | None = None
    test_images: int | None = None
    test_accuracy: float | None = None
    test_loss: float | None = None
    validation_accuracy: float | None = None
    validation_loss: float | None = None
    train_accuracy: float | None = None
    train_loss: float | None = None
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
    curve: tuple[EpochRecord, ...] = ()
    weights: tuple[WeightMap, ...] = ()


def _schema(*fields: pa.Field) -> pa.Schema:
    return pa.schema(fields, metadata={VERSION_KEY: str(SCHEMA_VERSION).encode()})


def _must(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


_TEXT, _INT32, _INT64, _FLOAT = pa.string(), pa.int32(), pa.int64(), pa.float64()
_TIME = pa.timestamp("us", tz="UTC")

TRIALS = _schema(
    _must("trial_id", _TEXT),
    _must("study", _TEXT),
    _must("status", _TEXT),
    pa.field("error", _TEXT),
    _must("dataset", _TEXT),
    _must("dataset_name", _TEXT),
    _must("translate", _INT32),
    pa.field("label", _TEXT),
    pa.field("train_images", _INT64),
    pa.field("validation_images", _INT64),
    pa.field("test_images", _INT64),
    _must("data_digest", _TEXT),
    _must("network", _TEXT),
    _must("kind", _TEXT),
    pa.field("rank", _INT32),
    _must("placement", _TEXT),
    _must("options", _TEXT),
    _must("seed", _INT64),
    _must("epochs", _INT32),
    _must("batch_size", _INT32),
    _must("learning_rate", _FLOAT),
    _must("momentum", _FLOAT),
    _must("warmup_epochs", _FLOAT),
    _must("precision", _TEXT),
    _must("config", _TEXT),
    _must("code_epoch", _INT32),
    pa.field("search_number", _INT32),
    pa.field("test_accuracy", _FLOAT),
    pa.field("test_loss", _FLOAT),
    pa.field("validation_accuracy", _FLOAT),
    pa.field("validation_loss", _FLOAT),
    pa.field("train_accuracy", _FLOAT),
    pa.field("train_loss", _FLOAT),
    _must("epochs_run", _INT32),
    pa.field("parameters", _INT64),
    pa.field("flops_per_image", _INT64),
    _must("train_seconds", _FLOAT),
    _must("total_seconds", _FLOAT),
    pa.field("images_per_second", _FLOAT),
    pa.field("peak_memory_bytes", _INT64),
    _must("attempts", _INT32),
    pa.field("resumed_epochs", _INT32),
    pa.field("gpu_fraction", _FLOAT),
    pa.field("git_commit", _TEXT),
    pa.field("git_dirty", pa.bool_()),
    _must("versions", _TEXT),
    _must("host", _TEXT),
    pa.field("device", _TEXT),
    _must("started_at", _TIME),
    _must("ended_at", _TIME),
)

CURVES = _schema(
    _must("trial_id", _TEXT),
    _must("epoch", _INT32),
    _must("train_loss", _FLOAT),
    _must("train_accuracy", _FLOAT),
    _must("validation_loss", _FLOAT),
    _must("validation_accuracy", _FLOAT),
    _must("learning_rate", _FLOAT),
    _must("seconds", _FLOAT),
)

WEIGHTS = _schema(
    _must("trial_id", _TEXT),
    _must("layer", _TEXT),
    _must("bank", _INT32),
    pa.field("image", _INT32),
    _must("height", _INT32),
    _must("width", _INT32),
    _must("values", pa.list_(pa.float32())),
)

SCHEMAS = {"curves": CURVES, "weights": WEIGHTS, "trials": TRIALS}
"""Every table, in the order a part is written: the trials part comes last and commits the other two."""


def to_tables(results: Sequence[TrialResult]) -> dict[str, pa.Table]:
    """The three Arrow tables of these results, by table name."""
    return {
        "curves": _table(CURVES, ((result.trial_id, row) for result in results for row in result.curve)),
        "weights": _table(WEIGHTS, ((result.trial_id, row) for result in results for row in result.weights)),
        "trials": _table(TRIALS, ((result.trial_id, result) for result in results)),
    }


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
