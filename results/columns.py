"""Derive columns from annotated dataclass fields: name, Arrow type, whether nulls are allowed, unit and meaning.

    test_loss: Annotated[Nats | None, "Mean cross-entropy on the test split."] = None

is a nullable double column in nats. docs/schema.md, exports and the tables on disk are derived from it.
"""

import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated, Any, Union, get_args, get_origin

import pyarrow as pa


@dataclass(frozen=True)
class Unit:
    """What a number counts or measures: 'seconds'."""

    name: str


@dataclass(frozen=True)
class Companion:
    """Marks a field whose items are the rows of a separate table, and describes its rows."""

    table: str
    meaning: str


Int32 = Annotated[int, pa.int32()]
Pixels = Annotated[Int32, Unit("pixels")]
Positions = Annotated[Int32, Unit("positions")]
Epochs = Annotated[Int32, Unit("epochs")]
Images = Annotated[int, Unit("images")]
Bytes = Annotated[int, Unit("bytes")]
Fraction = Annotated[float, Unit("fraction")]
"""Between 0 and 1."""
Nats = Annotated[float, Unit("nats")]
Seconds = Annotated[float, Unit("seconds")]
Float32s = Annotated[tuple[float, ...], pa.list_(pa.float32())]

_ARROW_TYPES = {
    str: pa.string(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    bytes: pa.binary(),
    datetime: pa.timestamp("us", tz="UTC"),
}
"""Searched in this order, as a bool is also an int."""


@dataclass(frozen=True)
class Column:
    """A column of a table, as described in docs/schema.md; `unit` is '' if it has none."""

    name: str
    type: pa.DataType
    nullable: bool
    meaning: str
    unit: str


@dataclass(frozen=True)
class CompanionTable:
    """A table of the rows in `field` of a trial's result; their class is `record`."""

    field: str
    record: type
    meaning: str


def columns_of(record: type) -> tuple[Column, ...]:
    """The columns of a dataclass, in the order of its fields; fields that are separate tables are left out."""
    return tuple(_column(each.name, each.type) for each in fields(record) if not _companions(each.type))


def companions_of(record: type) -> dict[str, CompanionTable]:
    """The tables in fields of a dataclass, by name."""
    return {
        mark.table: CompanionTable(each.name, get_args(get_args(each.type)[0])[0], mark.meaning)
        for each in fields(record)
        for mark in _companions(each.type)
    }


def arrow_schema(columns: Sequence[Column], metadata: dict[bytes, bytes]) -> pa.Schema:
    """The columns as an Arrow schema."""
    return pa.schema([pa.field(each.name, each.type, each.nullable) for each in columns], metadata=metadata)


def _column(name: str, annotated: Any) -> Column:
    parts = list(_parts(annotated))
    meanings = [part for part in parts if isinstance(part, str)]
    if len(meanings) != 1:
        raise TypeError(f"column {name} needs a meaning: Annotated[type, 'What it is.']")
    unit = next((part.name for part in parts if isinstance(part, Unit)), "")
    return Column(name, _arrow_type(name, parts), types.NoneType in parts, meanings[0], unit)


def _arrow_type(name: str, parts: Sequence[Any]) -> pa.DataType:
    for part in parts:
        if isinstance(part, pa.DataType):
            return part
    for python, arrow in _ARROW_TYPES.items():
        if any(isinstance(part, type) and issubclass(part, python) for part in parts):
            return arrow
    raise TypeError(f"column {name} has no Arrow type: name one, as in results.columns.Int32")


def _companions(annotated: Any) -> list[Companion]:
    return [each for each in _parts(annotated) if isinstance(each, Companion)]


def _parts(annotated: Any) -> Iterator[Any]:
    """The classes and marks of an annotation, at any depth."""
    if get_origin(annotated) is Annotated:
        yield from annotated.__metadata__
        yield from _parts(annotated.__origin__)
    elif get_origin(annotated) in (Union, types.UnionType):
        for option in get_args(annotated):
            yield from _parts(option)
    else:
        yield annotated
