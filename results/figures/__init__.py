"""All figures by name, drawn from the tables alone. A new one is a file here and a line in FIGURES.

A figure's module offers CAPTION, a sentence or two for the reader, and `draw(selection)`, which returns a
matplotlib Figure or raises NothingToDraw with the reason. The same rows give the same bytes. It may name the
columns of trials it needs in TRIAL_COLUMNS; it then gets only those, which very large studies need.
"""

import contextlib
import importlib
import io
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lrlc.results.errors import StoreError
from lrlc.results.figures.chosen_cells import with_cells
from lrlc.results.figures.own import OWN, BrokenFigure, OwnFigure, figure, place_of_fault
from lrlc.results.figures.selection import NothingToDraw, Selection
from lrlc.results.files import write_output
from lrlc.results.store import Store
from lrlc.studies.errors import nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "FIGURES",
    "BrokenFigure",
    "Drawn",
    "NothingToDraw",
    "Selection",
    "caption",
    "draw_all",
    "figure",
    "figure_names",
    "figure_of",
    "laid_out",
    "render",
    "width_inches",
    "with_cells",
]

FIGURES: Mapping[str, str] = {
    "rank_vs_accuracy": "lrlc.results.figures.rank_vs_accuracy",
    "differences": "lrlc.results.figures.differences",
    "translated": "lrlc.results.figures.translated",
    "scaling": "lrlc.results.figures.scaling",
    "placement_rank": "lrlc.results.figures.placement_rank",
    "pareto": "lrlc.results.figures.pareto",
    "alignment": "lrlc.results.figures.alignment",
    "combining_weights": "lrlc.results.figures.combining_weights",
    "combining_weights_by_image": "lrlc.results.figures.combining_weights_by_image",
    "effective_rank": "lrlc.results.figures.effective_rank",
    "test_shift": "lrlc.results.figures.shifted_test",
    "learning_curves": "lrlc.results.figures.learning_curves",
    "tuning": "lrlc.results.figures.tuning",
    "search_history": "lrlc.results.figures.search_history",
    "search_importance": "lrlc.results.figures.search_importance",
}
"""Name -> module, imported when it is drawn: importing matplotlib and seaborn takes two seconds."""


def figure_names() -> tuple[str, ...]:
    """The names of all figures: ours, then those registered by plugins."""
    return (*FIGURES, *(name for name in OWN if name not in FIGURES))


FORMATS = ("png", "svg", "pdf")
_NO_DATE: Mapping[str, Mapping[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


@dataclass(frozen=True)
class Drawn:
    """The written files, and the reasons why figures were not drawn, by name; `broken` are those that failed."""

    paths: tuple[Path, ...]
    skipped: Mapping[str, str]
    broken: tuple[str, ...] = ()


def draw_all(
    source: Store | Selection,
    out_dir: Path,
    formats: Sequence[str] = ("png", "svg"),
    *,
    profile: str | None = None,
    only: Collection[str] | None = None,
    cells: Sequence[str] = (),
    width: str | None = None,
) -> Drawn:
    """Write every figure that the rows allow to `out_dir/<name>.<format>`, replacing an earlier one.

    For a store, the rows of the profile's plan are drawn (None: the plan written last). `only` names the figures
    to draw (None: all), `cells` the cells (see `with_cells`; none: all), and `width` is the width of figures:
    'column', 'text' or inches. Raises StoreError for an unknown format or name.
    """
    _check("figure format", formats, FORMATS)
    _check("figure", only or (), figure_names())
    inches = width_inches(width)
    selection = source if isinstance(source, Selection) else Selection.of(source, profile)
    selection = with_cells(selection, cells)
    paths, skipped, broken = [], {}, []
    for name in (name for name in figure_names() if only is None or name in only):
        try:
            drawn = render(name, selection, formats, inches)
        except NothingToDraw as reason:
            skipped[name] = str(reason)
            broken += [name] if isinstance(reason, BrokenFigure) else []
            continue
        for extension, content in drawn.items():
            paths.append(out_dir / f"{name}.{extension}")
            _write(paths[-1], content)
    return Drawn(tuple(paths), skipped, tuple(broken))


WIDTHS = {"column": 3.4, "text": 7.0}
"""Inches of one column of a paper, and of its two-column text."""
LEAST_INCHES, MOST_INCHES = 2.0, 20.0


def width_inches(given: str | None, name: str = "--width") -> float | None:
    """'column', 'text' or a number of inches; StoreError, with the `name` of the setting, for anything else."""
    if given is None or given in WIDTHS:
        return WIDTHS[given] if given else None
    try:
        inches = float(given)
    except ValueError:
        inches = math.nan
    if not LEAST_INCHES <= inches <= MOST_INCHES:
        raise StoreError(
            f"{name} {given}: expected column, text or inches from {LEAST_INCHES:g} to {MOST_INCHES:g}"
        )
    return inches


def _check(what: str, given: Collection[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise StoreError(f"unknown {what} {name!r}; {nearest(name, known)}")


def figure_of(name: str, selection: Selection, inches: float | None = None) -> "Figure":
    """One figure, `inches` wide or as wide as needed, ready to be saved or shown; raises NothingToDraw."""
    with _in_style(name, selection, inches) as figure:
        return figure


def render(
    name: str, selection: Selection, formats: Sequence[str], inches: float | None = None
) -> dict[str, bytes]:
    """Draw one figure, `inches` wide or as wide as needed, and return it in each format; raises NothingToDraw."""
    with _in_style(name, selection, inches) as figure:
        return {extension: _as_bytes(figure, extension) for extension in formats}


@contextlib.contextmanager
def _in_style(name: str, selection: Selection, inches: float | None) -> Iterator["Figure"]:
    """Context with the figure, which must be saved inside, as its look depends on matplotlib's settings there."""
    _drawing(name)  # matplotlib is loaded without the user's settings before style imports it
    from lrlc.results.figures.style import look

    with look(selection.kinds, inches), _named_faults(name):
        yield laid_out(name, selection)


def laid_out(name: str, selection: Selection) -> "Figure":
    """One figure as it will be saved, for use inside `look`; raises NothingToDraw."""
    drawn_by = _drawing(name)
    from lrlc.results.figures.glyphs import replace_undrawable
    from lrlc.results.figures.style import fit_titles

    columns = drawn_by.columns
    figure: Figure = drawn_by.draw(selection if columns is None else selection.with_columns(columns))
    if not hasattr(figure, "get_layout_engine"):
        raise TypeError(f"it returned {type(figure).__name__}, expected matplotlib's Figure")
    replace_undrawable(figure)
    # Laid out here, the same for every format; saving would repeat it for each file, by drawing twice.
    engine = figure.get_layout_engine()
    figure.set_layout_engine(None)
    if engine is not None:
        engine.execute(figure)
    if fit_titles(figure) and engine is not None:
        engine.execute(figure)
        fit_titles(figure)
    return figure


@contextlib.contextmanager
def _named_faults(name: str) -> Iterator[None]:
    """Turn an error in a plugin's figure into a BrokenFigure with its place; our own errors are unchanged."""
    try:
        yield
    except (NothingToDraw, StoreError):
        raise
    except (Exception, SystemExit) as error:
        if name in FIGURES:
            raise
        raise BrokenFigure(f"it failed at {place_of_fault(error, OWN[name].source)}") from error


def caption(name: str) -> str:
    """The figure's caption."""
    return _drawing(name).caption


def _drawing(name: str) -> OwnFigure:
    """The figure's drawing function and caption; loads matplotlib."""
    from lrlc.results.figures.matplotlib_setup import load

    load()
    if name not in FIGURES:
        return OWN[name]
    module = importlib.import_module(FIGURES[name])
    columns = getattr(module, "TRIAL_COLUMNS", None)
    return OwnFigure(module.draw, str(module.CAPTION), columns, str(module.__file__))


def _as_bytes(figure: "Figure", extension: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=extension, metadata=_NO_DATE[extension])
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    write_output(path, lambda file: file.write(content))
