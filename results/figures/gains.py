"""Gains over convolution along a dial of settings, for the figures that draw them."""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lrlc.results.claims.cells import Side, pair
from lrlc.results.figures import style
from lrlc.results.figures.pareto import MARKERS
from lrlc.results.names import KIND_NAMES, kind_name
from lrlc.results.statistics import summarise
from lrlc.studies.claims import Cells

REFERENCE = "conv"


def relaxed(rows: pd.DataFrame, kind: str) -> Cells:
    """A kind's cells, without rank 1, a convolution by another name, where there are others."""
    ranks = sorted({int(rank) for rank in rows.loc[rows["kind"] == kind, "rank"].dropna()})
    return Cells(kind=kind, rank=[rank for rank in ranks if rank > 1] or ranks)


def gains_of(rows: pd.DataFrame, cells: Cells) -> "pd.Series[float]":
    """By seed, the cells' test accuracy minus convolution's, in points; of several cells validation chooses one."""
    pairs = pair(Side.of(rows, cells), Side.of(rows, Cells(kind=REFERENCE)))
    gains: pd.Series[float] = pairs["ours"] - pairs["theirs"]
    return gains


def kinds_in_order(kinds: Iterable[str]) -> list[str]:
    """Each once, as every legend names them: low-rank layers first, kinds from plug-ins last."""
    given = list(dict.fromkeys(kinds))
    known = [kind for kind in reversed(KIND_NAMES) if kind in given]
    return known + sorted(set(given) - set(KIND_NAMES))


def limits(groups: Sequence[npt.ArrayLike], always: Collection[float] = ()) -> tuple[float, float]:
    """Room for every seed of `groups` and, up to half as much again, for intervals: at two seeds they run off."""
    shown = np.concatenate([list(always), *[np.asarray(values, dtype=np.float64) for values in groups]])
    low, high = float(shown.min()), float(shown.max())
    span = max(high - low, 0.2)
    summaries = [summarise(values) for values in groups]
    lows = [each.mean - style.half_width(each) for each in summaries]
    highs = [each.mean + style.half_width(each) for each in summaries]
    low, high = max(min([low, *lows]), low - 0.5 * span), min(max([high, *highs]), high + 0.5 * span)
    return low - 0.05 * span, high + 0.05 * span


def draw_kind(
    ax: Axes, kind: str, places: Sequence[float], groups: Sequence[npt.ArrayLike], *, dots: bool = True
) -> None:
    """A kind's line of means with 95% t intervals at `places`, and a faint dot for each seed."""
    colour, found = style.kind_colour(kind), [summarise(values) for values in groups]
    for place, values in zip(places, groups, strict=True) if dots else ():
        seeds = np.asarray(values, dtype=np.float64)
        ax.scatter(np.full(len(seeds), place), seeds, s=5, color=colour, alpha=0.35, linewidths=0, zorder=2)
    ax.errorbar(
        places,
        [each.mean for each in found],
        yerr=[style.half_width(each) for each in found],
        color=colour,
        linestyle=style.LINE_STYLES.get(kind, "-"),
        marker=MARKERS.get(kind, "X"),
        markersize=4,
        linewidth=1.1,
        elinewidth=0.8,
        zorder=3,
    )


def kind_handle(kind: str) -> Line2D:
    """What a legend shows of a kind's line."""
    return Line2D(
        [],
        [],
        color=style.kind_colour(kind),
        linestyle=style.LINE_STYLES.get(kind, "-"),
        marker=MARKERS.get(kind, "X"),
        markersize=4,
        label=kind_name(kind),
    )
