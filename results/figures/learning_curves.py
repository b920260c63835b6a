"""Learning curves: training loss and validation accuracy per epoch, one cell of each layer kind."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from lrlc.results.figures import style
from lrlc.results.figures.intervals import keep_within_percent
from lrlc.results.figures.looks import kind_look
from lrlc.results.figures.selection import (
    MOST_DOTS,
    PANEL,
    NothingToDraw,
    Selection,
    best_cells,
    chosen_cells,
    panels,
)
from lrlc.results.figures.words import legend_below
from lrlc.results.names import kind_name, kinds_in_order
from lrlc.results.statistics import LAYER_SETTINGS

CAPTION = (
    "Training loss and validation accuracy per epoch: a thin line is a seed (the first hundred, if there are "
    "more), a thick one the mean over all seeds. Each layer kind is shown by its cell with the best mean "
    "validation accuracy, named above where it has several. Accuracies of the first quarter of the epochs may lie "
    "below the panel."
)
TRIAL_COLUMNS = (
    *PANEL,
    *LAYER_SETTINGS,
    "trial_id",
    "status",
    "seed",
    "validation_accuracy",
    "validation_images",
)
COLUMNS = (
    ("train_loss", 1.0, "training loss (nats)"),
    ("validation_accuracy", 100.0, "validation accuracy (%)"),
)


def draw(selection: Selection) -> Figure:
    """A column per data set, three side by side, loss above accuracy; raises NothingToDraw without curves."""
    best = [(panel, best_cells(panel)) for panel in panels(selection.trials)]
    found = [(panel, cells, curves) for panel, cells in best if (curves := _curves(cells, selection))]
    if not found:
        raise NothingToDraw("no finished trial has a learning curve")
    figure, columns = style.stacked(len(found), heights=[1.7] * len(COLUMNS))
    across = style.across(len(found))
    for number, ((panel, cells, curves), axes) in enumerate(zip(found, columns, strict=True)):
        for ax, (name, scale, label) in zip(axes, COLUMNS, strict=True):
            if ax is not axes[0]:
                ax.sharex(axes[0])
            _draw_panel(ax, curves, name, scale)
            if number % across == 0:
                ax.set_ylabel(label)
        axes[0].tick_params(axis="x", labelbottom=False)
        axes[-1].set_xlabel("epoch")
        note = style.seeds_note(panel.rows, images="validation")
        style.title(axes[0], panel, ", ".join(filter(None, [note, chosen_cells(panel, cells)])))
    legend_below(
        figure, [_handle(kind) for kind in kinds_in_order(kind for *_, curves in found for kind in curves)]
    )
    return figure


def _handle(kind: str) -> Line2D:
    look = kind_look(kind)
    return Line2D([], [], color=look.colour, linestyle=look.stroke, linewidth=1.3, label=kind_name(kind))


def _curves(best: Mapping[str, pd.DataFrame], selection: Selection) -> dict[str, pd.DataFrame]:
    """The curves of each kind's best cell."""
    curves = selection.curves([trial_id for rows in best.values() for trial_id in rows["trial_id"]])
    found = {kind: curves[curves["trial_id"].isin(rows["trial_id"])] for kind, rows in best.items()}
    return {kind: of_kind for kind, of_kind in found.items() if not of_kind.empty}


def _draw_panel(ax: Axes, curves: dict[str, pd.DataFrame], name: str, scale: float) -> None:
    for kind, of_kind in curves.items():
        look = kind_look(kind)
        few = of_kind["trial_id"].unique()[:MOST_DOTS]
        for _, curve in of_kind[of_kind["trial_id"].isin(few)].groupby("trial_id"):
            ax.plot(curve["epoch"], scale * curve[name], color=look.colour, linewidth=0.4, alpha=0.45)
        mean = of_kind.groupby("epoch")[name].mean()
        marker = look.marker if len(mean) == 1 else None  # a single epoch gives no line
        ax.plot(
            mean.index, scale * mean, marker=marker, color=look.colour, linewidth=1.3, linestyle=look.stroke
        )
    if max(of_kind["epoch"].max() for of_kind in curves.values()) == 1:
        ax.set_xlim(0.5, 1.5)
        ax.set_xticks([1])
    else:
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if name.endswith("loss"):
        _scale_loss(ax, min(of_kind[name].min() for of_kind in curves.values()))
    else:
        _leave_early_epochs(ax, [(each["epoch"], scale * each[name]) for each in curves.values()])
        keep_within_percent(ax)


def _leave_early_epochs(ax: Axes, curves: Sequence[tuple["pd.Series[float]", "pd.Series[float]"]]) -> None:
    """Cut off accuracies that are only reached in the first quarter of the epochs, as all later ones would be flat."""
    later = [accuracies[epochs > epochs.max() / 4] for epochs, accuracies in curves]
    low, high = min(each.min() for each in later), max(each.max() for each in later)
    if high > low:
        ax.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))


def _scale_loss(ax: Axes, least: float) -> None:
    """Use a log scale if no loss is 0, labelled at 1, 2 and 5; at powers of 10 if losses fall far, evenly if hardly."""
    if not least > 0:
        return
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high < 4 * low:
        ax.yaxis.set_major_locator(MaxNLocator(4))
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,), numticks=8))
    ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    ax.yaxis.set_minor_formatter(NullFormatter())
