"""Limits of axes, and intervals drawn inside them, with arrowheads where they are cut."""

from collections.abc import Iterable, Sequence
from math import inf, isnan

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.markers import CARETDOWN, CARETLEFT, CARETRIGHT, CARETUP
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Transform

from lrlc.results.statistics import Summary

PERCENT = (0.0, 100.0)
"""The range of accuracies."""
MARGIN = 0.06
"""Free share of an axis's span at either end."""


def limits(
    summaries: Iterable[Summary],
    shown: npt.ArrayLike = (),
    *,
    also: Iterable[Summary] = (),
    least: float = 0.2,
    within: tuple[float, float] = (-inf, inf),
    room: float = 0.5,
) -> tuple[float, float]:
    """Limits that include all means and all values of `shown`, and intervals and values of `also` as far as they fit.

    These get up to `room` of the span of means and values, as intervals of two seeds would squeeze everything else.
    `least` is the smallest span; no limit lies beyond `within`, the possible range of values.
    """
    known = list(summaries)
    points = np.concatenate([np.ravel(np.asarray(shown, dtype=np.float64)), [each.mean for each in known]])
    low, high = float(np.nanmin(points)), float(np.nanmax(points))
    span = max(high - low, least)
    ends = [end for each in [*known, *also] for end in (each.low, each.mean, each.high) if not isnan(end)]
    lowest = max(min([low, *ends]), low - room * span)
    highest = min(max([high, *ends]), high + room * span)
    margin = MARGIN * max(highest - lowest, span)
    return max(within[0], lowest - margin), min(within[1], highest + margin)


def draw_intervals(
    ax: Axes,
    places: Sequence[float] | npt.NDArray[np.float64],
    summaries: Sequence[Summary],
    colour: str,
    *,
    sideways: bool = False,
    width: float = 0.8,
    transform: Transform | None = None,
) -> None:
    """Draw each interval, vertically or `sideways`; an arrowhead at a limit of the axes means that it extends beyond.

    The limits must be set before. A group with one seed has no interval.
    """
    least, most = ax.get_xlim() if sideways else ax.get_ylim()
    drawn = ax.hlines if sideways else ax.vlines
    moved = transform or ax.transData
    for place, summary in zip(places, summaries, strict=True):
        if isnan(summary.low) or not least <= summary.mean <= most:
            continue
        drawn(
            place,
            max(summary.low, least),
            min(summary.high, most),
            color=colour,
            lw=width,
            zorder=3,
            transform=moved,
        )
        for end, is_cut, left, down in (
            (least, summary.low < least, CARETLEFT, CARETDOWN),
            (most, summary.high > most, CARETRIGHT, CARETUP),
        ):
            if is_cut:
                x, y = (end, place) if sideways else (place, end)
                mark = left if sideways else down
                ax.plot(
                    x, y, marker=mark, markersize=3, color=colour, linestyle="", zorder=3, transform=moved
                )


def keep_within_percent(ax: Axes, ticks: int = 5) -> None:
    """Restrict the limits and ticks of an axis of accuracies to 0 to 100."""
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, PERCENT[0]), min(high, PERCENT[1]))
    if ax.get_yscale() == "linear":
        ax.yaxis.set_major_locator(MaxNLocator(ticks))
