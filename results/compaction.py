"""Merging parts: one-row parts take 12 KB each, and reading 20,000 of them takes 23 s.

The merged part appears like any commit, with its trials file last, and names the parts it replaces. Readers then skip
those, and only then are they deleted. If killed earlier, nothing has changed; if killed later, the next compaction
deletes the rest.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lrlc.results.errors import StoreError
from lrlc.results.files import OUTPUT_ABANDONED_SECONDS, Location
from lrlc.results.part_files import (
    FILE,
    SUFFIX,
    Part,
    content_damage,
    has_later_columns,
    part_path,
    publish,
    read_file,
)
from lrlc.results.parts import discard, has_later_tables, load, merged_name, snapshot
from lrlc.results.schema import COMPANIONS, SCHEMAS

LARGE_PART_ROWS = 100_000
"""Parts with at least this many trials are not merged."""

ROW_GROUP_BYTES = 32 * 2**20
OUTPUTS = ("export", "figures")
"""Folders that commands write beside the tables by default."""

ABANDONED_AFTER_SECONDS = 24 * 3600.0
"""Files of an unfinished commit are deleted after this time; no commit takes as long."""


def compact(root: Location) -> None:
    """Merge the small intact parts into one and delete replaced parts."""
    try:
        _merge_small_parts(root)
    except FileNotFoundError:
        return  # another process merged them first
    for name in _still_there(root, snapshot(root).replaced):
        for table in SCHEMAS:  # the trials file last: while it exists, the next compaction finds the rest
            part_path(root, table, name).remove()
    if (root / "trials").is_folder():
        _remove_abandoned(root, (root / "trials").clock())


def _merge_small_parts(root: Location) -> None:
    now = snapshot(root)
    small = [part for part in now.parts if part.rows["trials"] < LARGE_PART_ROWS and _is_whole(root, part)]
    if len(small) < 2:
        return
    kept = _kept_ids(root)
    name = merged_name(small[-1].name)
    try:
        unnamed = Part(name, {}, frozenset())
        rows = {table: _write_merged(root, table, unnamed, small, kept) for table in COMPANIONS}
        # Parts replaced by one of these may still exist; they stay replaced.
        replaces = frozenset(part.name for part in small).union(_still_there(root, now.replaced))
        _write_merged(root, "trials", Part(name, rows, replaces), small, kept)
    except StoreError:
        discard(root, name)
        raise


def _still_there(root: Location, replaced: frozenset[str]) -> list[str]:
    return [name for name in (root / "trials").names(SUFFIX) if name in replaced]


def _is_whole(root: Location, part: Part) -> bool:
    """Whether the part can be merged without loss."""
    if has_later_tables(part):
        return False
    return all(
        content_damage(root, table, part.name, part.rows[table]) is None
        and not has_later_columns(part_path(root, table, part.name), table)
        for table in SCHEMAS
        if part.rows[table]
    )


def _kept_ids(root: Location) -> dict[str, pa.Array]:
    """The trials whose current row is in each part."""
    rows = load(root, "trials", ["trial_id"]).table
    kept: dict[str, list[str]] = {}
    for path, trial_id in zip(rows[FILE].to_pylist(), rows["trial_id"].to_pylist(), strict=True):
        kept.setdefault(PurePath(path).stem, []).append(trial_id)
    return {name: pa.array(ids, pa.string()) for name, ids in kept.items()}


def _write_merged(
    root: Location, table: str, merged: Part, parts: Sequence[Part], kept: dict[str, pa.Array]
) -> int:
    """Write one file of the merged part and return its rows; no file for a table without rows."""
    sources = [part for part in parts if part.rows[table] and part.name in kept]
    if not sources and table != "trials":
        return 0
    return publish(root, table, merged, _row_groups(root, table, sources, kept), **_encoding(SCHEMAS[table]))


def _encoding(schema: pa.Schema) -> dict[str, Any]:
    """Byte-stream-split encoding for maps, which saves two fifths for weights; Parquet's defaults elsewhere."""
    lists = [field.name for field in schema if pa.types.is_list(field.type)]
    if not lists:
        return {}
    return {
        "use_byte_stream_split": [f"{name}.list.element" for name in lists],
        "use_dictionary": [name for name in schema.names if name not in lists],
    }


def _row_groups(
    root: Location, table: str, parts: Sequence[Part], kept: dict[str, pa.Array]
) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    for part in parts:
        rows = read_file(part_path(root, table, part.name), table)
        waiting.append(rows.filter(pc.is_in(rows["trial_id"], kept[part.name])))
        if sum(rows.nbytes for rows in waiting) >= ROW_GROUP_BYTES:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _remove_abandoned(root: Location, now: float) -> None:
    """Delete leftovers of killed writers: hidden files, and files of companion tables without a trials file."""
    for table in SCHEMAS:
        (root / table).remove_abandoned(ABANDONED_AFTER_SECONDS, now)
    root.remove_abandoned(ABANDONED_AFTER_SECONDS, now)
    for output in OUTPUTS:
        (root / output).remove_abandoned(OUTPUT_ABANDONED_SECONDS, now)
    committed = set((root / "trials").names(SUFFIX))
    for table in COMPANIONS:
        for name in set((root / table).names(SUFFIX)) - committed:
            path = part_path(root, table, name)
            modified = path.modified_at()
            if modified is not None and now - modified > ABANDONED_AFTER_SECONDS:
                path.remove()
