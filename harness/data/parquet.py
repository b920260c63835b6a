"""Folders of Parquet shards in the Hugging Face hub's layout: an image column struct<bytes, path> and labels."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.dataset import Images, Labels
from harness.data.errors import DataError
from harness.data.source import Decoding, RawSplit, decode_all

SPLITS = {"train": "train", "valid": "validation", "val": "validation", "dev": "validation", "test": "test"}
LABELS = ("label", "labels", "fine_label", "target", "class")
READ_TOGETHER = 1024


def shards(folder: Path) -> dict[str, list[Path]]:
    """The Parquet files below `folder` by split, which their names begin with; hidden ones are left out."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.parquet")):
        split = next((split for prefix, split in SPLITS.items() if path.name.startswith(prefix)), None)
        if split is not None:
            found.setdefault(split, []).append(path)
    return found


def read_parquet(
    folder: Path, label: str | None, decoding: Decoding, default_label: str | None = None
) -> Mapping[str, RawSplit]:
    """The splits below `folder`; DataError where a file, column or label is not what it should be."""
    splits = {}
    for split, paths in shards(folder).items():
        image_column, label_column = _columns(paths[0], label, default_label)
        labels = np.concatenate([_labels(path, label_column) for path in paths])
        splits[split] = RawSplit(labels, _chunks(paths, image_column, decoding))
    return splits


def _columns(path: Path, label: str | None, default_label: str | None) -> tuple[str, str]:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{path}: not a readable Parquet file ({_first_line(error)}); fetch it again"
        ) from error
    images = [field.name for field in schema if pa.types.is_struct(field.type) and _has_bytes(field.type)]
    numbers = [
        field.name for field in schema if pa.types.is_integer(field.type) or pa.types.is_boolean(field.type)
    ]
    if not images:
        raise DataError(f"{path}: no image column (a struct with bytes); columns: {', '.join(schema.names)}")
    wanted = label or default_label
    if wanted is not None and wanted not in numbers:
        raise DataError(
            f"{path}: no label column {wanted!r}; whole-number columns: {', '.join(numbers) or 'none'}"
        )
    usual = [name for name in LABELS if name in numbers] or numbers
    if wanted is None and not usual:
        raise DataError(f"{path}: no whole-number label column; columns: {', '.join(schema.names)}")
    return images[0], wanted or usual[0]


def _has_bytes(kind: pa.StructType) -> bool:
    return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))


def _labels(path: Path, column: str) -> Labels:
    values = pq.read_table(path, columns=[column])[column]
    if values.null_count:
        raise DataError(f"{path}: column {column!r} has {values.null_count} empty labels")
    labels = values.cast(pa.int64()).to_numpy()
    if len(labels) and labels.min() < 0:
        raise DataError(
            f"{path}: column {column!r}, row {int(labels.argmin())}: label {labels.min()} is under 0"
        )
    return labels  # type: ignore[no-any-return]


def _chunks(paths: list[Path], column: str, decoding: Decoding) -> Callable[[], Iterator[Images]]:
    def encoded() -> Iterator[tuple[str, bytes]]:
        for path in paths:
            row = 0
            for batch in pq.ParquetFile(path).iter_batches(READ_TOGETHER, columns=[column]):
                for value in batch.column(0).field("bytes").to_pylist():
                    if value is None:
                        raise DataError(f"{path} row {row}: no image bytes")
                    yield f"{path} row {row}", value
                    row += 1

    def chunks() -> Iterator[Images]:
        return decode_all(encoded(), decoding)

    return chunks


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
