"""Selection of the cells to draw, by a pattern for their names or by their settings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd

from lrlc.results.errors import StoreError
from lrlc.results.figures.selection import Selection
from lrlc.results.names import cell_label, options_name
from lrlc.results.statistics import CELL, LAYER_SETTINGS
from lrlc.studies.fields import OFF
from lrlc.studies.training import CROSS_ENTROPY, LATER_KEYS, usual


@dataclass(frozen=True)
class _Pattern:
    """A pattern: either `settings` by column, all of which a cell must match, or a `name`."""

    name: str = ""
    settings: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def parsed(text: str) -> "_Pattern":
        if "=" not in text:
            return _Pattern(text)
        pairs = [part.partition("=")[::2] for part in text.split(",")]
        return _Pattern(settings=tuple((_column(key.strip(), text), value.strip()) for key, value in pairs))

    def takes(self, cell: Mapping[Any, Any]) -> bool:
        if not self.settings:
            return _like(cell_name(cell), self.name)
        return all(_like(_text(cell, key), value) for key, value in self.settings)


def with_cells(selection: Selection, patterns: Sequence[str]) -> Selection:
    """The rows of cells matched by at least one of the patterns; all rows without patterns.

    A pattern matches a cell's name ('LRLC rank 4, layer 3') or its settings: 'kind=lrlc,rank=4'. `*` and `?`
    stand for letters as in a shell; upper and lower case are alike. StoreError if a pattern matches no cell.
    """
    if not patterns:
        return selection
    asked = {text: _Pattern.parsed(text) for text in patterns}
    needed = {*LAYER_SETTINGS, *(key for pattern in asked.values() for key, _ in pattern.settings)}

    def read(columns: Collection[str] | None) -> pd.DataFrame:
        rows = selection.read_trials(None if columns is None else {*columns, *needed})
        if len(rows):
            _check_each_matches(rows[sorted(needed)].drop_duplicates(), asked)
        kept = rows[_matched(rows, sorted(needed), list(asked.values()))]
        return kept if columns is None else kept[list(columns)]

    return replace(selection, read_trials=read)


def cell_name(cell: Mapping[Any, Any]) -> str:
    """'LRLC rank 4, layer 3, share rows'."""
    rank, options = float(str(cell["rank"])), options_name(str(cell["options"]))
    return cell_label(str(cell["kind"]), rank, str(cell["placement"]), [options] if options else [])


def _matched(rows: pd.DataFrame, settings: list[str], asked: Sequence[_Pattern]) -> "pd.Series[bool]":
    cells = rows[settings].drop_duplicates()
    taken = [any(pattern.takes(cell) for pattern in asked) for cell in cells.to_dict("records")]
    marked = cells.astype(object).assign(is_taken=taken)
    keys = rows[settings].astype(object)
    return keys.merge(marked, on=settings, how="left")["is_taken"].set_axis(rows.index).astype(bool)


def _check_each_matches(cells: pd.DataFrame, asked: Mapping[str, _Pattern]) -> None:
    """StoreError for a pattern without a match, as a typing error would silently leave cells out."""
    listed = cells.to_dict("records")
    for text, pattern in asked.items():
        if not any(pattern.takes(cell) for cell in listed):
            raise StoreError(f"--cells {text}: no cell matches; {_near(pattern, listed) or _names(cells)}")


def _near(pattern: _Pattern, cells: Sequence[Mapping[Any, Any]]) -> str:
    """Suggestions of similar values, for each setting whose value no cell has; '' if there are none."""
    told = []
    for key, value in pattern.settings:
        there = {_text(cell, key) for cell in cells}
        if not any(_like(text, value) for text in there):
            close = get_close_matches(value, sorted(there), n=1)
            told += [f"did you mean {key}={each}?" for each in close]
    return " ".join(told)


def _column(key: str, text: str) -> str:
    """The column of a setting, which may be written as in a study: `train.ema`."""
    name = key.removeprefix("train.")
    if name not in CELL:
        near = get_close_matches(name, CELL, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(CELL)}"
        raise StoreError(f"--cells {text}: unknown setting {key!r}; {hint}")
    return name


def _names(rows: pd.DataFrame, most: int = 8) -> str:
    cells = rows[list(LAYER_SETTINGS)].drop_duplicates().to_dict("records")
    names = sorted({cell_name(cell) for cell in cells})
    return (
        "there are "
        + "; ".join(names[:most])
        + (f" and {len(names) - most} more" if len(names) > most else "")
    )


def _text(cell: Mapping[Any, Any], key: str) -> str:
    """The value as in a study: rank 4, not 4.0; a null `ema` is none, a null `optimizer` is sgd."""
    value = cell[key]
    if key in LATER_KEYS and (value is None or value != value):
        value = usual(key) or (CROSS_ENTROPY if key == "recipe" else OFF)
    if isinstance(value, float):
        return "" if value != value else f"{value:.10g}"
    return str(value)


def _like(text: str, pattern: str) -> bool:
    return fnmatchcase(text.lower(), pattern.lower())
