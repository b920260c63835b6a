"""Test accuracy against what a network costs: every configuration, and the front that none of them beats."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from lrlc.results.figures import style
from lrlc.results.figures.selection import MOST_PANELS, NothingToDraw, Panel, Selection
from lrlc.results.names import KIND_NAMES, kind_name
from lrlc.results.pareto import MEASURES, configurations, on_front
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import CELL

CAPTION = (
    "Mean test accuracy over seeds against the size of the whole network and its work: a mark is a "
    "configuration. The line joins those, filled, that no other beats on both mean validation accuracy and "
    "cost; beside its ends stand the rank and the layers replaced. "
    "Chosen on validation, shown on test, the line may fall."
)
TRIAL_COLUMNS = (*CELL, "status", "seed", "test_images", *MEASURES)
COSTS = {"parameters": "parameters", "flops_per_image": "FLOPs per image, forward"}
MARKERS = {
    "conv": "s",
    "coord_conv": "D",
    "wide_conv": "v",
    "locally_connected": "P",
    "lrlc": "o",
    "lrlc_input_dependent": "^",
    "relaxed_conv": "p",
    "cond_conv": "<",
    "position_map": "h",
    "constrained_local": "*",
    "residual_pathway": ">",
    "involution": "d",
}
WIDE = 8.0
"""Costs that differ by this factor are drawn on a log scale."""


@dataclass(frozen=True)
class _Cloud:
    """The configurations of one data set and network."""

    panel: Panel
    cells: pd.DataFrame

    def note(self, with_images: bool) -> str:
        low, high = int(self.cells["seeds"].min()), int(self.cells["seeds"].max())
        seeds = f"{low}" if low == high else f"{low} to {high}"
        images = list(self.panel.rows["test_images"].dropna().unique())
        tested = [f"{int(images[0]):,} test images"] if with_images and len(images) == 1 else []
        return ", ".join(
            [f"{len(self.cells)} configurations", f"n = {seeds} seed{'s' if high > 1 else ''}", *tested]
        )


def draw(selection: Selection) -> Figure:
    """A column per data set, a row per cost; raises NothingToDraw where there is nothing to choose from."""
    clouds = _clouds(selection.trials)
    costs = [name for name in COSTS if any(cloud.cells[name].nunique() > 1 for cloud in clouds)]
    if not costs:
        raise NothingToDraw("no data set has two finished configurations of different cost")
    across = min(len(clouds), 3)
    down = -(-len(clouds) // across) * len(costs)
    width = {1: style.COLUMN_INCHES, 2: 5.4}.get(across, style.PAGE_INCHES)
    figure = Figure(figsize=(width, 2.0 * down + 0.5), layout="constrained")
    for number, cloud in enumerate(clouds):
        for row, cost in enumerate(costs):
            place = (number // across * len(costs) + row) * across + number % across
            ax = figure.add_subplot(down, across, place + 1)
            _draw_cloud(ax, cloud.cells, cost, narrow=across > 1)
            if row == 0:
                style.title(ax, cloud.panel, cloud.note(with_images=across == 1))
            if number % across == 0:
                ax.set_ylabel("test accuracy (%)")
    _legend(figure, [kind for cloud in clouds for kind in cloud.cells["kind"]], 2 if across == 1 else 4)
    return figure


def _clouds(trials: pd.DataFrame) -> list[_Cloud]:
    if trials.empty:
        raise NothingToDraw("no trial has a row yet")
    finished = trials[trials["status"] == TrialStatus.FINISHED]
    several = finished["network"].nunique() > 1
    clouds = []
    for (dataset, network), rows in finished.groupby(["dataset", "network"], sort=False):
        cells = configurations(rows)
        if len(cells) > 1:
            clouds.append(_Cloud(Panel(str(dataset), str(network) if several else "", rows), cells))
    if not clouds:
        raise NothingToDraw("no data set has more than one finished configuration")
    if len(clouds) > MOST_PANELS:
        raise NothingToDraw(f"it would take {len(clouds)} panels; {MOST_PANELS} are the most")
    return clouds


def _draw_cloud(ax: Axes, cells: pd.DataFrame, cost: str, *, narrow: bool) -> None:
    chosen = on_front(cells[["validation_accuracy", cost]], ["maximize", "minimize"])
    front = cells[chosen].sort_values(cost, kind="stable")
    for kind, of_kind in cells[~chosen].groupby("kind", sort=False):
        _marks(ax, of_kind, cost, str(kind), filled=False)
    ax.plot(front[cost], 100 * front["test_accuracy"], color=style.INK, linewidth=0.8, zorder=3)
    for kind, of_kind in front.groupby("kind", sort=False):
        _marks(ax, of_kind, cost, str(kind), filled=True)
    if cells[cost].max() > WIDE * cells[cost].min():
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if narrow else (1.0, 3.0)))
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(3 if narrow else 4))
    ax.xaxis.set_major_formatter(EngFormatter(sep=" "))
    ax.margins(x=0.1, y=0.12)
    ax.set_xlabel(COSTS[cost])
    _label(ax, front.iloc[[0, -1]], cost)


def _marks(ax: Axes, cells: pd.DataFrame, cost: str, kind: str, *, filled: bool) -> None:
    colour = style.kind_colour(kind)
    ax.scatter(
        cells[cost],
        100 * cells["test_accuracy"],
        s=22 if filled else 11,
        marker=MARKERS.get(kind, "X"),
        facecolors=colour if filled else "white",
        edgecolors=style.INK if filled else colour,
        linewidths=0.5 if filled else 0.7,
        alpha=1.0 if filled else 0.75,
        zorder=4 if filled else 2,
    )


def _label(ax: Axes, ends: pd.DataFrame, cost: str) -> None:
    """Rank and layers beside the two ends of the front, the dearer first; the other where it stands apart."""
    heights = 100 * ends["test_accuracy"].to_numpy()
    on_screen = ax.transData.transform(np.column_stack([ends[cost], heights]))
    places = ax.transAxes.inverted().transform(on_screen)
    is_apart = bool((np.abs(places[0] - places[1]) > (0.2, 0.07)).any())
    for number in (1, 0) if is_apart else (1,):
        row = ends.iloc[number]
        words = [f"rank {row['rank']:.0f}" if pd.notna(row["rank"]) else ""]
        words += [f"layers {row['placement']}" if "+" in row["placement"] else f"layer {row['placement']}"]
        to_the_left = places[number][0] > 0.5
        ax.annotate(
            ", ".join(word for word in words if word) if row["placement"] else "",
            (row[cost], heights[number]),
            (-4.5 if to_the_left else 4.5, 3 if number == 1 else -8),
            textcoords="offset points",
            fontsize=5.5,
            color=style.INK,
            ha="right" if to_the_left else "left",
            zorder=5,
            path_effects=[withStroke(linewidth=1.0, foreground="white")],
        )


def _legend(figure: Figure, kinds: Sequence[str], columns: int) -> None:
    shown = [kind for kind in KIND_NAMES if kind in kinds] + sorted(set(kinds) - set(KIND_NAMES))
    handles = [_handle(MARKERS.get(kind, "X"), style.kind_colour(kind), kind_name(kind)) for kind in shown]
    line = Line2D(
        [], [], color=style.INK, linewidth=0.8, marker="o", markersize=4, label="best on validation and cost"
    )
    figure.legend(
        handles=style.row_major([*handles, line], columns), loc="outside lower center", ncols=columns
    )


def _handle(marker: str, colour: str, label: str) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="",
        marker=marker,
        markersize=4,
        markerfacecolor="white",
        markeredgecolor=colour,
        label=label,
    )
