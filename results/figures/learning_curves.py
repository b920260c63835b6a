"""Learning curves: training loss and validation accuracy per epoch, one cell of each layer kind."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter

from lrlc.results.figures import style
from lrlc.results.figures.selection import (
    MOST_DOTS,
    PANEL,
    NothingToDraw,
    Panel,
    Selection,
    best_cells,
    panels,
)
from lrlc.results.names import KIND_NAMES, kind_name
from lrlc.results.statistics import LAYER_SETTINGS

CAPTION = (
    "Training loss and validation accuracy per epoch: "
    "a thin line is a seed, of very many the first hundred; a thick one is the mean over all. "
    "Of each layer kind the cell with the best mean validation accuracy is shown."
)
TRIAL_COLUMNS = (*PANEL, *LAYER_SETTINGS, "trial_id", "status", "seed", "validation_accuracy", "test_images")
COLUMNS = (
    ("train_loss", 1.0, "training loss (nats)"),
    ("validation_accuracy", 100.0, "validation accuracy (%)"),
)
ACROSS = 3
STROKES: dict[str, style.Stroke] = {
    **style.PEER_STROKES,
    "conv": (0, (4, 1.5)),
    "wide_conv": (0, (1, 1.2)),
    "coord_conv": (0, (4, 1, 1, 1)),
}


def draw(selection: Selection) -> Figure:
    """A column per data set, three side by side, loss above accuracy; raises NothingToDraw without curves."""
    found = [(panel, _chosen(panel, selection)) for panel in panels(selection.trials)]
    found = [(panel, curves) for panel, curves in found if curves]
    if not found:
        raise NothingToDraw("no finished trial has a learning curve")
    across, bands = min(len(found), ACROSS), -(-len(found) // ACROSS)
    width = {1: style.COLUMN_INCHES, 2: 5.0}.get(across, style.PAGE_INCHES)
    figure = Figure(figsize=(width, 3.4 * bands + 0.5), layout="constrained")
    for number, (panel, curves) in enumerate(found):
        band, column = divmod(number, across)
        above: Axes | None = None
        for row, (name, scale, label) in enumerate(COLUMNS):
            place = (2 * band + row) * across + column + 1
            ax = figure.add_subplot(2 * bands, across, place, sharex=above)
            _draw_panel(ax, curves, name, scale)
            if column == 0:
                ax.set_ylabel(label)
            if above is None:
                ax.tick_params(axis="x", labelbottom=False)
                style.title(ax, panel)
            above = ax
        ax.set_xlabel("epoch")
    kinds = [kind for kind in KIND_NAMES if any(kind in curves for _, curves in found)]
    kinds += sorted({kind for _, curves in found for kind in curves} - set(kinds))
    handles = [
        Line2D([], [], color=style.kind_colour(k), linestyle=STROKES.get(k, "-"), label=kind_name(k))
        for k in kinds
    ]
    columns = 3 if across > 1 else 2
    figure.legend(handles=style.row_major(handles, columns), loc="outside lower center", ncols=columns)
    return figure


def _chosen(panel: Panel, selection: Selection) -> dict[str, pd.DataFrame]:
    """By kind: the curves of its best cell."""
    best = best_cells(panel)
    curves = selection.curves([trial_id for rows in best.values() for trial_id in rows["trial_id"]])
    found = {kind: curves[curves["trial_id"].isin(rows["trial_id"])] for kind, rows in best.items()}
    return {kind: of_kind for kind, of_kind in found.items() if not of_kind.empty}


def _draw_panel(ax: Axes, curves: dict[str, pd.DataFrame], name: str, scale: float) -> None:
    for kind, of_kind in curves.items():
        colour = style.kind_colour(kind)
        few = of_kind["trial_id"].unique()[:MOST_DOTS]
        for _, curve in of_kind[of_kind["trial_id"].isin(few)].groupby("trial_id"):
            ax.plot(curve["epoch"], scale * curve[name], color=colour, linewidth=0.4, alpha=0.45)
        mean = of_kind.groupby("epoch")[name].mean()
        ax.plot(mean.index, scale * mean, color=colour, linewidth=1.3, linestyle=STROKES.get(kind, "-"))
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if name.endswith("loss") and (ax.get_ylim()[0] > 0 or min(c[name].min() for c in curves.values()) > 0):
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
