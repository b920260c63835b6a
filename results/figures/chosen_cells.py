"""The cells that a user asks a figure to draw: by a pattern on their names, or by their settings."""

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


@dataclass(frozen=True)
class _Pattern:
    """`settings` by column, all of which a cell has to match; else its `name`."""

    name: str = ""
    settings: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def parsed(text: str) -> "_Pattern":
        if "=" not in text:
            return _Pattern(text)
        pairs = [part.partition("=")[::2] for part in text.split(",")]
        for key, _ in pairs:
            if key.strip() not in CELL:
                near = get_close_matches(key.strip(), CELL, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(CELL)}"
                raise StoreError(f"--cells {text}: unknown setting {key.strip()!r}; {hint}")
        return _Pattern(settings=tuple((key.strip(), value.strip()) for key, value in pairs))

    def takes(self, cell: Mapping[Any, Any]) -> bool:
        if not self.settings:
            return _like(cell_name(cell), self.name)
        return all(_like(_text(cell[key]), value) for key, value in self.settings)


def with_cells(selection: Selection, patterns: Sequence[str]) -> Selection:
    """The rows of the cells that one of the patterns matches; all of them without any pattern.

    A pattern is matched by a cell's name ('LRLC rank 4, layer 3'), or says settings: 'kind=lrlc,rank=4'. `*` and `?`
    stand for letters as in a shell; upper and lower case are alike. StoreError where no cell matches.
    """
    if not patterns:
        return selection
    asked = [_Pattern.parsed(text) for text in patterns]
    needed = {*LAYER_SETTINGS, *(key for pattern in asked for key, _ in pattern.settings)}

    def read(columns: Collection[str] | None) -> pd.DataFrame:
        rows = selection.read_trials(None if columns is None else {*columns, *needed})
        kept = rows[_matched(rows, sorted(needed), asked)]
        if kept.empty and len(rows):
            raise StoreError(f"--cells {' '.join(patterns)}: no cell matches; there are {_names(rows)}")
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


def _names(rows: pd.DataFrame, most: int = 8) -> str:
    cells = rows[list(LAYER_SETTINGS)].drop_duplicates().to_dict("records")
    names = sorted({cell_name(cell) for cell in cells})
    return "; ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _text(value: object) -> str:
    """As a study has it: rank 4, not 4.0."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.10g}"
    return str(value)


def _like(text: str, pattern: str) -> bool:
    return fnmatchcase(text.lower(), pattern.lower())
