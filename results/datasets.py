"""What figures tell of a study's images: how aligned they are, their mean, and those that weight maps were made for.

<root>/datasets/<title>.parquet holds one row, written when a run starts; a store without it draws all the rest.
"""

import io
from dataclasses import dataclass, fields
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from results.files import Location
from results.parts import SUFFIX

FOLDER = "datasets"


@dataclass(frozen=True)
class DatasetSummary:
    """A data set as a study trains on it ('utkface+t8' is shifted)."""

    dataset: str
    data_digest: str
    seed: int
    """The seed whose shifts were applied, where images are shifted."""
    alignment: float
    """Mean correlation of two training images; harness.data.alignment defines it."""
    mean_image: npt.NDArray[np.float32]
    """(H, W, C), 0..255, of the training images."""
    examples: npt.NDArray[np.uint8]
    """(N, H, W, C): the first test images, in the order in which weight maps count them."""


VERSION = {b"lrlc.datasets_version": b"1"}
"""Raised when a column changes; files of another version are left out, and the next run writes them again."""

SCHEMA = pa.schema(
    [
        pa.field("dataset", pa.string()),
        pa.field("data_digest", pa.string()),
        pa.field("seed", pa.int64()),
        pa.field("alignment", pa.float64()),
        pa.field("mean_image", pa.list_(pa.float32())),
        pa.field("examples", pa.list_(pa.uint8())),
        pa.field("shape", pa.list_(pa.int32())),
    ],
    metadata=VERSION,
)


def write(root: Location, summary: DatasetSummary) -> None:
    """Keep the summary in place of an earlier one of its data set."""
    told = {field.name: getattr(summary, field.name) for field in fields(summary)}
    row = {**told, "mean_image": summary.mean_image.ravel(), "examples": summary.examples.ravel()}
    row["shape"] = list(summary.mean_image.shape)
    table = pa.table({name: pa.array([row[name]], SCHEMA.field(name).type) for name in SCHEMA.names}, SCHEMA)
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    (root / FOLDER / f"{quote(summary.dataset, safe='')}{SUFFIX}").replace(
        lambda file: file.write(buffer.getvalue())
    )


def read(root: Location) -> dict[str, DatasetSummary]:
    """By title, those that can be read."""
    found = {}
    for name in (root / FOLDER).names(SUFFIX):
        try:
            summary = _read(root / FOLDER / f"{name}{SUFFIX}")
        except (pa.ArrowException, OSError, KeyError, ValueError, IndexError):
            continue
        found[summary.dataset] = summary
    return found


def _read(path: Location) -> DatasetSummary:
    table = pq.read_table(io.BytesIO(path.read()))
    if not VERSION.items() <= (table.schema.metadata or {}).items():
        raise ValueError(f"{path}: another version")
    row = table.slice(0, 1).to_pylist()[0]
    shape = row.pop("shape")
    row["mean_image"] = np.array(row["mean_image"], dtype=np.float32).reshape(shape)
    row["examples"] = np.array(row["examples"], dtype=np.uint8).reshape(-1, *shape)
    return DatasetSummary(**row)
