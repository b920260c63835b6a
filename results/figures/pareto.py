"""Test accuracy against a network's cost: every configuration, and the Pareto front."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from lrlc.results.figures import style
from lrlc.results.figures.gains import kind_mark
from lrlc.results.figures.intervals import PERCENT, draw_intervals, limits
from lrlc.results.figures.looks import kind_colour, kind_look
from lrlc.results.figures.selection import MOST_PANELS, NothingToDraw, Panel, Selection
from lrlc.results.figures.words import legend_below, panel_inches, shortened
from lrlc.results.names import cell_label, kinds_in_order, layer_of, varying_options, varying_settings
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import CELL, summarise
from lrlc.results.statistics.pareto import MEASURES, configurations, on_front
from lrlc.studies.lines import counted

CAPTION = (
    "Mean test accuracy over seeds against the parameters and FLOPs of the whole network: a mark is a "
    "configuration; rank 1, a convolution with a spatial bias, is left out if there is a convolution. Filled marks, "
    "with 95% t intervals, are the configurations that no other beats on both mean validation accuracy and cost: "
    "the step to the right of each shows what its cost buys. They are chosen on validation and shown on test, so "
    "the steps may fall. The most expensive one is named, and the cheapest if it stands apart. FLOPs are those of each "
    "image: forming the filters of fixed combining weights, once per batch, is left out."
)
TRIAL_COLUMNS = (*CELL, "status", "seed", "test_images", *MEASURES)
COSTS = {"parameters": "parameters", "flops_per_image": "FLOPs per image, forward"}
WIDE = 8.0
"""Costs that differ by this factor are drawn on a log scale."""
REFERENCE, BY_ANOTHER_NAME = "conv", ("lrlc", "lrlc_input_dependent")
"""A convolution, and the kinds that are equivalent to one at rank 1."""
LABEL_POINTS = 5.5


@dataclass(frozen=True)
class _Cloud:
    """The configurations of one data set and network."""

    panel: Panel
    cells: pd.DataFrame
    """Cells with a column `summary`, the Summary of their test accuracies in percent."""

    def note(self, with_images: bool) -> str:
        low, high = int(self.cells["seeds"].min()), int(self.cells["seeds"].max())
        seeds = f"{low}" if low == high else f"{low} to {high}"
        images = list(self.panel.rows["test_images"].dropna().unique())
        tested = [counted(int(images[0]), "test image")] if with_images and len(images) == 1 else []
        return ", ".join(
            [f"{len(self.cells)} configurations", f"n = {seeds} seed{'s' if high > 1 else ''}", *tested]
        )


def draw(selection: Selection) -> Figure:
    """A column per data set, a row per cost; raises NothingToDraw if there is nothing to choose from."""
    clouds = _clouds(selection.trials)
    costs = [name for name in COSTS if any(cloud.cells[name].nunique() > 1 for cloud in clouds)]
    if not costs:
        raise NothingToDraw("no data set has two finished configurations of different cost")
    figure, columns = style.stacked(len(clouds), heights=[2.0] * len(costs))
    across = style.across(len(clouds))
    for number, (cloud, axes) in enumerate(zip(clouds, columns, strict=True)):
        for ax, cost in zip(axes, costs, strict=True):
            _draw_cloud(ax, cloud, cost, narrow=across > 1)
            if number % across == 0:
                ax.set_ylabel("test accuracy (%)")
        style.title(axes[0], cloud.panel, cloud.note(with_images=across == 1))
    _legend(figure, [kind for cloud in clouds for kind in cloud.cells["kind"]])
    return figure


def _clouds(trials: pd.DataFrame) -> list[_Cloud]:
    if trials.empty:
        raise NothingToDraw("no trial has a row yet")
    finished = trials[trials["status"] == TrialStatus.FINISHED]
    several = finished["network"].nunique() > 1
    clouds = []
    for (dataset, network), rows in finished.groupby(["dataset", "network"], sort=False):
        cells = _cells(rows)
        if len(cells) > 1:
            clouds.append(_Cloud(Panel(str(dataset), str(network) if several else "", rows), cells))
    if not clouds:
        raise NothingToDraw("no data set has more than one finished configuration")
    if len(clouds) > MOST_PANELS:
        raise NothingToDraw(f"it needs {len(clouds)} panels; the maximum is {MOST_PANELS}")
    return clouds


def _cells(finished: pd.DataFrame) -> pd.DataFrame:
    """The configurations, without those equivalent to a convolution if there is one."""
    if (finished["kind"] == REFERENCE).any():
        finished = finished[~(finished["kind"].isin(BY_ANOTHER_NAME) & (finished["rank"] == 1))]
    cells = configurations(finished)
    accuracies = finished.groupby(list(CELL), dropna=False, sort=False)["test_accuracy"]
    summaries = pd.Series(
        [summarise(values).scaled(100).within(*PERCENT) for _, values in accuracies], dtype=object
    )
    return cells.assign(summary=summaries)


def _draw_cloud(ax: Axes, cloud: _Cloud, cost: str, *, narrow: bool) -> None:
    cells = cloud.cells
    chosen = on_front(cells[["validation_accuracy", cost]], ["maximize", "minimize"])
    front = cells[chosen].sort_values(cost, kind="stable")
    _scale(ax, cells[cost], narrow=narrow)
    ax.set_ylim(*limits(front["summary"], 100 * cells["test_accuracy"], within=PERCENT, room=0.3))
    for kind, of_kind in cells[~chosen].groupby("kind", sort=False):
        _marks(ax, of_kind, cost, str(kind), filled=False)
    heights = [100 * value for value in front["test_accuracy"]]
    ends = [*front[cost], ax.get_xlim()[1]]
    ax.plot(ends, [*heights, heights[-1]], drawstyle="steps-post", color=style.INK, linewidth=0.8, zorder=3)
    for kind, of_kind in front.groupby("kind", sort=False):
        draw_intervals(ax, of_kind[cost].to_numpy(), list(of_kind["summary"]), kind_colour(str(kind)))
        _marks(ax, of_kind, cost, str(kind), filled=True)
    ax.xaxis.set_major_formatter(EngFormatter(sep=" "))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel(COSTS[cost])
    _label(ax, front.iloc[[0, -1]], cost, cells)


def _scale(ax: Axes, costs: "pd.Series[float]", *, narrow: bool) -> None:
    """Leave room for marks on both sides, and use a log scale if costs differ a lot."""
    low, high = float(costs.min()), float(costs.max())
    if high > WIDE * low > 0:
        margin = (high / low) ** 0.12
        ax.set_xscale("log")
        ax.set_xlim(low / margin, high * margin)
        ax.xaxis.set_major_locator(
            LogLocator(subs=(1.0,) if narrow else (1.0, 3.0), numticks=4 if narrow else 6)
        )
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        margin = 0.12 * (high - low) or 0.1 * high or 1.0
        ax.set_xlim(low - margin, high + margin)
        ax.xaxis.set_major_locator(MaxNLocator(3 if narrow else 4))


def _marks(ax: Axes, cells: pd.DataFrame, cost: str, kind: str, *, filled: bool) -> None:
    look = kind_look(kind)
    ax.scatter(
        cells[cost],
        100 * cells["test_accuracy"],
        s=22 if filled else 11,
        marker=look.marker,
        facecolors=look.colour if filled else "white",
        edgecolors=style.INK if filled else look.colour,
        linewidths=0.5 if filled else 0.7,
        alpha=1.0 if filled else 0.75,
        zorder=4 if filled else 2,
        clip_on=False,
    )


def _cell(row: "pd.Series[Any]", cells: pd.DataFrame) -> str:
    """'LRLC rank 4, layer 3', with options and training settings in which another of its kind and place differs."""
    layer, others = layer_of(row), [layer_of(other) for _, other in cells.iterrows()]
    told = varying_options(layer, [other for other in others if other[:2] == layer[:2]])
    told += varying_settings(row, cells)
    return cell_label(layer[0], row["rank"], layer[1], told)


def _label(ax: Axes, ends: pd.DataFrame, cost: str, cells: pd.DataFrame) -> None:
    """Label the most expensive end of the front with kind, layers and rank, and the other end if it stands apart."""
    heights = 100 * ends["test_accuracy"].to_numpy()
    on_screen = ax.transData.transform(np.column_stack([ends[cost], heights]))
    places = ax.transAxes.inverted().transform(on_screen)
    is_apart = bool((np.abs(places[0] - places[1]) > (0.2, 0.12)).any())
    for number in (1, 0) if is_apart else (1,):
        row, (x, y) = ends.iloc[number], places[number]
        to_the_left = x > 0.5
        room = (x if to_the_left else 1 - x) * 0.75 * panel_inches(ax)
        ax.annotate(
            shortened(_cell(row, cells), room, LABEL_POINTS),
            (row[cost], heights[number]),
            (-4.5 if to_the_left else 4.5, -8 if y > 0.94 or (number == 0 and y > 0.15) else 3.5),
            textcoords="offset points",
            fontsize=LABEL_POINTS,
            color=style.INK,
            ha="right" if to_the_left else "left",
            zorder=5,
            path_effects=[withStroke(linewidth=1.5, foreground="white")],
        )


def _legend(figure: Figure, kinds: Sequence[str]) -> None:
    handles = [kind_mark(kind) for kind in kinds_in_order(kinds)]
    label = "best on validation and cost"
    line = Line2D([], [], color=style.INK, linewidth=0.8, marker="o", markersize=4, label=label)
    legend_below(figure, [*handles, line])
