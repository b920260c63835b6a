"""Folders of Parquet shards in the Hugging Face hub's layout: an image column struct<bytes, path> and labels."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lrlc.harness.data.dataset import Labels
from lrlc.harness.data.decoding import Decoding, Encoded
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.source import RawSplit
from lrlc.harness.errors import first_line

SPLITS = {"train": "train", "valid": "validation", "val": "validation", "dev": "validation", "test": "test"}
SPLIT_NAME = re.compile(r"(train|valid|val|dev|test)(ing|ation)?(?![a-z])", re.IGNORECASE)
OF_MANY = re.compile(r"(.*-)(\d+)-of-(\d+)$")
LABELS = ("label", "labels", "fine_label", "target", "class")
READ_TOGETHER = 256


def shards(folder: Path) -> dict[str, list[Path]]:
    """The Parquet files below `folder` by split, which their names (or their folders') begin with.

    Hidden files and folders are left out. DataError where one of a numbered row of shards is missing.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.parquet")):
        parts = path.relative_to(folder).parts
        split = _split(parts)
        if split is not None and not any(part.startswith(".") for part in parts):
            found.setdefault(split, []).append(path)
    for paths in found.values():
        _check_complete(paths)
    return found


def read_parquet(
    shards: Mapping[str, Sequence[Path]],
    label: str | None,
    decoding: Decoding,
    default_label: str | None = None,
    classes: int | None = None,
) -> Mapping[str, RawSplit]:
    """The splits that `shards` hold; DataError where a file, column or label is not what it should be."""
    splits = {}
    for split, paths in shards.items():
        columns = {path: _columns(path, label, default_label) for path in paths}
        labels = np.concatenate([_labels(path, columns[path][1], classes) for path in paths])
        images = {path: image for path, (image, _) in columns.items()}
        splits[split] = RawSplit.encoded(labels, _images(images), decoding)
    return splits


def _split(parts: Sequence[str]) -> str | None:
    match = SPLIT_NAME.match(parts[-1])
    if match is None and len(parts) > 1:  # the hub's own conversions are called train/0000.parquet
        match = SPLIT_NAME.fullmatch(parts[-2])
    return SPLITS[match[1].lower()] if match else None


def _check_complete(paths: Sequence[Path]) -> None:
    numbers: dict[tuple[Path, str, str], set[int]] = {}
    for path in paths:
        if match := OF_MANY.match(path.stem):
            numbers.setdefault((path.parent, match[1], match[3]), set()).add(int(match[2]))
    for (folder, beginning, of), found in numbers.items():
        lacking = sorted(set(range(int(of))) - found)
        if lacking:
            raise DataError(
                f"{folder}: {len(lacking)} of {int(of)} shards are missing, "
                f"first {beginning}{lacking[0]:0{len(of)}}-of-{of}.parquet; fetch them again"
            )


def _columns(path: Path, label: str | None, default_label: str | None) -> tuple[str, str]:
    """Names of the image and the label column."""
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: not a readable Parquet file ({first_line(error)}); fetch it again"
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
    if wanted is None and len(usual) > 1 and usual[0] not in LABELS:
        raise DataError(
            f"{path}: several columns could be the label; give `label`, one of {', '.join(usual)}"
        )
    return images[0], wanted or usual[0]


def _has_bytes(kind: pa.StructType) -> bool:
    return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))


def _labels(path: Path, column: str, classes: int | None) -> Labels:
    try:
        values = pq.read_table(path, columns=[column])[column]
        labels: Labels = values.drop_null().cast(pa.int64()).to_numpy()
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: column {column!r} is damaged ({first_line(error)}); fetch it again"
        ) from error
    if values.null_count:
        row = values.is_null().to_pylist().index(True)
        raise DataError(f"{path}: column {column!r}, row {row}: no label ({values.null_count} in all)")
    wrong = np.flatnonzero((labels < 0) | (labels >= (classes or np.inf)))
    if len(wrong):
        allowed = f"outside 0..{classes - 1}" if classes else "under 0"
        raise DataError(f"{path}: column {column!r}, row {wrong[0]}: label {labels[wrong[0]]} is {allowed}")
    return labels


def _images(columns: Mapping[Path, str]) -> Callable[[], Iterator[Encoded]]:
    def encoded() -> Iterator[Encoded]:
        for path, column in columns.items():
            row = 0
            try:
                for batch in pq.ParquetFile(path).iter_batches(READ_TOGETHER, columns=[column]):
                    for value in batch.column(0).field("bytes"):
                        yield f"{path} row {row}", value.as_py() or b""
                        row += 1
            except (pa.ArrowException, OSError) as error:
                raise DataError(
                    f"{path}: damaged after row {row} ({first_line(error)}); fetch it again"
                ) from error

    return encoded
