"""The tables as plain files, for other tools."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from lrlc.results.errors import StoreError
from lrlc.results.files import OUTPUT_ABANDONED_SECONDS, locate, write_output
from lrlc.results.schema import TABLES
from lrlc.results.store import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DATABASE = "lrlc.duckdb"
PLANNED = "planned"
"""An extra column of exported trials: false if the trial is no longer in any plan because its settings, data or code
have changed."""


def export_tables(store: Store, out: Path, to: str = "csv") -> list[Path]:
    """Write the tables in the format `to`, whole, and return the paths: `out/trials`, `curves` and so on, or one
    database `out/lrlc.duckdb` with all of them. The table `plans` says what each trial was trained for.

    In CSV a map of weights is a JSON list, bits are hexadecimal digits, and a text that a spreadsheet would evaluate is
    prefixed with an apostrophe. Raises StoreError for an unknown format
    or one that is not installed.
    """
    if to not in FORMATS:
        raise StoreError(f"cannot export to {to!r}; known: {', '.join(FORMATS)}")
    return FORMATS[to](store, out)


def _files(to: str, write: Callable[[pa.Table, BinaryIO], None], store: Store, out: Path) -> list[Path]:
    paths = []
    for name, table in _tables(store):
        paths.append(out / f"{name}.{to}")
        write_output(paths[-1], partial(write, table))
    return paths


def _tables(store: Store) -> Iterator[tuple[str, pa.Table]]:
    """The tables, trials first, with a column for those that are in a plan."""
    for name in reversed(TABLES):
        table = store.table(name)
        yield name, _marked(table, store) if name == "trials" else table
    yield "plans", store.plans()


def _marked(trials: pa.Table, store: Store) -> pa.Table:
    unplanned = pa.array(sorted(store.unplanned()), pa.string())
    return trials.append_column(PLANNED, pc.invert(pc.is_in(trials["trial_id"], unplanned)))


def _write_csv(table: pa.Table, file: BinaryIO) -> None:
    for index, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = pa.array([json.dumps(values) for values in table[field.name].to_pylist()], pa.string())
            table = table.set_column(index, field.name, texts)
        elif pa.types.is_binary(field.type):
            digits = pa.array([value.hex() for value in table[field.name].to_pylist()], pa.string())
            table = table.set_column(index, field.name, digits)
        elif pa.types.is_string(field.type):
            table = table.set_column(index, field.name, _no_formulas(table[field.name]))
    pa.csv.write_csv(table, file)


def _no_formulas(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Prefix a text that a spreadsheet would evaluate (`=...`) with an apostrophe, which spreadsheets do not show."""
    return pc.replace_substring_regex(texts, r"\A([=+\-@\t\r])", r"'\1")


def _write_parquet(table: pa.Table, file: BinaryIO) -> None:
    pa.parquet.write_table(table, file, compression="zstd")


def _database(store: Store, out: Path) -> list[Path]:
    """DuckDB needs a path: the file is created in a hidden folder beside its destination, and moved when complete."""
    try:
        import duckdb
    except ImportError:
        raise StoreError("--to duckdb needs DuckDB: pip install 'lrlc-bench[duckdb]'") from None
    path = out / DATABASE
    try:
        out.mkdir(parents=True, exist_ok=True)
        locate(out).remove_abandoned(OUTPUT_ABANDONED_SECONDS, locate(out).clock())
        with TemporaryDirectory(dir=out, prefix=".duckdb-", suffix=".writing") as hidden:
            with duckdb.connect(f"{hidden}/{DATABASE}") as database:
                for name, table in _tables(store):
                    _add_table(database, name, table)
                database.execute("CHECKPOINT")  # closing also writes, but does not report a full disk
            locate(f"{hidden}/{DATABASE}").move_to(locate(path))
    except (duckdb.Error, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise StoreError(f"cannot write {path}: {reason}; nothing was left half-written") from error
    return [path]


def _add_table(database: "DuckDBPyConnection", name: str, rows: pa.Table) -> None:
    database.register("arrow_rows", rows)
    database.execute(f"CREATE TABLE {name} AS SELECT * FROM arrow_rows")
    database.unregister("arrow_rows")
    for column in TABLES.get(name, ()):
        meaning = column.meaning.replace("'", "''")
        database.execute(f"""COMMENT ON COLUMN {name}."{column.name}" IS '{meaning}'""")


FORMATS: Mapping[str, Callable[[Store, Path], list[Path]]] = {
    "csv": partial(_files, "csv", _write_csv),
    "parquet": partial(_files, "parquet", _write_parquet),
    "duckdb": _database,
}
