"""The tables as plain files, for other tools."""

import json
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from results.errors import StoreError
from results.files import locate
from results.schema import SCHEMAS
from results.store import Store

FORMATS = ("csv", "parquet")


def export_tables(store: Store, out: Path, to: str = "csv") -> list[Path]:
    """Write `out/trials`, `curves` and `weights` in the format `to`, whole, and return their paths.

    In CSV a map of weights is a JSON list. Raises StoreError for an unknown format.
    """
    if to not in FORMATS:
        raise StoreError(f"cannot export to {to!r}; known: {', '.join(FORMATS)}")
    paths = []
    for name in reversed(SCHEMAS):
        table = store.table(name)
        path = out / f"{name}.{to}"
        locate(path).replace(partial(_write, table, to))
        paths.append(path)
    return paths


def _write(table: pa.Table, to: str, file: BinaryIO) -> None:
    if to == "parquet":
        pa.parquet.write_table(table, file, compression="zstd")
    else:
        pa.csv.write_csv(_flat(table), file)


def _flat(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = pa.array([json.dumps(values) for values in table[field.name].to_pylist()], pa.string())
            table = table.set_column(index, field.name, texts)
    return table
