"""Summaries of a study's images: their alignment, their mean, and a linear classifier's accuracy on them.

A summary also holds the images that weight maps were made for.
<root>/datasets/<title>.parquet has one row, written when a run starts; its baselines are added when the run ends.
Without it, only the figures that need it are missing.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lrlc.results import checksums, damage
from lrlc.results.checksums import write_parquet
from lrlc.results.damage import Damage
from lrlc.results.files import Location
from lrlc.results.part_files import SUFFIX

FOLDER = "datasets"


@dataclass(frozen=True)
class Baseline:
    """Test accuracies on one subset of a data set without a trained network, as fractions.

    lrlc.harness.data.baselines measures them on the images as seen by trials with the summary's seed.
    """

    train_images: int
    test_images: int
    """The images used by trials, as in the columns of the same names in the trials table."""
    linear_accuracy: float | None
    """Multinomial logistic regression on the pixels, with C chosen on validation; None if it would be too large."""
    linear_images: int
    """Training images that it was fitted to, up to its limits."""
    linear_c: float | None
    probe_accuracy: float | None
    """Logistic regression on the pooled features of frozen random convolutions; None for images under 7x7."""
    probe_images: int
    """Training images that it was fitted to."""
    height: int
    width: int
    """The size that images were shrunk to for both, if they have too many values."""

    @property
    def value_of_position(self) -> float | None:
        """The value of position for the label: the linear classifier's accuracy minus the probe's, a fraction."""
        if self.linear_accuracy is None or self.probe_accuracy is None:
            return None
        return self.linear_accuracy - self.probe_accuracy


@dataclass(frozen=True)
class DatasetSummary:
    """A data set as a study trains on it ('utkface+t8' is shifted)."""

    dataset: str
    data_digest: str
    seed: int
    """The seed whose shifts were applied, if images are shifted."""
    alignment: float
    """Mean correlation of two training images; harness.data.alignment defines it."""
    mean_image: npt.NDArray[np.float32]
    """(H, W, C), 0..255, of the training images."""
    examples: npt.NDArray[np.uint8]
    """(N, H, W, C): the first test images, numbered as in weight maps."""
    baselines: tuple[Baseline, ...] = ()
    """One for each subset trained on; none in tables of earlier versions."""

    def baseline(self, train_images: int | None = None, test_images: int | None = None) -> Baseline | None:
        """The baseline of trials with these numbers of images (None: any), of several the largest, or None."""
        fitting = [
            each
            for each in self.baselines
            if train_images in (None, each.train_images) and test_images in (None, each.test_images)
        ]
        return max(fitting, key=lambda each: (each.train_images, each.test_images), default=None)

    @property
    def linear_accuracy(self) -> float | None:
        """The linear classifier's test accuracy on the largest subset."""
        largest = self.baseline()
        return largest.linear_accuracy if largest else None

    @property
    def probe_accuracy(self) -> float | None:
        """The probe's test accuracy on the largest subset."""
        largest = self.baseline()
        return largest.probe_accuracy if largest else None

    @property
    def value_of_position(self) -> float | None:
        """The value of position on the largest subset."""
        largest = self.baseline()
        return largest.value_of_position if largest else None


VERSION = {b"lrlc.datasets_version": b"1"}
"""Raised when a column changes, but not when an optional one is added; files of another version are left out, and the
next run writes them again."""

BASELINE = pa.struct(
    [
        pa.field("train_images", pa.int64()),
        pa.field("test_images", pa.int64()),
        pa.field("linear_accuracy", pa.float64()),
        pa.field("linear_images", pa.int64()),
        pa.field("linear_c", pa.float64()),
        pa.field("probe_accuracy", pa.float64()),
        pa.field("probe_images", pa.int64()),
        pa.field("height", pa.int32()),
        pa.field("width", pa.int32()),
    ]
)

SCHEMA = pa.schema(
    [
        pa.field("dataset", pa.string()),
        pa.field("data_digest", pa.string()),
        pa.field("seed", pa.int64()),
        pa.field("alignment", pa.float64()),
        pa.field("mean_image", pa.list_(pa.float32())),
        pa.field("examples", pa.list_(pa.uint8())),
        pa.field("shape", pa.list_(pa.int32())),
        pa.field("baselines", pa.list_(BASELINE)),
    ],
    metadata=VERSION,
)


def write(root: Location, summary: DatasetSummary) -> None:
    """Save the summary, replacing an earlier one of its data set."""
    told = {field.name: getattr(summary, field.name) for field in fields(summary)}
    row = {**told, "mean_image": summary.mean_image.ravel(), "examples": summary.examples.ravel()}
    row["shape"] = list(summary.mean_image.shape)
    row["baselines"] = [asdict(baseline) for baseline in summary.baselines]
    table = pa.table({name: pa.array([row[name]], SCHEMA.field(name).type) for name in SCHEMA.names}, SCHEMA)
    place = _place(_file_name(summary.dataset))
    (root / f"{place}{SUFFIX}").replace(lambda file: write_parquet(file, place, SCHEMA, [table]))


def read(root: Location) -> dict[str, DatasetSummary]:
    """The readable summaries, by title."""
    found = [kept for path in _paths(root) if (kept := damage.kept(_read(path))) is not None]
    return {summary.dataset: summary for summary in found}


def damaged(root: Location) -> list[Damage]:
    """The files that `read` leaves out."""
    return [found for path in _paths(root) if isinstance(found := _read(path), Damage)]


def _paths(root: Location) -> list[Location]:
    return [root / FOLDER / f"{name}{SUFFIX}" for name in (root / FOLDER).names(SUFFIX)]


def _read(path: Location) -> DatasetSummary | Damage | None:
    return damage.judge(path, lambda content: _parse(path.name.removesuffix(SUFFIX), content))


def _parse(name: str, content: bytes) -> DatasetSummary:
    table = checksums.parquet_table(content, _place(name))
    if not VERSION.items() <= (table.schema.metadata or {}).items():
        raise ValueError("it was not written by this version of lrlc")
    known = [field for field in SCHEMA if field.name in table.schema.names]
    if any(table.schema.field(field.name).type != field.type for field in known):
        raise ValueError("its columns have other types")
    row = table.select([field.name for field in known]).slice(0, 1).to_pylist()[0]
    if _file_name(row["dataset"]) != name:
        raise ValueError(f"it is the summary of {row['dataset']!r}")
    shape = row.pop("shape")
    row["mean_image"] = np.array(row["mean_image"], dtype=np.float32).reshape(shape)
    row["examples"] = np.array(row["examples"], dtype=np.uint8).reshape(-1, *shape)
    row["baselines"] = tuple(_baseline(told) for told in row.get("baselines") or ())
    return DatasetSummary(**row)


def _file_name(title: str) -> str:
    return quote(title, safe="")


def _place(name: str) -> str:
    return f"{FOLDER}/{name}"


def _baseline(told: Mapping[str, Any]) -> Baseline:
    return Baseline(**{field.name: told[field.name] for field in fields(Baseline)})
