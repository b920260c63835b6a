"""Reading the tables: which parts count, which are damaged, and which of two rows of one trial stands.

A part is one file in `trials/`, and under the same name one in each companion table in which its trials have rows;
it exists once its trials file does. A merged part names in its metadata the parts that it replaces, and readers then
skip those.
"""

import json
import time
import uuid
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from lrlc.results.errors import StoreError
from lrlc.results.files import Location
from lrlc.results.schema import COMPANIONS, SCHEMAS, TrialStatus, check_version
from lrlc.results.trial_ids import all_different

SUFFIX = ".parquet"
PART_KEY = b"lrlc.part"
FILE = "__filename"
"""The column in which pyarrow gives the file a row comes from."""

_CHECKED = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
_CATEGORY = pa.dictionary(pa.int32(), pa.string())
_RETRIES = 20


@dataclass(frozen=True)
class Part:
    """One committed part: its rows per table, and the parts whose rows it took over."""

    name: str
    rows: dict[str, int]
    replaces: frozenset[str]

    def metadata(self) -> dict[bytes, bytes]:
        """What the trials file says of its part."""
        return {PART_KEY: json.dumps({"rows": self.rows, "replaces": sorted(self.replaces)}).encode()}


@dataclass(frozen=True)
class Snapshot:
    """The parts that count at one moment, oldest first; what they replace; files that cannot be read."""

    parts: tuple[Part, ...]
    replaced: frozenset[str]
    damaged: tuple[Location, ...]


@dataclass(frozen=True)
class Loaded:
    """Rows with the file each comes from (in column FILE), and the files that had to be left out."""

    table: pa.Table
    damaged: tuple[Location, ...]


def part_path(root: Location, table: str, name: str) -> Location:
    return root / table / f"{name}{SUFFIX}"


def discard(root: Location, name: str) -> None:
    """Delete a part, its trials file first, so that no reader sees a part of it."""
    for table in reversed(SCHEMAS):
        part_path(root, table, name).remove()


def new_name(root: Location) -> str:
    """A name that sorts after every part there is, even if the clock was set back, and cannot be taken."""
    last = max((_moment(name) for name in (root / "trials").names(SUFFIX)), default=0)
    return _name(max(time.time_ns(), last + 1))


def merged_name(last_replaced: str) -> str:
    """A name that stands where the last of the replaced parts stood in the order of parts."""
    return _name(_moment(last_replaced))


def snapshot(root: Location) -> Snapshot:
    """See which parts count now; raises StoreError if one was written by a later schema.

    A listing may miss a merged part that appears while it is made, and then also the parts it replaced:
    it is made again until it brings no new merged part.
    """
    parts: dict[str, Part | None] = {}
    damaged: dict[str, Location] = {}
    merging = True
    while merging:
        first_listing, merging = not parts, False
        new = [name for name in (root / "trials").names(SUFFIX) if name not in parts]
        for name, part in zip(new, _read_footers(root, new), strict=True):
            parts[name] = part
            if part is None:
                damaged[name] = part_path(root, "trials", name)
            merging |= first_listing or (part is not None and bool(part.replaces))
    known = [part for part in parts.values() if part is not None]
    replaced = frozenset(name for part in known for name in part.replaces)
    counting = sorted((part for part in known if part.name not in replaced), key=lambda part: part.name)
    unread = tuple(path for name, path in damaged.items() if name not in replaced)
    return Snapshot(tuple(counting), replaced, unread)


def load(
    root: Location,
    table: str,
    columns: Collection[str] | None = None,
    trial_ids: Collection[str] | None = None,
    categories: Collection[str] = (),
) -> Loaded:
    """Read a table, each trial once, oldest part first, without what is damaged.

    `columns` None reads all of them; `trial_ids` None, all trials. Text columns among `categories` come as
    dictionaries, which Parquet stores them as: a fifth of the time and memory where few values differ.
    """
    for _ in range(_RETRIES):
        now = snapshot(root)
        loaded = _load_from(root, now, table, columns, trial_ids, categories)
        # A file may have gone because its part was merged meanwhile: then it is in the next snapshot.
        if not loaded.damaged or _names(snapshot(root)) == _names(now):
            return loaded
    raise StoreError(f"{root / table}: its parts keep changing while they are read; try again")


def is_intact(path: Location) -> bool:
    """Whether every page of the file can be read and has its checksum."""
    try:
        schema = pq.read_schema(path.path, filesystem=path.files.arrow)
        for _ in _dataset(path, [path], schema).to_batches():
            pass
    except (pa.ArrowException, OSError) as error:
        _raise_unless_damage(error, path)
        return False
    return True


def has_later_tables(part: Part) -> bool:
    """Whether the part has rows in tables that this code does not know; to merge it would lose them."""
    return any(rows for table, rows in part.rows.items() if table not in SCHEMAS)


def has_later_columns(path: Location, table: str) -> bool:
    """Whether the file has columns that this code does not know; to write its rows again would lose them."""
    schema = pq.read_schema(path.path, filesystem=path.files.arrow)
    return not set(schema.names) <= set(SCHEMAS[table].names)


def read_file(path: Location, table: str) -> pa.Table:
    """A whole file, with the columns that the table has today."""
    return _dataset(path, [path], SCHEMAS[table]).to_table()


def superseded(trials: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Positions of the rows that another row of the same trial replaces; `trials` is oldest first.

    A finished row stands before any other; among equals the later one does.
    """
    if all_different(trials["trial_id"]):
        return np.empty(0, dtype=np.int64)
    group = trials["trial_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    finished = pc.equal(trials["status"], TrialStatus.FINISHED.value).to_numpy()
    order = np.lexsort((np.arange(len(group)), finished, group))
    same_as_next = group[order][:-1] == group[order][1:]
    return np.sort(order[:-1][same_as_next])


def _load_from(
    root: Location,
    now: Snapshot,
    table: str,
    columns: Collection[str] | None,
    trial_ids: Collection[str] | None,
    categories: Collection[str],
) -> Loaded:
    wanted = list(SCHEMAS[table].names if columns is None else columns)
    if not any(part.rows[table] for part in now.parts):
        return Loaded(_scan(root, [], table, wanted, None, categories), now.damaged)
    of_trials = wanted if table == "trials" else []
    names = [part.name for part in now.parts]
    first = list(dict.fromkeys([*of_trials, "trial_id", "status"]))
    trials = _read(root, "trials", names, first, trial_ids, categories)
    lost = superseded(trials.table)
    damaged = now.damaged + trials.damaged
    if table == "trials":
        kept = (
            trials.table.take(np.setdiff1d(np.arange(len(trials.table)), lost)) if len(lost) else trials.table
        )
        return Loaded(kept.select([*wanted, FILE]), damaged)
    unreadable = {path.name.removesuffix(SUFFIX) for path in trials.damaged}
    names = [part.name for part in now.parts if part.rows[table] and part.name not in unreadable]
    data = _read(root, table, names, list(dict.fromkeys([*wanted, "trial_id"])), trial_ids, categories)
    rows = data.table
    if len(lost):
        rows = rows.filter(pc.invert(pc.is_in(_row_keys(rows), _row_keys(trials.table.take(lost)))))
    return Loaded(rows.select([*wanted, FILE]), damaged + data.damaged)


def _row_keys(rows: pa.Table) -> pa.Array:
    """Part and trial of each row as one text; the same for the rows of a trial in every table."""
    name = pc.replace_substring_regex(rows[FILE], r"^.*/", "")
    return pc.binary_join_element_wise(name, rows["trial_id"], "/").combine_chunks()


def _read(
    root: Location,
    table: str,
    names: Iterable[str],
    columns: Sequence[str],
    trial_ids: Collection[str] | None,
    categories: Collection[str],
) -> Loaded:
    """Read the files at once, or one by one if one of them is damaged."""
    paths = [part_path(root, table, name) for name in names]
    chosen = None if trial_ids is None else ds.field("trial_id").isin(pa.array(trial_ids, pa.string()))
    try:
        return Loaded(_scan(root, paths, table, columns, chosen, categories), ())
    except (pa.ArrowException, OSError) as error:
        _raise_unless_damage(error, root / table)
    intact, damaged = [_scan(root, [], table, columns, chosen, categories)], []
    for path in paths:
        try:
            intact.append(_scan(root, [path], table, columns, chosen, categories))
        except (pa.ArrowException, OSError) as error:
            _raise_unless_damage(error, path)
            damaged.append(path)
    return Loaded(pa.concat_tables(intact), tuple(damaged))


def _scan(
    root: Location,
    paths: Sequence[Location],
    table: str,
    columns: Sequence[str],
    chosen: ds.Expression | None,
    categories: Collection[str],
) -> pa.Table:
    rows = _dataset(root, paths, SCHEMAS[table], categories)
    return rows.to_table(columns=[*columns, FILE], filter=chosen).unify_dictionaries()


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


def _read_footers(root: Location, names: Sequence[str]) -> Iterable[Part | None]:
    paths = [part_path(root, "trials", name) for name in names]
    if root.files.parallel_reads == 1 or len(names) < 2:
        return map(_read_footer, paths, names)
    with ThreadPoolExecutor(root.files.parallel_reads) as threads:
        return list(threads.map(_read_footer, paths, names))


def _read_footer(path: Location, name: str) -> Part | None:
    """What a trials file says of its part; None if it cannot be read."""
    try:
        footer = pq.read_metadata(path.path, filesystem=path.files.arrow)
    except (pa.ArrowException, OSError) as error:
        _raise_unless_damage(error, path)
        return None
    check_version(footer.metadata, str(path))
    told = json.loads((footer.metadata or {}).get(PART_KEY, b"{}"))
    rows = {**dict.fromkeys(COMPANIONS, 0), **told.get("rows", {}), "trials": footer.num_rows}
    return Part(name, rows, frozenset(told.get("replaces", ())))


def _raise_unless_damage(error: Exception, path: Location) -> None:
    """An unreadable content is damage, as is a file that is gone; a place that refuses is neither."""
    if reason := path.files.refusal(error):
        raise StoreError(f"cannot read {path}: {reason}") from error


def _names(now: Snapshot) -> list[str]:
    return [part.name for part in now.parts]


def _name(moment_ns: int) -> str:
    return f"{moment_ns:020d}-{uuid.uuid4().hex[:12]}"


def _moment(name: str) -> int:
    head = name.split("-")[0]
    return int(head) if head.isdecimal() else 0
