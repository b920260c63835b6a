"""Choose the image and label columns of a Parquet file: the user's choice, else the usual names.

A column is never chosen for being the only one of its type: identifiers and widths are whole numbers too.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lrlc.harness.data.errors import DataError

IMAGES = ("image", "img")
LABELS = ("label", "labels", "fine_label", "target", "class")


@dataclass(frozen=True)
class Asked:
    """The columns that the user names (`label`, `image`), and a named data set's default label.

    With `values_as_classes` a label column may hold text, and each value is a class.
    """

    label: str | None = None
    image: str | None = None
    default_label: str | None = None
    values_as_classes: bool = False


@dataclass(frozen=True)
class Columns:
    """The chosen columns; with `label_holds_values` the labels are not class numbers, but each value is a class."""

    image: str
    label: str
    label_holds_values: bool

    def __str__(self) -> str:
        values = ", each value a class" if self.label_holds_values else ""
        return f"images in column {self.image!r}, labels in {self.label!r}{values}"


def choose(path: Path, schema: pa.Schema, asked: Asked) -> Columns:
    """The columns to read from the file at `path`; DataError if there is no candidate or more than one."""
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise DataError(f"{path}: several columns are called {twice[0]!r}; rename all but one")
    image = _image(path, schema, asked.image)
    label = _label(path, schema, asked)
    return Columns(image, label, not _is_whole(schema.field(label).type))


def check_same_names(schemas: Mapping[Path, pa.Schema], label: str) -> None:
    """DataError if the hub's metadata give a label's numbers different classes in different files."""
    told = {path: names for path, schema in schemas.items() if (names := _names_told(schema, label))}
    for path, names in told.items():
        first, others = next(iter(told.items()))
        if names != others:
            raise DataError(f"{path}: column {label!r} counts its classes otherwise than in {first.name}")


def _names_told(schema: pa.Schema, label: str) -> list[str] | None:
    """The class names in the hub's ClassLabel, in the order of their numbers; None if there are none."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[label]["names"]]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _image(path: Path, schema: pa.Schema, wanted: str | None) -> str:
    images = [field.name for field in schema if _holds_images(field.type)]
    if wanted is not None:
        if wanted not in images:
            raise DataError(
                f"{path}: no image column {wanted!r}; image columns: {', '.join(images) or 'none'}"
            )
        return wanted
    if not images:
        raise DataError(f"{path}: no image column (a struct with bytes); columns: {', '.join(schema.names)}")
    usual = _called(images, IMAGES)
    if len(images) > 1 and len(usual) != 1:
        raise DataError(f"{path}: several columns hold images; give `image`, one of {', '.join(images)}")
    return usual[0] if len(usual) == 1 else images[0]


def _label(path: Path, schema: pa.Schema, asked: Asked) -> str:
    whole = [field.name for field in schema if _is_whole(field.type)]
    wanted = asked.label or asked.default_label
    if wanted is not None:
        readable = [field.name for field in schema if asked.values_as_classes and _is_value(field.type)]
        if wanted not in whole + readable:
            raise DataError(
                f"{path}: no label column {wanted!r}; whole-number columns: {', '.join(whole) or 'none'}"
            )
        return wanted
    usual = _called(schema.names, LABELS)
    if "label" in usual or len(usual) == 1:
        return _whole(path, schema, "label" if "label" in usual else usual[0], whole)
    could = usual or whole
    if not could:
        raise DataError(f"{path}: no whole-number label column; columns: {', '.join(schema.names)}")
    if len(could) == 1:
        raise DataError(f"{path}: no column is called label; if {could[0]!r} is it, give `label: {could[0]}`")
    raise DataError(f"{path}: several columns could be the label; give `label`, one of {', '.join(could)}")


def _whole(path: Path, schema: pa.Schema, name: str, whole: Sequence[str]) -> str:
    kind = schema.field(name).type
    if name in whole:
        return name
    ways = [f"`label: {name}` to make each of its values a class"] if _is_value(kind) else []
    ways += [f"another column as `label` ({', '.join(whole)})"] if whole else []
    raise DataError(
        f"{path}: column {name!r} holds {kind}, not whole numbers; "
        + (f"give {' or '.join(ways)}" if ways else "write the classes as numbers from 0")
    )


def _called(names: Sequence[str], usual: Sequence[str]) -> list[str]:
    return [name for name in names if name.lower() in usual]


def _holds_images(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and any(kind.field(i).name == "bytes" for i in range(kind.num_fields))


def _is_whole(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _is_value(kind: pa.DataType) -> bool:
    """Whether each value of this type can be a class: text, or numbers that may be whole."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_floating(kind))
