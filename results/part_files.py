"""The files of a part: their location, integrity and rows.

A file is checked before it is read: by its checksum, or, if an earlier version wrote it without one, against the
table's schema.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, TypeVar

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from lrlc.results import checksums, damage
from lrlc.results.damage import Damage
from lrlc.results.errors import NoFileError, StoreError
from lrlc.results.files import Location
from lrlc.results.schema import COMPANIONS, SCHEMAS, VERSION_KEY, check_version

SUFFIX = ".parquet"
PART_KEY = b"lrlc.part"
FILE = "__filename"
"""The column in which pyarrow gives the file a row comes from."""

_CHECKED = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
_CATEGORY = pa.dictionary(pa.int32(), pa.string())
_THREADS = 2
"""Threads for files on the local disk: SHA-256 takes 1.4 ns per byte and does not block other threads."""

T = TypeVar("T")

_sound: dict[str, object] = {}
"""Files checked to be intact, with their signatures at the time."""


@dataclass(frozen=True)
class Part:
    """One committed part: its numbers of rows by table, and the parts that it replaces."""

    name: str
    rows: dict[str, int]
    replaces: frozenset[str]

    def metadata(self) -> dict[bytes, bytes]:
        """The information about a part in its trials file."""
        return {PART_KEY: json.dumps({"rows": self.rows, "replaces": sorted(self.replaces)}).encode()}


def part_path(root: Location, table: str, name: str) -> Location:
    return root / table / f"{name}{SUFFIX}"


def part_name(path: Location) -> str:
    return path.name.removesuffix(SUFFIX)


def publish(root: Location, table: str, part: Part, groups: Iterable[pa.Table], **encoding: Any) -> int:
    """Write the part's file of a table and return its rows; the trials' file commits the part."""
    metadata = {**SCHEMAS[table].metadata, **(part.metadata() if table == "trials" else {})}
    schema, rows = SCHEMAS[table].with_metadata(metadata), 0

    def write(file: IO[bytes]) -> None:
        nonlocal rows
        rows = checksums.write_parquet(file, _place(table, part.name), schema, groups, **encoding)

    part_path(root, table, part.name).publish(write)
    return rows


def read_parts(root: Location, names: Sequence[str]) -> list[Part | Damage]:
    """The information about parts in their trials files. StoreError for one written by a later version."""
    return _on_each(root, partial(_read_part, root), names)


def damaged_files(root: Location, table: str, rows: Mapping[str, int | None]) -> dict[str, Damage]:
    """The damaged files of a table, by part; `rows` has the expected number of rows of each part."""
    found = _on_each(root, lambda name: file_damage(root, table, name, rows[name]), list(rows))
    return {name: each for name, each in zip(rows, found, strict=True) if each is not None}


def file_damage(root: Location, table: str, name: str, rows: int | None = None) -> Damage | None:
    """What is wrong with a part's file, according to its checksum or its footer."""
    path = part_path(root, table, name)
    try:
        signature = path.files.signature(path.path)
        if signature is not None and _sound.get(path.path) == signature:
            return None
        fault = _fault(path, table, name, rows)
    except FileNotFoundError:
        return Damage(path, "the file is gone")
    except Exception as error:  # damaged content fails anywhere in pyarrow
        return damage_of(error, path)
    if fault is not None:
        return Damage(path, fault)
    if signature is not None:
        _sound[path.path] = signature
    return None


def content_damage(root: Location, table: str, name: str, rows: int | None = None) -> Damage | None:
    """`file_damage`, plus a check of every page and value of a file without a checksum."""
    if (found := file_damage(root, table, name, rows)) is not None:
        return found
    path = part_path(root, table, name)
    try:
        with path.files.arrow.open_input_file(path.path) as file:
            if checksums.has_checksum(file):
                return None
        return null_damage(path, table, read_file(path, table))
    except Exception as error:  # damaged content fails anywhere in pyarrow
        return damage_of(error, path)


def null_damage(path: Location, table: str, rows: pa.Table) -> Damage | None:
    """Damage if a value is missing in a column that allows no nulls."""
    for field in SCHEMAS[table]:
        if not field.nullable and field.name in rows.column_names and rows[field.name].null_count:
            return Damage(path, f"values are missing in the column {field.name}")
    return None


def damage_of(error: Exception, path: Location) -> Damage:
    """Unreadable content and missing files are damage; a refused access is a StoreError."""
    if isinstance(error, NoFileError):
        return Damage(path, damage.NO_FILE)
    if isinstance(error, StoreError | MemoryError):
        raise error
    if reason := path.files.refusal(error):
        raise StoreError(f"cannot read {path}: {reason}") from error
    return Damage(path, damage.one_line(error))


def has_later_columns(path: Location, table: str) -> bool:
    """Whether the file has columns unknown to this code, which rewriting its rows would lose."""
    schema = pq.read_schema(path.path, filesystem=path.files.arrow)
    return not set(schema.names) <= set(SCHEMAS[table].names)


def read_file(path: Location, table: str) -> pa.Table:
    """A whole file, with the table's current columns."""
    return _dataset(path, [path], SCHEMAS[table]).to_table()


def scan(
    root: Location,
    paths: Sequence[Location],
    table: str,
    columns: Sequence[str],
    chosen: ds.Expression | None,
    categories: Collection[str],
) -> pa.Table:
    """The chosen rows of these files, with their source file."""
    rows = _dataset(root, paths, SCHEMAS[table], categories)
    return rows.to_table(columns=[*columns, FILE], filter=chosen).unify_dictionaries()


def _place(table: str, name: str) -> str:
    return f"{table}/{name}"


def _fault(path: Location, table: str, name: str, rows: int | None) -> str | None:
    with path.files.arrow.open_input_file(path.path) as file:
        as_written = checksums.is_as_written(file, _place(table, name))
        if as_written is not None:
            return None if as_written else checksums.WRONG
        file.seek(0)
        return _schema_fault(path, pq.read_metadata(file), table, rows)


def _schema_fault(path: Location, footer: pq.FileMetaData, table: str, rows: int | None) -> str | None:
    """Columns written by every version that are missing from the footer."""
    check_version(footer.metadata, str(path))
    written, told = footer.schema.to_arrow_schema(), footer.metadata or {}
    if VERSION_KEY not in told or (table == "trials" and PART_KEY not in told):
        return "not written by lrlc"
    for field in SCHEMAS[table]:
        there = field.name in written.names
        if (not there and not field.nullable) or (there and written.field(field.name).type != field.type):
            return f"no column {field.name} of type {field.type}"
    return None if rows in (None, footer.num_rows) else f"{footer.num_rows} rows where its part has {rows}"


def _read_part(root: Location, name: str) -> Part | Damage:
    path = part_path(root, "trials", name)
    if (found := file_damage(root, "trials", name)) is not None:
        return found
    try:
        footer = pq.read_metadata(path.path, filesystem=path.files.arrow)
        check_version(footer.metadata, str(path))  # not yet known for a file with a checksum
        told = json.loads(footer.metadata[PART_KEY])
        rows = {**dict.fromkeys(COMPANIONS, 0), **told["rows"], "trials": footer.num_rows}
        return Part(name, rows, frozenset(told["replaces"]))
    except Exception as error:  # damaged content fails anywhere in pyarrow
        return damage_of(error, path)


def _on_each(root: Location, judge: Callable[[str], T], names: Sequence[str]) -> list[T]:
    if len(names) < 2:
        return [judge(name) for name in names]
    with ThreadPoolExecutor(max(_THREADS, root.files.parallel_reads)) as threads:
        return list(threads.map(judge, names))


def _dataset(
    where: Location, paths: Sequence[Location], schema: pa.Schema, categories: Collection[str] = ()
) -> ds.FileSystemDataset:
    filesystem = where.files.arrow
    options = ds.ParquetReadOptions(dictionary_columns=categories)
    form = ds.ParquetFileFormat(read_options=options, default_fragment_scan_options=_CHECKED)
    for name in categories:
        index = schema.get_field_index(name)
        schema = schema.set(index, schema.field(index).with_type(_CATEGORY))
    fragments = [form.make_fragment(path.path, filesystem) for path in paths]
    return ds.FileSystemDataset(fragments, schema, form, filesystem)
