"""How all figures look: one column or a page wide, colour-blind safe, and told apart without colour too."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import inf, isnan
from typing import Any, Literal

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lrlc.results.figures.selection import MOST_DOTS, Panel
from lrlc.results.names import dataset_name, seeds_name
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import LAYER_SETTINGS, Summary, unfinished

COLUMN_INCHES, PAGE_INCHES = 3.4, 7.0
"""Widths of one column and of a page of two."""

ACROSS = 3
"""Most panels side by side."""

INK, GREY, FAINT = "#222222", "#767676", "#D9D9D9"

# Okabe and Ito's colours; a marker each, since blue and vermilion are one grey.
PLACEMENTS = {
    "1": ("#0072B2", "o"),
    "2": ("#009E73", "s"),
    "3": ("#D55E00", "^"),
    "1+2": ("#56B4E9", "D"),
    "1+3": ("#CC79A7", "v"),
    "2+3": ("#E69F00", "P"),
    "1+2+3": ("#222222", "X"),
}
_MORE_PLACEMENTS = tuple(PLACEMENTS.values())

# Of Tol's muted scheme, so that no layer kind is taken for a placement.
KIND_COLOURS = {
    "conv": "#555555",
    "coord_conv": "#882255",
    "wide_conv": "#7A7A2B",
    "locally_connected": "#5B4FA0",
    "lrlc": "#D55E00",
    "lrlc_input_dependent": "#0072B2",
    "relaxed_conv": "#117733",
    "cond_conv": "#AA4499",
    "position_map": "#A5761D",
    "constrained_local": "#44AA99",
    "residual_pathway": "#661100",
    "involution": "#CC6677",
}
Stroke = Literal["-"] | tuple[float, tuple[float, ...]]
PEER_STROKES: dict[str, Stroke] = {
    "relaxed_conv": (0, (6, 1.5, 1, 1.5)),
    "cond_conv": (0, (2.5, 2)),
    "constrained_local": (0, (6, 1.5, 1, 1.5, 1, 1.5)),
    "residual_pathway": (0, (8, 2)),
    "involution": (0, (1, 3)),
    "position_map": (0, (3, 1, 3, 3)),
}
LINE_STYLES: dict[str, Stroke] = {
    **PEER_STROKES,
    "lrlc": "-",
    "lrlc_input_dependent": (0, (4, 1.5)),
    "wide_conv": (0, (1, 1.2)),
    "coord_conv": (0, (4, 1, 1, 1)),
    "locally_connected": (0, (1, 2.5)),
}


@contextmanager
def look() -> Iterator[None]:
    """Draw and save inside this: seaborn's ticks at a paper's size, nothing that differs between two runs."""
    settings: Any = {
        **sns.axes_style("ticks"),
        **sns.plotting_context("paper", font_scale=0.82),
        "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
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
        "axes.titlesize": 8,
        "axes.titleweight": "bold",
        "axes.labelsize": 7.5,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "legend.fontsize": 7,
        "legend.frameon": False,
        "figure.dpi": 100,
        "savefig.dpi": 300,
        "savefig.facecolor": "white",
        "svg.hashsalt": "lrlc-bench",
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
    }
    with mpl.rc_context(settings):
        yield


def grid(
    count: int, *, panel_height: float, below: float = 0.0, columns: int = 3
) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels: one column wide for one, else up to `columns` across a page.

    Heights are in inches; `below` is for a legend.
    """
    across = min(count, columns)
    down = -(-count // across)
    width = {1: COLUMN_INCHES + 0.3, 2: 5.4}.get(across, PAGE_INCHES)
    figure = Figure(figsize=(width, panel_height * down + below), layout="constrained")
    axes = [figure.add_subplot(down, across, index + 1) for index in range(count)]
    return figure, axes


def stacked(
    count: int, *, heights: tuple[float, float], below: float
) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """A figure with `count` columns of two panels, one above the other, ACROSS at most side by side.

    `heights` of the two, and of what is `below` them for a legend, are in inches.
    """
    across = min(count, ACROSS)
    bands = -(-count // across)
    width = {1: COLUMN_INCHES, 2: 5.4}.get(across, PAGE_INCHES)
    figure = Figure(figsize=(width, sum(heights) * bands + below), layout="constrained")
    places = figure.add_gridspec(2 * bands, across, height_ratios=[*heights] * bands)
    pairs = []
    for number in range(count):
        band, column = divmod(number, across)
        above, under = (figure.add_subplot(places[2 * band + row, column]) for row in (0, 1))
        pairs.append((above, under))
    return figure, pairs


def half_width(summary: Summary) -> float:
    """Of the interval; 0 at one seed, which has none."""
    return 0.0 if isnan(summary.high) else summary.high - summary.mean


def limits(
    found: Iterable[Summary], least: float, within: tuple[float, float] = (-inf, inf)
) -> tuple[float, float]:
    """Room for every mean and, up to half as much again, for intervals: at two seeds they run off.

    `least` is the smallest range that is taken for one; intervals are shown `within` what the values can be.
    """
    known = list(found)
    low, high = min(each.mean for each in known), max(each.mean for each in known)
    span = max(high - low, least)
    lowest = max(within[0], min(each.mean - half_width(each) for each in known))
    highest = min(within[1], max(each.mean + half_width(each) for each in known))
    low, high = max(lowest, low - 0.5 * span), min(highest, high + 0.5 * span)
    return low - 0.05 * span, high + 0.05 * span


def title(axes: Axes, panel: Panel, counts: str | None = None) -> None:
    """The data set; below it what tells the panel from others, and `counts`: else of its seeds and images."""
    below = [panel.detail] if panel.detail else []
    axes.set_title("\n".join([dataset_name(panel.dataset), ""]), pad=3, linespacing=1.35)
    note = " · ".join([*below, counts or seeds_note(panel.rows)])
    axes.annotate(
        note, (0, 1), (0, 3.5), "axes fraction", "offset points", fontsize=6, color=GREY, va="bottom"
    )


def seeds_note(rows: pd.DataFrame, counts: Collection[int] = (), reporting: Collection[int] = ()) -> str:
    """'5 seeds, 10,000 test images', and what did not finish: '3 to 5 seeds, 1 diverged'.

    `counts` are the seeds behind what is drawn: those of every cell, if none are given. Where not all seeds are among
    the `reporting` ones, because others chose what is drawn, these are named: '6 seeds (3 to 8)'.
    """
    finished = rows[rows["status"] == TrialStatus.FINISHED]
    counts = counts or finished.groupby(list(LAYER_SETTINGS), dropna=False).size().tolist()
    low, high = min(counts), max(counts)
    least, most = (f"{count / 1000:.1f} k" if count >= 1000 else f"{count}" for count in (low, high))
    seeds = least if least == most else f"{least} to {most}"
    parts = [f"{seeds} seed{'s' if high > 1 else ''}"]
    if 0 < len(reporting) <= MOST_DOTS and len(reporting) < finished["seed"].nunique():
        parts[0] += f" ({seeds_name(reporting)})"
    images = finished["test_images"].dropna().unique()
    if len(images) == 1:
        parts.append(f"{int(images[0]):,} test images")
    ended = {ending: count for ending, count in unfinished(rows).items() if ending != TrialStatus.PRUNED}
    return ", ".join([*parts, *(f"{count} {ending}" for ending, count in ended.items())])


def placement_order(placements: Sequence[str]) -> list[str]:
    """Single places first, then pairs, and so on."""
    return sorted(set(placements), key=lambda text: (text.count("+"), text))


def placement_look(placement: str) -> tuple[str, str]:
    """Colour and marker of a placement, the same in every figure."""
    if placement in PLACEMENTS:
        return PLACEMENTS[placement]
    return _MORE_PLACEMENTS[sum(placement.encode()) % len(_MORE_PLACEMENTS)]


def kind_colour(kind: str) -> str:
    return KIND_COLOURS.get(kind, "#E69F00")


def no_handle() -> Line2D:
    """An empty place in a legend."""
    return Line2D([], [], linestyle="", label=" ")


def row_major(handles: Sequence[Line2D], columns: int) -> list[Line2D]:
    """Handles in such an order that a legend of so many columns, which fills columns first, shows rows."""
    padded = [*handles, *[no_handle()] * (-len(handles) % columns)]
    return [handle for column in range(columns) for handle in padded[column::columns]]


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
