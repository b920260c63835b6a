"""Figures from plugins, by name."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lrlc.results.errors import StoreError
from lrlc.results.figures.selection import NothingToDraw, Selection
from lrlc.studies.fields import check_new_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[Selection], "Figure"]


@dataclass(frozen=True)
class OwnFigure:
    """A plugin's figure: its drawing function, caption and columns of trials (None: all); `source` is its file."""

    draw: Draw
    caption: str
    columns: tuple[str, ...] | None
    source: str


OWN: dict[str, OwnFigure] = {}


class BrokenFigure(NothingToDraw):
    """A plugin's figure failed; the message has the line and the error."""


def place_of_fault(error: BaseException, source: str) -> str:
    """'mine.py, line 7: TypeError: ...': the last line of `source` in the traceback, on one line."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == source]
    line = f", line {lines[-1]}" if lines else ""
    said = " ".join(str(error).split())
    return f"{source}{line}: {type(error).__name__}: {said}"


def figure(name: str, *, caption: str, columns: Sequence[str] | None = None) -> Callable[[Draw], Draw]:
    """Register `(selection) -> matplotlib Figure` as the figure `name`, with a caption of a sentence or two.

    It raises NothingToDraw, with the reason, where the rows do not allow it. StoreError if another file has that
    name, or no file can have it.
    """
    try:
        check_new_name("figure", name, "/\\")
    except ValueError as error:
        raise StoreError(str(error)) from None

    def register(draw: Draw) -> Draw:
        source = draw.__code__.co_filename if hasattr(draw, "__code__") else name
        taken = OWN.get(name)
        if taken is not None and taken.source != source and Path(taken.source).is_file():
            raise StoreError(f"the figure {name!r} of {source} is already registered by {taken.source}")
        OWN[name] = OwnFigure(draw, caption, None if columns is None else tuple(columns), source)
        return draw

    return register
