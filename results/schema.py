"""The tables: one row per trial, and companions with its epochs, its maps of combining weights and measurements.

A column is an annotated field of a dataclass here or in results.measurements; everything else is derived from it.

How the tables may change:
- A column may be added if it allows nulls, without a new version. Older parts read as null there, and older code does
  not rewrite parts that have the column.
- A table may be added, without a new version. Older parts have no rows in it, and older code does not rewrite parts
  that have it.
- Removing or renaming a column, or changing its meaning, raises the version (SCHEMA_VERSION in results/schema.py), and
  parts of earlier versions are then converted when they are read.
- Parts of a later version than the code knows are refused.

No column has been removed, renamed or changed in meaning yet, so version 1 is the only one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import pyarrow as pa

from lrlc.results.columns import (
    Bytes,
    Column,
    Companion,
    Epochs,
    Float32s,
    Fraction,
    Images,
    Int32,
    Nats,
    Pixels,
    Positions,
    Seconds,
    Unit,
    arrow_schema,
    columns_of,
    companions_of,
)
from lrlc.results.errors import StoreError
from lrlc.results.measurements import (
    CorrectImages,
    EquivarianceError,
    MetricValue,
    ShiftAccuracy,
    SpectrumValue,
)

SCHEMA_VERSION = 1
VERSION_KEY = b"lrlc.schema_version"
"""The key of the version in the metadata of a Parquet file's schema."""


class TrialStatus(StrEnum):
    """How a trial ended."""

    FINISHED = "finished"
    """Trained to its last epoch and tested."""
    PRUNED = "pruned"
    """Stopped early by the search's pruner; the curve ends there and nothing was tested."""
    DIVERGED = "diverged"
    """Its loss was no longer finite. The same settings and seed would diverge again."""
    FAILED = "failed"
    """Stopped by an error, given in `error`. `lrlc retry` trains it again."""
    TIMED_OUT = "timed_out"
    """Stopped at the study's time limit; the curve ends there and nothing was tested."""
    OUT_OF_MEMORY = "out_of_memory"
    """Ran out of memory, even without another trial beside it."""


BROKEN = (TrialStatus.FAILED, TrialStatus.TIMED_OUT, TrialStatus.OUT_OF_MEMORY)
"""Statuses that say nothing about the network; `lrlc retry` trains such trials again."""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of a learning curve."""

    epoch: Annotated[Int32, "Counted from 1."]
    train_loss: Annotated[Nats, "Mean cross-entropy over the epoch's training steps."]
    train_accuracy: Annotated[Fraction, "Accuracy over the epoch's training steps."]
    validation_loss: Annotated[Nats, "Mean cross-entropy on the validation split after the epoch."]
    validation_accuracy: Annotated[Fraction, "Accuracy on the validation split after the epoch."]
    learning_rate: Annotated[float, "The learning rate of the epoch's last step."]
    seconds: Annotated[Seconds, "Time of the epoch's training steps only."]


@dataclass(frozen=True)
class WeightMap:
    """The learned weights of one filter bank over a layer's output positions, (height, width) in row-major order."""

    layer: Annotated[str, "The layer's name in the network."]
    bank: Annotated[Int32, "The filter bank, counted from 0."]
    image: Annotated[
        Int32 | None, "The test image the map was made for, counted from 0; null for fixed weights."
    ]
    height: Annotated[Positions, "Rows of output positions."]
    width: Annotated[Positions, "Columns of output positions."]
    values: Annotated[Float32s, "The bank's weight at each position, row by row: height x width."]


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """Everything known of a trial when it ended: its row, its learning curve and its measurements.

    A field is a column of `trials`, or holds the rows of a companion table. What was not measured is None.
    """

    trial_id: Annotated[str, "16 hexadecimal digits: a hash of settings, data, seed and code epoch."]
    study: Annotated[str, "The study that trained it."]
    status: Annotated[TrialStatus, "How it ended; see below."]
    error: Annotated[str | None, "The error that stopped the trial, with its traceback."]
    dataset: Annotated[str, "The data set as in the study: `celeba:Smiling@16+t8`."]
    dataset_name: Annotated[str, "Only the data set's name, or a folder's path: `celeba`."]
    translate: Annotated[Pixels, "The largest random shift of an image in each direction."]
    label: Annotated[str | None, "The attribute used as label, if the data set has several: `Smiling`."]
    draw: Annotated[
        str | None, "`seed` if each seed draws its own training images; null if the first ones are used."
    ] = None
    shuffle_labels: Annotated[
        bool | None, "Whether training and validation labels are permuted by seed; null is no."
    ] = None
    image_height: Annotated[Pixels | None, "Height of the images as trained on."] = None
    image_width: Annotated[Pixels | None, "Width of the images as trained on."] = None
    train_images: Annotated[Images | None, "Training images that were used."] = None
    validation_images: Annotated[Images | None, "Validation images that were used."] = None
    test_images: Annotated[Images | None, "Test images that were used."] = None
    data_digest: Annotated[str, "A hash of the data set's content."]
    network: Annotated[str, "The network whose layers are replaced: `three_layer`."]
    kind: Annotated[str, "The kind of layer at the replaced places: `lrlc`; `conv` replaces none."]
    rank: Annotated[
        Int32 | None,
        "The number of filter banks; for `wide_conv`, the rank whose parameter count it matches.",
    ]
    placement: Annotated[str, "Which layers are replaced: `1+3`; empty if none is."]
    options: Annotated[str, "The layer's further options, as JSON."]
    seed: Annotated[
        int, "Seeds initial weights, image order, shifts and draws; trials with the same seed are paired."
    ]
    epochs: Annotated[Epochs, "Epochs requested."]
    batch_size: Annotated[Int32, "Images per training step.", Unit("images")]
    learning_rate: Annotated[float, "The highest learning rate, after warm-up."]
    momentum: Annotated[float, "Nesterov momentum; the first beta of `adamw`."]
    warmup_epochs: Annotated[float, "Length of the learning rate's warm-up.", Unit("epochs")]
    precision: Annotated[
        str, "The arithmetic of training, `float32` or `bfloat16`; `auto` if training never began."
    ]
    optimizer: Annotated[str | None, "`adamw`, or a plugin's optimizer; null is `sgd`."] = None
    weight_decay: Annotated[float | None, "Weight decay, without biases and norms. Null is 0."] = None
    schedule: Annotated[
        str | None, "The learning rate's schedule after warm-up: `constant`, `step`; null is `cosine`."
    ] = None
    decay_epochs: Annotated[float | None, "Time between two steps of schedule `step`.", Unit("epochs")] = None
    decay_rate: Annotated[
        float | None, "The factor on the learning rate at a step of schedule `step`; null is 0.1."
    ] = None
    label_smoothing: Annotated[
        float | None,
        "Share of the target spread evenly over all classes; losses are reported without it. Null is 0.",
    ] = None
    gradient_clipping: Annotated[
        float | None, "Upper bound on the norm of all gradients; null if there is none."
    ] = None
    augment: Annotated[str | None, "Augmentations of training images, in order: `flip+crop`."] = None
    crop_padding: Annotated[
        Pixels | None,
        "Black border around the images that `crop` cuts from; null is an eighth of their height.",
    ] = None
    mixup_alpha: Annotated[
        float | None, "Parameter of the Beta distribution of `mixup`'s share; null is 0.2."
    ] = None
    ema: Annotated[
        float | None,
        "Decay of the moving average of the weights, which is evaluated; null is the weights themselves.",
    ] = None
    recipe: Annotated[str | None, "A plugin's recipe; null if the cross-entropy is minimised."] = None
    config: Annotated[str, "All settings that define the trial, as JSON."]
    code_epoch: Annotated[Int32, "Raised when the code changes what a trial computes."]
    search_number: Annotated[Int32 | None, "The search's suggestion that requested it; null in a grid."] = (
        None
    )
    test_accuracy: Annotated[
        Fraction | None, "Accuracy on the test split, evaluated once, after the last epoch."
    ] = None
    test_loss: Annotated[Nats | None, "Mean cross-entropy on the test split."] = None
    validation_accuracy: Annotated[
        Fraction | None, "Accuracy on the validation split after the last completed epoch."
    ] = None
    validation_loss: Annotated[
        Nats | None, "Mean cross-entropy on the validation split after the last completed epoch."
    ] = None
    train_accuracy: Annotated[Fraction | None, "Accuracy over the last epoch's training steps."] = None
    train_loss: Annotated[Nats | None, "Mean cross-entropy over the last epoch's training steps."] = None
    epochs_run: Annotated[Epochs, "Completed epochs."] = 0
    weights_spatial_std: Annotated[
        float | None,
        "How far combining weights differ between positions: the standard deviation of a bank's weight, after "
        "normalisation, over the output positions of its layer (divided by their number), averaged over banks and "
        "low-rank layers. Input-dependent weights are also averaged over images: the first 256 test images. "
        "Null without low-rank layers.",
    ] = None
    weights_image_std: Annotated[
        float | None,
        "How far input-dependent combining weights differ between images: the standard deviation of a bank's weight "
        "at one position over the first 256 test images (divided by their number), averaged over positions, banks "
        "and input-dependent layers. Null without such layers.",
    ] = None
    parameters: Annotated[int | None, "Trainable parameters of the whole network."] = None
    flops_per_image: Annotated[
        int | None,
        "Cost of a forward pass of one image; a multiply-add is two FLOPs. Without what is done once per batch: "
        "forming the filters of fixed combining weights.",
        Unit("FLOPs"),
    ] = None
    train_seconds: Annotated[Seconds, "Time of the training steps only, summed over epochs."] = 0.0
    total_seconds: Annotated[Seconds, "Time of the whole trial, including evaluation."] = 0.0
    images_per_second: Annotated[
        float | None, "Training images processed, divided by `train_seconds`.", Unit("images/second")
    ] = None
    peak_memory_bytes: Annotated[Bytes | None, "Peak GPU memory; null on a CPU."] = None
    attempts: Annotated[Int32, "Workers that started it, including those that died or ran out of memory."] = 1
    resumed_epochs: Annotated[Epochs | None, "Epochs that its last worker restored from a checkpoint."] = None
    gpu_fraction: Annotated[
        float | None,
        "Its share of a GPU. Below 1, others may have trained on the same GPU, so its times are not those of a "
        "trial alone.",
        Unit("GPUs"),
    ] = None
    git_commit: Annotated[str | None, "The commit of the code, if it came from git."] = None
    git_dirty: Annotated[bool | None, "Whether the code had uncommitted changes."] = None
    versions: Annotated[str, "Versions of Python and the libraries, as JSON."] = "{}"
    host: Annotated[str, "The machine that trained it."] = ""
    backend: Annotated[str | None, "`LRLC_BACKEND`, if it was set: the kernels that local layers used."] = (
        None
    )
    kernels: Annotated[
        str | None,
        "The kernels that were chosen by measurement on its device, as JSON: by operator, dtype, shapes and device.",
    ] = None
    device: Annotated[str | None, "The GPU's or CPU's name."] = None
    started_at: Annotated[datetime, "The time at which its last worker started it."]
    ended_at: Annotated[datetime, "When it ended."]
    curve: Annotated[
        tuple[EpochRecord, ...],
        Companion(
            "curves",
            "One row per epoch that a trial ran.",
        ),
    ] = ()
    weights: Annotated[
        tuple[WeightMap, ...],
        Companion(
            "weights",
            "Maps of the combining weights of finished trials with low-rank layers: one row per layer and filter "
            "bank, and per image if the weights depend on the image.",
        ),
    ] = ()
    correct: Annotated[
        tuple[CorrectImages, ...],
        Companion(
            "correct",
            "One row per finished trial: which test images it classified correctly. Trials of one data set are "
            "tested on the same images in the same order.",
        ),
    ] = ()
    spectra: Annotated[
        tuple[SpectrumValue, ...],
        Companion(
            "spectra",
            "Singular values of locally connected layers and relaxed convolutions: one row per singular value of each "
            "such layer of a finished trial, if its study has `measure: {effective_rank: true}`.",
        ),
    ] = ()
    shifts: Annotated[
        tuple[ShiftAccuracy, ...],
        Companion(
            "shifts",
            "Accuracy on moved test images: one row per distance that the study lists under `measure: {shifts: "
            "[...]}`. Images are moved only for this test, never in training.",
        ),
    ] = ()
    equivariance: Annotated[
        tuple[EquivarianceError, ...],
        Companion(
            "equivariance",
            "Equivariance error of each placed layer of a finished trial, that is how far it is from moving its "
            "output along with its input: one row per layer and distance above 0 under `measure: {shifts: [...]}`.",
        ),
    ] = ()
    metrics: Annotated[
        tuple[MetricValue, ...],
        Companion(
            "metrics",
            "One row per plugin metric of a finished trial that its study uses under `measure: {metrics: "
            "[...]}`, in a search or in a claim.",
        ),
    ] = ()


COMPANIONS = companions_of(TrialResult)
"""The tables beside `trials`, by name."""

TABLES: dict[str, tuple[Column, ...]] = {
    **{
        name: (Column("trial_id", pa.string(), False, "The trial.", ""), *columns_of(table.record))
        for name, table in COMPANIONS.items()
    },
    "trials": columns_of(TrialResult),
}
"""The columns of every table, in the order a part is written; the trials come last and commit the others."""

SCHEMAS = {
    name: arrow_schema(columns, {VERSION_KEY: str(SCHEMA_VERSION).encode()})
    for name, columns in TABLES.items()
}
CURVES, WEIGHTS, TRIALS = SCHEMAS["curves"], SCHEMAS["weights"], SCHEMAS["trials"]


def to_tables(results: Sequence[TrialResult]) -> dict[str, pa.Table]:
    """The Arrow tables of these results, by table name."""
    tables = {
        table: _table(
            SCHEMAS[table],
            ((result.trial_id, row) for result in results for row in getattr(result, companion.field)),
        )
        for table, companion in COMPANIONS.items()
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
