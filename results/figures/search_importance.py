"""Which of a search's parameters mattered, for each of its objectives."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrlc.results.figures import style
from lrlc.results.figures.selection import NothingToDraw, Selection
from lrlc.results.figures.words import shortened
from lrlc.results.importance import Importance
from lrlc.results.names import METRICS
from lrlc.studies.lines import counted

CAPTION = (
    "How much the values of a parameter among the best suggestions differ from those among all of them "
    "(conditional PED-ANOVA, arXiv 2304.10255 and 2601.20800), as a share of the sum over parameters; the best "
    "are a tenth of the suggestions, but at least five. A parameter that none of the best has, such as a rank "
    "where all are convolutions, counts as 0. The figure shows which choices led to the top, not how many points "
    "they are worth, and with few suggestions it is a rough guide. Objectives that are counted, such as few "
    "parameters, are left out: they follow from rank and placement by arithmetic."
)
COUNTED = ("parameters", "flops_per_image")
"""Objectives that a suggestion's settings determine without training."""
WAYS = {"maximize": "high", "minimize": "low"}


def draw(selection: Selection) -> Figure:
    """A panel per objective, with parameters in the same order; raises NothingToDraw if there are no importances."""
    if selection.trials.empty:
        raise NothingToDraw("no trial has a row yet")
    found = [each for each in selection.importance if each.metric not in COUNTED]
    if selection.importance and not found:
        raise NothingToDraw("the search's objectives are counted, not measured")
    if not found:
        raise NothingToDraw("no search has ended with enough complete suggestions (10)")
    order = list(dict.fromkeys(name for of_objective in found for name in of_objective.shares))[::-1]
    figure, axes = style.grid(len(found), panel_height=0.75 + 0.24 * len(order))
    for number, (ax, of_objective) in enumerate(zip(axes, found, strict=True)):
        _draw_bars(ax, of_objective, order, named=number % 3 == 0)
        ax.set_xlim(0, 115 * max(max(each.shares.values()) for each in found))
    return figure


def _draw_bars(ax: Axes, importance: Importance, order: list[str], *, named: bool) -> None:
    shares = [100 * importance.shares.get(name, 0.0) for name in order]
    ax.barh(range(len(order)), shares, height=0.62, color="#5B7FA6")
    for height, share in enumerate(shares):
        ax.annotate(
            f"{share:.0f}", (share, height), (3, 0), textcoords="offset points", fontsize=6, va="center"
        )
    names = [shortened(name.removeprefix("train.").replace("_", " "), 1.2, 7) for name in order]
    ax.set_yticks(range(len(order)), names if named else [""] * len(order))
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("share of importance (%)")
    name = f"{WAYS[importance.direction]} {METRICS.get(importance.metric, importance.metric)}"
    style.headed(ax, name, [counted(importance.suggestions, "complete suggestion")])
