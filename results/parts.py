"""Reading the tables: which parts count, which are damaged, and which of a trial's rows is used.

A part is a file in `trials/`, plus files of the same name in each companion table in which its trials have rows; it
exists once its trials file does. A merged part lists the parts that it replaces in its metadata, and readers skip
those.
"""

import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lrlc.results import damage, part_files
from lrlc.results.damage import Damage
from lrlc.results.errors import StoreError
from lrlc.results.files import Location
from lrlc.results.part_files import FILE, SUFFIX, Part, part_name, part_path
from lrlc.results.schema import SCHEMAS, TrialStatus
from lrlc.results.trial_ids import all_different

_RETRIES = 20


@dataclass(frozen=True)
class Snapshot:
    """The parts that count at one moment, oldest first; the parts they replace; and unreadable files."""

    parts: tuple[Part, ...]
    replaced: frozenset[str]
    damaged: tuple[Damage, ...]


@dataclass(frozen=True)
class Loaded:
    """Rows with their source file (in column FILE), and the files that had to be left out."""

    table: pa.Table
    damaged: tuple[Damage, ...]


def discard(root: Location, name: str) -> None:
    """Delete a part, starting with its trials file, so that no reader sees it incomplete."""
    for table in reversed(SCHEMAS):
        part_path(root, table, name).remove()


def new_name(root: Location) -> str:
    """A unique name that sorts after every existing part, even if the clock was set back."""
    last = max((_moment(name) for name in (root / "trials").names(SUFFIX)), default=0)
    return _name(max(time.time_ns(), last + 1))


def merged_name(last_replaced: str) -> str:
    """A name with the same position in the order of parts as the last replaced part."""
    return _name(_moment(last_replaced))


def snapshot(root: Location) -> Snapshot:
    """Determine which parts count now; raises StoreError if one was written by a later schema.

    A listing may miss a merged part that appears meanwhile, and then also the parts it replaced, so
    listing is repeated until there is no new merged part.
    """
    parts: dict[str, Part | Damage] = {}
    merging = True
    while merging:
        first_listing, merging = not parts, False
        new = [name for name in (root / "trials").names(SUFFIX) if name not in parts]
        for name, part in zip(new, part_files.read_parts(root, new), strict=True):
            parts[name] = part
            merging |= first_listing or (isinstance(part, Part) and bool(part.replaces))
    known = [part for part in parts.values() if isinstance(part, Part)]
    replaced = frozenset(name for part in known for name in part.replaces)
    counting = sorted((part for part in known if part.name not in replaced), key=lambda part: part.name)
    damaged = [part for name, part in parts.items() if isinstance(part, Damage) and name not in replaced]
    return Snapshot(tuple(counting), replaced, tuple(damaged))


def load(
    root: Location,
    table: str,
    columns: Collection[str] | None = None,
    trial_ids: Collection[str] | None = None,
    categories: Collection[str] = (),
) -> Loaded:
    """Read a table, each trial once, oldest part first; damaged files are left out and named.

    `columns` None reads all of them; `trial_ids` None, all trials. Text columns in `categories` are read as
    dictionaries, as stored by Parquet: a fifth of the time and memory if there are few distinct values.
    """
    for _ in range(_RETRIES):
        now = snapshot(root)
        loaded = _load_from(root, now, table, columns, trial_ids, categories)
        # A file may be gone because its part was merged meanwhile; the next snapshot then has the merged part.
        if not loaded.damaged or _names(snapshot(root)) == _names(now):
            for each in loaded.damaged:
                damage.name(each)
            return loaded
    raise StoreError(f"{root / table}: its parts keep changing while they are read; try again")


def has_later_tables(part: Part) -> bool:
    """Whether the part has rows in tables unknown to this code, which merging would lose."""
    return any(rows for table, rows in part.rows.items() if table not in SCHEMAS)


def superseded(trials: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Positions of rows replaced by another row of the same trial; `trials` is oldest first.

    A finished row takes precedence, then the later one.
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
        return Loaded(part_files.scan(root, [], table, wanted, None, categories), now.damaged)
    of_trials = wanted if table == "trials" else []
    first = list(dict.fromkeys([*of_trials, "trial_id", "status"]))
    trials = _read(root, "trials", now.parts, first, trial_ids, categories)
    lost = superseded(trials.table)
    damaged = now.damaged + trials.damaged
    if table == "trials":
        kept = (
            trials.table.take(np.setdiff1d(np.arange(len(trials.table)), lost)) if len(lost) else trials.table
        )
        return Loaded(kept.select([*wanted, FILE]), damaged)
    unreadable = {part_name(each.path) for each in trials.damaged}
    parts = [part for part in now.parts if part.rows[table] and part.name not in unreadable]
    data = _read(root, table, parts, list(dict.fromkeys([*wanted, "trial_id"])), trial_ids, categories)
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
    parts: Sequence[Part],
    columns: Sequence[str],
    trial_ids: Collection[str] | None,
    categories: Collection[str],
) -> Loaded:
    """Read the intact files at once, or one by one if one of them turns out to be damaged after all."""
    chosen = None if trial_ids is None else ds.field("trial_id").isin(pa.array(trial_ids, pa.string()))
    # Trials files were checked for the snapshot.
    rows = {part.name: part.rows[table] for part in parts if table != "trials"}
    damaged = part_files.damaged_files(root, table, rows)
    paths = [part_path(root, table, part.name) for part in parts if part.name not in damaged]

    def scanned(*of: Location) -> pa.Table | Damage:
        where = of[0] if len(of) == 1 else root / table
        try:
            found = part_files.scan(root, of, table, columns, chosen, categories)
            return part_files.null_damage(where, table, found) or found
        except Exception as error:  # damaged content can raise anything in pyarrow
            return part_files.damage_of(error, where)

    found = scanned(*paths)
    if not isinstance(found, Damage):
        return Loaded(found, tuple(damaged.values()))
    each = [scanned(path) for path in paths]
    intact = [scanned(), *(one for one in each if not isinstance(one, Damage))]
    return Loaded(
        pa.concat_tables(intact), (*damaged.values(), *(one for one in each if isinstance(one, Damage)))
    )


def _names(now: Snapshot) -> list[str]:
    return [part.name for part in now.parts]


def _name(moment_ns: int) -> str:
    return f"{moment_ns:020d}-{uuid.uuid4().hex[:12]}"


def _moment(name: str) -> int:
    head = name.split("-")[0]
    return int(head) if head.isdecimal() else 0
