"""Adding rows to the tables: one part per commit, written whole or not at all."""

from collections.abc import Callable, Mapping

import pyarrow as pa

from lrlc.results.errors import StoreError
from lrlc.results.files import Location
from lrlc.results.part_files import Part, publish
from lrlc.results.parts import discard, new_name
from lrlc.results.schema import COMPANIONS, SCHEMAS


def commit(root: Location, tables: Mapping[str, pa.Table], before_writing: Callable[[], object]) -> None:
    """Write the rows of every table as one new part; `before_writing` is called before each file, and may raise.

    Raises StoreError if the disk refuses; nothing of the part is then left.
    """
    name = new_name(root)
    part = Part(name, {table: len(tables[table]) for table in COMPANIONS}, frozenset())
    try:
        for table in SCHEMAS:  # the trials come last: their file is the commit
            if len(tables[table]):
                before_writing()
                publish(root, table, part, [tables[table]])
    except StoreError:
        discard(root, name)
        raise
