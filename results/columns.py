"""Every column of every table: its type, whether it allows nulls, its unit and its meaning.

A column is a field of a dataclass in results.schema under the same name. docs/schema.md is made from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """A column, and what docs/schema.md says of it; `unit` is '' for what has none."""

    name: str
    type: pa.DataType
    nullable: bool
    meaning: str
    unit: str


def _must(name: str, kind: pa.DataType, meaning: str, unit: str = "") -> Column:
    return Column(name, kind, False, meaning, unit)


def _may(name: str, kind: pa.DataType, meaning: str, unit: str = "") -> Column:
    return Column(name, kind, True, meaning, unit)


_TEXT, _INT32, _INT64, _FLOAT = pa.string(), pa.int32(), pa.int64(), pa.float64()
_TIME = pa.timestamp("us", tz="UTC")

TRIAL_COLUMNS = (
    _must("trial_id", _TEXT, "16 hexadecimal digits: a hash of settings, data, seed and code epoch."),
    _must("study", _TEXT, "The study that trained it."),
    _must("status", _TEXT, "How it ended; see below."),
    _may("error", _TEXT, "What stopped a broken trial, with its traceback."),
    _must("dataset", _TEXT, "The data set as the study asks for it: `celeba:Smiling@16+t8`."),
    _must("dataset_name", _TEXT, "Its name alone, or the path of a folder: `celeba`."),
    _must("translate", _INT32, "How far images are shifted at most, at random, each way.", "pixels"),
    _may("label", _TEXT, "The attribute that is learned, where a data set has several: `Smiling`."),
    _may(
        "draw", _TEXT, "`seed` where each seed draws its own training images; null where the first are taken."
    ),
    _may(
        "shuffle_labels",
        pa.bool_(),
        "Whether training and validation labels are permuted by seed; null is no.",
    ),
    _may("image_height", _INT32, "Rows of an image as it was trained on.", "pixels"),
    _may("image_width", _INT32, "Columns of an image as it was trained on.", "pixels"),
    _may("train_images", _INT64, "Images in the training split that were used.", "images"),
    _may("validation_images", _INT64, "Images in the validation split that were used.", "images"),
    _may("test_images", _INT64, "Images in the test split that were used.", "images"),
    _must("data_digest", _TEXT, "A hash of the data set's content."),
    _must("network", _TEXT, "The network whose layers are replaced: `three_layer`."),
    _must("kind", _TEXT, "What its layers are replaced by: `lrlc`; `conv` replaces none."),
    _may(
        "rank",
        _INT32,
        "Filter banks of a kind with a rank; of `wide_conv` the rank it has the parameters of.",
    ),
    _must("placement", _TEXT, "Which layers are replaced: `1+3`; empty where none is."),
    _must("options", _TEXT, "The layer's further options, as JSON."),
    _must(
        "seed",
        _INT64,
        "Seeds initial weights, order of images, shifts and draws; trials of one seed are paired.",
    ),
    _must("epochs", _INT32, "Epochs asked for.", "epochs"),
    _must("batch_size", _INT32, "Images in a step.", "images"),
    _must("learning_rate", _FLOAT, "The highest learning rate, after warm-up."),
    _must("momentum", _FLOAT, "Nesterov momentum."),
    _must("warmup_epochs", _FLOAT, "How long the learning rate rises.", "epochs"),
    _must(
        "precision", _TEXT, "The arithmetic of training, `float32` or `bfloat16`; `auto` if it never began."
    ),
    _must("config", _TEXT, "All settings that define the trial, as JSON."),
    _must("code_epoch", _INT32, "Raised when the code changes what a trial computes."),
    _may("search_number", _INT32, "The suggestion of the search that asked for it; null in a grid."),
    _may(
        "test_accuracy",
        _FLOAT,
        "Accuracy on the test split, looked at once, after the last epoch.",
        "fraction",
    ),
    _may("test_loss", _FLOAT, "Mean cross-entropy on the test split.", "nats"),
    _may(
        "validation_accuracy",
        _FLOAT,
        "Accuracy on the validation split after the last epoch it ran.",
        "fraction",
    ),
    _may(
        "validation_loss",
        _FLOAT,
        "Mean cross-entropy on the validation split after the last epoch it ran.",
        "nats",
    ),
    _may("train_accuracy", _FLOAT, "Accuracy over the last epoch's training steps.", "fraction"),
    _may("train_loss", _FLOAT, "Mean cross-entropy over the last epoch's training steps.", "nats"),
    _must("epochs_run", _INT32, "Epochs that were trained to their end.", "epochs"),
    _may(
        "weights_spatial_std",
        _FLOAT,
        "How far combining weights differ between positions: the standard deviation of a bank's weight, after "
        "normalisation, over the output positions of its layer (divided by their number), averaged over banks and "
        "low-rank layers. Where weights depend on the input also averaged over images: the first 256 test images. "
        "Null without low-rank layers.",
    ),
    _may(
        "weights_image_std",
        _FLOAT,
        "How far input-dependent combining weights differ between images: the standard deviation of a bank's weight "
        "at one position over the first 256 test images (divided by their number), averaged over positions, banks "
        "and input-dependent layers. Null without such layers.",
    ),
    _may("parameters", _INT64, "Trainable numbers of the whole network."),
    _may("flops_per_image", _INT64, "Work of a forward pass; a multiply-add is two.", "FLOPs"),
    _must("train_seconds", _FLOAT, "Time of the training steps alone, all epochs together.", "seconds"),
    _must("total_seconds", _FLOAT, "Time of the whole trial, with evaluation.", "seconds"),
    _may("images_per_second", _FLOAT, "Training images over `train_seconds`.", "images/second"),
    _may("peak_memory_bytes", _INT64, "The most GPU memory it held; null on a CPU.", "bytes"),
    _must("attempts", _INT32, "Workers that took it on, those that died or lacked memory included."),
    _may("resumed_epochs", _INT32, "Epochs that its last worker took over from a checkpoint.", "epochs"),
    _may(
        "gpu_fraction",
        _FLOAT,
        "Its share of a GPU. Under 1 others could train on it too: its seconds are not those of a trial alone.",
        "GPUs",
    ),
    _may("git_commit", _TEXT, "The commit of the code, where it came from git."),
    _may("git_dirty", pa.bool_(), "Whether the code had uncommitted changes."),
    _must("versions", _TEXT, "Versions of Python and the libraries, as JSON."),
    _must("host", _TEXT, "The machine that trained it."),
    _may(
        "backend",
        _TEXT,
        "`LRLC_BACKEND` where it was set: which kernels local layers used.",
    ),
    _may("device", _TEXT, "The GPU's or CPU's name."),
    _must("started_at", _TIME, "When its last worker began."),
    _must("ended_at", _TIME, "When it ended."),
)

CURVE_COLUMNS = (
    _must("trial_id", _TEXT, "The trial."),
    _must("epoch", _INT32, "Counted from 1."),
    _must("train_loss", _FLOAT, "Mean cross-entropy over the epoch's training steps.", "nats"),
    _must("train_accuracy", _FLOAT, "Accuracy over the epoch's training steps.", "fraction"),
    _must("validation_loss", _FLOAT, "Mean cross-entropy on the validation split after the epoch.", "nats"),
    _must("validation_accuracy", _FLOAT, "Accuracy on the validation split after the epoch.", "fraction"),
    _must("learning_rate", _FLOAT, "The learning rate of the epoch's last step."),
    _must("seconds", _FLOAT, "Time of the epoch's training steps alone.", "seconds"),
)

WEIGHT_COLUMNS = (
    _must("trial_id", _TEXT, "The trial."),
    _must("layer", _TEXT, "The layer's name in the network."),
    _must("bank", _INT32, "The filter bank, counted from 0."),
    _may("image", _INT32, "The test image the map was made for, counted from 0; null for fixed weights."),
    _must("height", _INT32, "Rows of output positions.", "positions"),
    _must("width", _INT32, "Columns of output positions.", "positions"),
    _must(
        "values", pa.list_(pa.float32()), "The bank's weight at each position, row by row: height x width."
    ),
)

CORRECT_COLUMNS = (
    _must("trial_id", _TEXT, "The trial."),
    _must("split", _TEXT, "The split of the images: `test`."),
    _must("images", _INT64, "Images of the split that were classified.", "images"),
    _must(
        "bits",
        pa.binary(),
        "One bit per image in the order of the split, 1 where it was classified right; eight to a byte, the first "
        "in the highest bit, the last byte filled up with 0, as numpy.packbits does. "
        "`results.correct.correct_matrix` unpacks them.",
    ),
)

SPECTRUM_COLUMNS = (
    _must("trial_id", _TEXT, "The trial."),
    _must("layer", _TEXT, "The layer's name in the network."),
    _must(
        "rank", _INT32, "Which singular value, the largest being 1; the rank that filters are truncated to."
    ),
    _must(
        "singular_value",
        _FLOAT,
        "Of the matrix that has a row per output position and in it the filters used there (kernel height x kernel "
        "width x input channels x output channels); nothing is subtracted first.",
    ),
    _must(
        "energy",
        _FLOAT,
        "Sum of the squared singular values up to this one, over the sum of all.",
        "fraction",
    ),
    _may(
        "validation_accuracy",
        _FLOAT,
        "Accuracy on the first 1,000 validation images with this layer's filters truncated to this rank and the rest "
        "of the network, batch norm's running statistics included, as trained; null for ranks not evaluated.",
        "fraction",
    ),
    _may("test_accuracy", _FLOAT, "The same on the first 2,000 test images.", "fraction"),
)

SHIFT_COLUMNS = (
    _must("trial_id", _TEXT, "The trial."),
    _must("pixels", _INT32, "How far the test images were moved.", "pixels"),
    _must("fill", _TEXT, "What came in at the border: `zero`, black pixels."),
    _must("images", _INT64, "The first so many test images were used, each in every direction.", "images"),
    _must(
        "test_accuracy",
        _FLOAT,
        "Accuracy on the moved images, averaged over the directions up, down, left and right.",
        "fraction",
    ),
)

EQUIVARIANCE_COLUMNS = (
    _must("trial_id", _TEXT, "The trial."),
    _must("layer", _TEXT, "The layer's name in the network."),
    _must(
        "pixels",
        _INT32,
        "How far the layer's output should move: its input is moved by as many pixels times its stride.",
        "pixels",
    ),
    _must(
        "error",
        _FLOAT,
        "Distance (L2) between the layer's output for its moved input and its moved output, over the norm of the "
        "latter; its input is what the trained network gives it for the first 256 test images, moved up, down, left "
        "and right, all taken together. Positions whose receptive field reaches padding or the fill are left out.",
    ),
)


def arrow_schema(columns: Sequence[Column], metadata: dict[bytes, bytes]) -> pa.Schema:
    """The columns as Arrow and Parquet know them."""
    return pa.schema([pa.field(each.name, each.type, each.nullable) for each in columns], metadata=metadata)
