"""Which of a search's parameters mattered, for each of its objectives."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrlc.results.figures import style
from lrlc.results.figures.selection import NothingToDraw, Selection
from lrlc.results.importance import Importance

CAPTION = (
    "How far the values of a parameter among the best suggestions differ from those among all of them (conditional "
    "PED-ANOVA, arXiv 2304.10255 and 2601.20800), as a share of the sum over parameters; "
    "the best are a tenth of the suggestions, or five where a tenth is fewer. "
    "What none of the best has, such as a rank where all are convolutions, counts 0. It says which choices led to the "
    "top, not by how many points, and of few suggestions it is a rough guide."
)
OBJECTIVES = {
    "validation_accuracy": "validation accuracy",
    "validation_loss": "validation loss",
    "parameters": "parameters",
    "flops_per_image": "FLOPs per image",
}
WAYS = {"maximize": "high", "minimize": "low"}


def draw(selection: Selection) -> Figure:
    """A panel per objective, the parameters in one order; raises NothingToDraw where none was worked out."""
    if selection.trials.empty:
        raise NothingToDraw("no trial has a row yet")
    found = list(selection.importance)
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
    names = [name.removeprefix("train.").replace("_", " ") for name in order]
    ax.set_yticks(range(len(order)), names if named else [""] * len(order))
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("share of importance (%)")
    way = WAYS[importance.direction]
    ax.set_title(f"{way} {OBJECTIVES.get(importance.metric, importance.metric)}\n", pad=3, linespacing=1.35)
    ax.annotate(
        f"{importance.suggestions} complete suggestions",
        (0, 1),
        (0, 3.5),
        "axes fraction",
        "offset points",
        fontsize=6,
        color=style.GREY,
        va="bottom",
    )
