"""Parquet shards in the Hugging Face hub's layout: an image column struct<bytes, path> and a label column."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lrlc.harness.data.classes import check_told_apart
from lrlc.harness.data.columns import Asked, Columns, check_same_names, choose
from lrlc.harness.data.dataset import Labels
from lrlc.harness.data.decoding import Decoding, Encoded
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.limits import check_expansion
from lrlc.harness.data.source import RawSplit, encoded_splits
from lrlc.harness.errors import first_line

READ_TOGETHER = 32
"""Rows read at once; few, as each may be a large image."""

LABEL_BYTES = 8


def read_parquet(
    shards: Mapping[str, Sequence[Path]], asked: Asked, decoding: Decoding, classes: int | None = None
) -> Mapping[str, RawSplit]:
    """The splits in `shards`; DataError for an unusable file, column or label."""
    columns = chosen_columns(shards, asked)
    values = {
        split: {path: _values(path, columns.label) for path in paths} for split, paths in shards.items()
    }
    names = _class_names(columns.label, values["train"]) if columns.label_holds_values else None
    parts = {}
    for split, of_split in values.items():
        labels = [_labels(path, columns.label, each, names, classes) for path, each in of_split.items()]
        parts[split] = np.concatenate(labels), _images(tuple(of_split), columns.image)
    return encoded_splits(parts, decoding)


def chosen_columns(shards: Mapping[str, Sequence[Path]], asked: Asked) -> Columns:
    """The columns to read, the same in every file."""
    schemas = {path: _schema(path) for paths in shards.values() for path in paths}
    chosen = {path: choose(path, schema, asked) for path, schema in schemas.items()}
    (first, columns), *others = chosen.items()
    check_same_names(schemas, columns.label)
    for path, other in others:
        if other != columns:
            raise DataError(f"{path}: {other}, but in {first.name} {columns}; name one as `label` or `image`")
    return columns


def _schema(path: Path) -> pa.Schema:
    try:
        with pq.ParquetFile(path) as file:
            groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
            columns = [group.column(at) for group in groups for at in range(group.num_columns)]
            sizes = sum(column.total_uncompressed_size for column in columns)
            unpacked = max(sizes, LABEL_BYTES * file.metadata.num_rows)
            schema: pa.Schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: not a readable Parquet file ({first_line(error)}); fetch it again"
        ) from error
    check_expansion(str(path), unpacked, [path])
    return schema


def _values(path: Path, column: str) -> pa.ChunkedArray:
    try:
        values = pq.read_table(path, columns=[column])[column]  # noqa: TID251 - of a path, no Python object
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: column {column!r} is damaged ({first_line(error)}); fetch it again"
        ) from error
    if pa.types.is_floating(values.type):  # NaN is not a class either
        values = pc.if_else(pc.is_nan(values), None, values)
    if values.null_count:
        row = values.is_null().to_pylist().index(True)
        raise DataError(f"{path}: column {column!r}, row {row}: no label ({values.null_count} in all)")
    return values


def _class_names(column: str, of_train: Mapping[Path, pa.ChunkedArray]) -> dict[object, int]:
    """The class number of each value of the training labels, in order."""
    values = {value for each in of_train.values() for value in each.unique().to_pylist()}
    check_told_apart(
        f"{next(iter(of_train)).parent}: column {column!r}", [str(value) for value in sorted(values)]
    )
    return {value: number for number, value in enumerate(sorted(values))}


def _labels(
    path: Path, column: str, values: pa.ChunkedArray, names: Mapping[object, int] | None, classes: int | None
) -> Labels:
    if names is not None:
        return _named_labels(path, column, values, names)
    try:
        labels: Labels = values.cast(pa.int64()).to_numpy()
    except pa.ArrowException as error:
        raise DataError(
            f"{path}: column {column!r}: {first_line(error)}; labels are whole numbers"
        ) from error
    wrong = np.flatnonzero((labels < 0) | (labels >= (classes or np.inf)))
    if len(wrong):
        allowed = f"outside 0..{classes - 1}" if classes else "under 0"
        raise DataError(f"{path}: column {column!r}, row {wrong[0]}: label {labels[wrong[0]]} is {allowed}")
    return labels


def _named_labels(path: Path, column: str, values: pa.ChunkedArray, names: Mapping[object, int]) -> Labels:
    found = values.to_pylist()
    for row, value in enumerate(found):
        if value not in names:
            raise DataError(f"{path}: column {column!r}, row {row}: train has no class {value!r}")
    return np.array([names[value] for value in found], np.int64)


def _images(paths: Sequence[Path], column: str) -> Callable[[], Iterator[Encoded]]:
    def encoded() -> Iterator[Encoded]:
        for path in paths:
            row = 0
            try:
                for batch in pq.ParquetFile(path).iter_batches(READ_TOGETHER, columns=[column]):
                    for value in batch.column(0):
                        yield f"{path} row {row}", _bytes(value, f"{path} row {row}")
                        row += 1
            except (pa.ArrowException, OSError) as error:
                raise DataError(
                    f"{path}: damaged after row {row} ({first_line(error)}); fetch it again"
                ) from error

    return encoded


def _bytes(value: pa.StructScalar, where: str) -> bytes:
    held = value.as_py() or {}
    if held.get("bytes") is None and held.get("path"):
        raise DataError(
            f"{where}: names the file {held['path']!r} but does not hold it; write images into the shards"
        )
    return held.get("bytes") or b""
