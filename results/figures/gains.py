"""Gains over convolution as a setting varies, for the figures that draw them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lrlc.results.claims.cells import Side, pair
from lrlc.results.figures.intervals import draw_intervals
from lrlc.results.figures.looks import kind_look
from lrlc.results.names import kind_name
from lrlc.results.statistics import Summary, summarise
from lrlc.studies.claims import Cells

REFERENCE = "conv"


def relaxed(rows: pd.DataFrame, kind: str) -> Cells:
    """A kind's cells, without rank 1, which is equivalent to a convolution, if there are other ranks."""
    ranks = sorted({int(rank) for rank in rows.loc[rows["kind"] == kind, "rank"].dropna()})
    return Cells(kind=kind, rank=[rank for rank in ranks if rank > 1] or ranks)


def gains_of(rows: pd.DataFrame, cells: Cells) -> "pd.Series[float]":
    """The cells' test accuracy minus convolution's, by seed, in points; validation chooses among several cells."""
    pairs = pair(Side.of(rows, cells), Side.of(rows, Cells(kind=REFERENCE)))
    gains: pd.Series[float] = pairs["ours"] - pairs["theirs"]
    return gains


def draw_kind(ax: Axes, kind: str, places: Sequence[float], groups: Sequence[npt.ArrayLike]) -> None:
    """Draw a kind's means with 95% t intervals at `places`, and a faint dot for each seed; set the limits first."""
    look, found = kind_look(kind), [summarise(values) for values in groups]
    for place, values in zip(places, groups, strict=True):
        seeds = np.asarray(values, dtype=np.float64)
        ax.scatter(
            np.full(len(seeds), place), seeds, s=5, color=look.colour, alpha=0.35, linewidths=0, zorder=2
        )
    draw_means(ax, kind, places, found)


def draw_means(
    ax: Axes, kind: str, places: Sequence[float], found: Sequence[Summary], *, joined: bool = True
) -> None:
    """Draw means with 95% t intervals at `places`, optionally joined by the kind's stroke; set the limits first."""
    look = kind_look(kind)
    draw_intervals(ax, places, found, look.colour)
    ax.plot(
        places,
        [each.mean for each in found],
        color=look.colour,
        linestyle=look.stroke if joined else "",
        marker=look.marker,
        markersize=4,
        linewidth=1.1,
        zorder=4,
        clip_on=False,
    )


def kind_handle(kind: str) -> Line2D:
    """The legend entry for a kind's line."""
    look = kind_look(kind)
    return Line2D(
        [],
        [],
        color=look.colour,
        linestyle=look.stroke,
        marker=look.marker,
        markersize=4,
        label=kind_name(kind),
    )


def kind_mark(kind: str) -> Line2D:
    """The legend entry for a kind's hollow marks."""
    look = kind_look(kind)
    return Line2D(
        [],
        [],
        linestyle="",
        marker=look.marker,
        markersize=4,
        markerfacecolor="white",
        markeredgecolor=look.colour,
        label=kind_name(kind),
    )
