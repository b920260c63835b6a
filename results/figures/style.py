"""The style of all figures: one column or a page wide, no higher than a page, with a title over every panel."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from lrlc.results.figures import glyphs, looks, words
from lrlc.results.figures.matplotlib_setup import only
from lrlc.results.figures.selection import MOST_DOTS, Panel
from lrlc.results.names import dataset_name, placement_key, seeds_name
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import LAYER_SETTINGS, unfinished
from lrlc.studies.lines import counted

COLUMN_INCHES, PAGE_INCHES = 3.4, 7.0
"""Widths of one column and of a two-column page."""

MOST_INCHES = 9.4
"""The height of a page without a legend; more panels are each made lower to fit, down to LEAST_*."""
LEAST_PANEL_INCHES, LEAST_STACKED_INCHES = 1.65, 1.25
"""Lower bounds on the heights of panels, titles included; with more rows of these a figure is higher than a page."""
ACROSS, MANY_ACROSS, MANY = 3, 4, 6
"""Upper bounds on panels side by side: for panels with one axis, and for more than `MANY` with two axes each."""
TITLE_POINTS, NOTE_POINTS = 8.0, 6.0
TITLE, NOTE = "panel title", "panel note"
"""Groups of the texts over a panel."""

_GIVEN_INCHES: ContextVar[float | None] = ContextVar("width", default=None)
"""The width passed to `look`, for all figures drawn inside it."""

INK, GREY, FAINT = "#222222", "#767676", "#D9D9D9"


@contextmanager
def look(kinds: Iterable[str] = (), width_inches: float | None = None) -> Iterator[None]:
    """The context for drawing and saving: seaborn's ticks at a paper's size, and deterministic output.

    `kinds` are all layer kinds of the study, so that those from plugins look the same in all its figures. Figures
    are `width_inches` wide, or as wide as needed for None; text keeps its size.
    """
    settings: Any = {
        **sns.axes_style("ticks"),
        **sns.plotting_context("paper", font_scale=0.82),
        "font.family": glyphs.FONT,
        "text.parse_math": False,  # a data set may be called '$x'; there are no formulas here
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": GREY,
        "xtick.color": GREY,
        "ytick.color": GREY,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "axes.titlelocation": "left",
        "axes.titlesize": TITLE_POINTS,
        "axes.titleweight": "bold",
        "axes.labelsize": 7.5,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "legend.fontsize": words.LEGEND_POINTS,
        "legend.frameon": False,
        "figure.dpi": 300,  # laid out as saved: at a lower resolution letters take whole pixels
        "savefig.dpi": 300,
        "savefig.facecolor": "white",
        "svg.hashsalt": "lrlc-bench",
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
    }
    token = _GIVEN_INCHES.set(width_inches)
    try:
        with only(settings), looks.known(kinds):
            yield
    finally:
        _GIVEN_INCHES.reset(token)


def is_given() -> bool:
    """Whether a width was passed to `look`."""
    return _GIVEN_INCHES.get() is not None


def width(usual: float) -> float:
    """The width passed to `look`, or else this figure's usual one."""
    return _GIVEN_INCHES.get() or usual


def grid(count: int, *, panel_height: float, columns: int = ACROSS) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels: one column wide for one, else up to `columns` across a page.

    The height of a panel is in inches.
    """
    side_by_side = fitting(count, columns)
    down = -(-count // side_by_side)
    wide = width({1: COLUMN_INCHES + 0.3, 2: 5.4}.get(side_by_side, PAGE_INCHES))
    height = max(min(panel_height, MOST_INCHES / down), min(panel_height, LEAST_PANEL_INCHES))
    figure = Figure(figsize=(wide, height * down), layout="constrained")
    axes = [figure.add_subplot(down, side_by_side, index + 1) for index in range(count)]
    return figure, axes


def stacked(count: int, *, heights: Sequence[float]) -> tuple[Figure, list[tuple[Axes, ...]]]:
    """A figure with `count` columns of stacked panels, `across(count)` of them side by side.

    `heights` of the panels in a column, in inches, are reduced if there are more columns than fit on a page.
    """
    side_by_side = across(count)
    bands = -(-count // side_by_side)
    wide = width({1: COLUMN_INCHES, 2: 5.4}.get(side_by_side, PAGE_INCHES))
    least = sum(min(height, LEAST_STACKED_INCHES) for height in heights) * bands
    height = max(min(sum(heights) * bands, MOST_INCHES), least)
    figure = Figure(figsize=(wide, height), layout="constrained")
    places = figure.add_gridspec(len(heights) * bands, side_by_side, height_ratios=[*heights] * bands)
    columns = []
    for number in range(count):
        band, column = divmod(number, side_by_side)
        rows = range(len(heights) * band, len(heights) * (band + 1))
        columns.append(tuple(figure.add_subplot(places[row, column]) for row in rows))
    return figure, columns


def across(count: int) -> int:
    """How many of `count` columns of panels are side by side."""
    return fitting(count, MANY_ACROSS if count > MANY else ACROSS)


def fitting(count: int, across_a_page: int = ACROSS) -> int:
    """How many of `count` panels are side by side, if `across_a_page` fit across a page."""
    return min(count, max(1, round(across_a_page * width(PAGE_INCHES) / PAGE_INCHES)))


def title(axes: Axes, panel: Panel, counts: str | None = None, *, aside: float = 0.35) -> None:
    """Title a panel with its data set, what distinguishes it, and `counts`, by default of its seeds and images."""
    headed(axes, dataset_name(panel.dataset), [panel.detail, counts or seeds_note(panel.rows)], aside=aside)


def headed(axes: Axes, text: str, notes: Sequence[str], *, aside: float = 0.35) -> None:
    """A title over a panel, and notes in small letters below the title, on as many lines as needed.

    `aside` is how many inches of the panel's width are beside its axes. `fit_titles` makes both fit.
    """
    room = words.panel_inches(axes) - aside
    note = words.wrapped(_phrases(notes), room, NOTE_POINTS)
    _set_title(axes, words.shortened(text, words.panel_inches(axes), TITLE_POINTS, bold=True), note)
    below = axes.annotate(note, (0, 1), (0, 3.5), "axes fraction", "offset points", va="bottom", gid=NOTE)
    below.set(fontsize=NOTE_POINTS, color=GREY, in_layout=False)  # the title reserves room for it


def _set_title(axes: Axes, text: str, note: str) -> None:
    """Set the title, with room for the lines of the note below it."""
    axes.set_title(text, pad=5 + 1.25 * NOTE_POINTS * (1 + note.count("\n")), gid=TITLE)


_Head = tuple[Axes, Text, Text, str]
"""A panel, its title, its note, and the note's text with the lines that fit."""


def fit_titles(figure: Figure) -> bool:
    """Shorten titles and break notes that would reach the next panel or the figure's edge; align those of a row.

    The layout must be done before; returns True if a title needs more room, so that it must be done again.
    """
    rows: dict[float, list[_Head]] = {}
    for axes, room in _rooms(figure):
        title = axes.title if axes.get_title() else axes._left_title  # type: ignore[attr-defined]
        if title.get_gid() == TITLE:
            title.set_text(words.shortened(title.get_text(), room, TITLE_POINTS, bold=True))
        for note in [text for text in axes.texts if text.get_gid() == NOTE]:
            fitted = words.refitted(note.get_text().rstrip("\n"), room, NOTE_POINTS)
            rows.setdefault(round(axes.get_position().y1, 3), []).append((axes, title, note, fitted))
    higher = [_align(row) for row in rows.values()]
    return any(higher)


def _align(row: Sequence[_Head]) -> bool:
    """Give the notes of a row equally many lines, so that its titles are at one height; whether one has more now."""
    most = max(fitted.count("\n") for *_, fitted in row)
    is_higher = any(most > note.get_text().count("\n") for _, _, note, _ in row)
    for axes, title, note, fitted in row:
        note.set_text(fitted + "\n" * (most - fitted.count("\n")))
        _set_title(axes, title.get_text(), note.get_text())
    return is_higher


def _rooms(figure: Figure) -> Iterator[tuple[Axes, float]]:
    """The inches from the left of each panel to the next panel or the edge of the figure."""
    lefts = {axes: axes.get_position().x0 for axes in figure.axes}
    for axes, left in lefts.items():
        middle = (axes.get_position().y0 + axes.get_position().y1) / 2
        beside = [
            other_left
            for other, other_left in lefts.items()
            if other_left > left + 0.01 and other.get_position().y0 < middle < other.get_position().y1
        ]
        yield axes, (min([1.0, *beside]) - left) * figure.get_figwidth() - 0.06


def _phrases(notes: Sequence[str]) -> list[tuple[str, str]]:
    """Phrases that may start a line, each with the text that joins it to the previous one."""
    return [
        (" · " if number == 0 else ", ", phrase)
        for note in notes
        if note
        for number, phrase in enumerate(note.split(", "))
    ]


def seeds_note(
    rows: pd.DataFrame,
    counts: Collection[int] = (),
    reporting: Collection[int] = (),
    images: Literal["test", "validation"] = "test",
) -> str:
    """'5 seeds, 10,000 test images', and trials that did not finish: '3 to 5 seeds, 1 diverged'.

    `counts` are the numbers of seeds behind what is drawn, by default those of every cell. If not all seeds are
    `reporting`, because others chose what is drawn, these are named: '6 seeds (3 to 8)'.
    """
    finished = rows[rows["status"] == TrialStatus.FINISHED]
    counts = counts or finished.groupby(list(LAYER_SETTINGS), dropna=False).size().tolist()
    low, high = min(counts), max(counts)
    least, most = (f"{count / 1000:.1f} k" if count >= 1000 else f"{count}" for count in (low, high))
    seeds = least if least == most else f"{least} to {most}"
    parts = [f"{seeds} seed{'s' if high > 1 else ''}"]
    if 0 < len(reporting) <= MOST_DOTS and len(reporting) < finished["seed"].nunique():
        parts[0] += f" ({seeds_name(reporting)})"
    numbers = finished[f"{images}_images"].dropna().unique()
    if len(numbers) == 1:
        parts.append(counted(int(numbers[0]), f"{images} image"))
    ended = {ending: count for ending, count in unfinished(rows).items() if ending != TrialStatus.PRUNED}
    return ", ".join([*parts, *(f"{count} {ending}" for ending, count in ended.items())])


def placement_order(placements: Sequence[str]) -> list[str]:
    """Single places first, then pairs, and so on."""
    return sorted(set(placements), key=placement_key)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near the wanted ones, in their order, at least `gap` apart, within low..high if they fit."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed: list[float] = []
    for index in order:
        placed.append(max(wanted[index], placed[-1] + gap if placed else low))
    limit = high
    for position in range(len(placed) - 1, -1, -1):
        placed[position] = min(placed[position], limit)
        limit = placed[position] - gap
    found = [0.0] * len(wanted)
    for index, value in zip(order, placed, strict=True):
        found[index] = value
    return found
