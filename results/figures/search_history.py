"""The course of a search: each objective of each suggestion, and the best so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from lrlc.results.figures import style
from lrlc.results.figures.gains import kind_mark
from lrlc.results.figures.intervals import keep_within_percent
from lrlc.results.figures.looks import kind_look
from lrlc.results.figures.selection import MOST_PANELS, NothingToDraw, Objective, Panel, Selection
from lrlc.results.figures.words import legend_below, panel_inches, shortened
from lrlc.results.names import METRICS, cell_label, kinds_in_order, varying_options, varying_settings
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import CELL
from lrlc.results.statistics.pareto import on_front
from lrlc.studies.lines import counted

CAPTION = (
    "Mean over seeds of each trained suggestion, in the order in which the search made them, with a panel for "
    "each objective; suggestions answered by earlier rows are left out. The line is the best so far. Filled "
    "marks are, with one objective, the suggestions that improved it; with several, those that no other beats on "
    "all. Crosses at the bottom: suggestions of which a seed was pruned, diverged or failed."
)
BY_DEFAULT: Objective = ("validation_accuracy", "maximize")
PERCENTAGES = ("validation_accuracy", "test_accuracy")
LABEL_POINTS = 5.5


@dataclass(frozen=True)
class _History:
    """A search on one data set and network: a row per suggestion, with the mean of each objective."""

    panel: Panel
    complete: pd.DataFrame
    incomplete: pd.DataFrame
    objectives: Sequence[Objective]

    @property
    def last(self) -> float:
        return float(pd.concat([self.complete, self.incomplete])["search_number"].max())

    def best_so_far(self, objective: Objective) -> "pd.Series[float]":
        metric, direction = objective
        values = self.complete[metric]
        best: pd.Series[float] = values.cummax() if direction == "maximize" else values.cummin()
        return best

    @property
    def filled(self) -> "pd.Series[bool]":
        """Suggestions that were the best so far, or, with several objectives, that no other beats on all."""
        if len(self.objectives) == 1:
            best = self.best_so_far(self.objectives[0])
            return best != best.shift()
        metrics, directions = zip(*self.objectives, strict=True)
        return pd.Series(on_front(self.complete[list(metrics)], directions), index=self.complete.index)


def draw(selection: Selection) -> Figure:
    """A column per data set and network, a panel per objective; raises NothingToDraw if nothing was searched."""
    histories = _histories(selection.trials, selection.objectives or [BY_DEFAULT])
    figure, columns = style.stacked(len(histories), heights=[2.2] * len(histories[0].objectives))
    for number, (history, axes) in enumerate(zip(histories, columns, strict=True)):
        for ax, objective in zip(axes, history.objectives, strict=True):
            _draw_history(ax, history, objective)
            if number % style.across(len(histories)) == 0:
                ax.set_ylabel(_metric_name(objective[0]))
        style.title(axes[0], history.panel, _note(history))
        axes[-1].set_xlabel("suggestion")
    best = Line2D([], [], color=style.INK, linewidth=0.8, label="best so far")
    kinds = kinds_in_order(kind for history in histories for kind in history.complete["kind"])
    legend_below(figure, [*map(kind_mark, kinds), best])
    return figure


def _metric_name(metric: str) -> str:
    return METRICS.get(metric, metric) + (" (%)" if metric in PERCENTAGES else "")


def _histories(trials: pd.DataFrame, objectives: Sequence[Objective]) -> list[_History]:
    if trials.empty:
        raise NothingToDraw("no trial has a row yet")
    searched = trials[trials["search_number"].notna()]
    if searched.empty:
        raise NothingToDraw("no trial was suggested by a search")
    several = searched["network"].nunique() > 1
    metrics = [metric for metric, _ in objectives]
    histories = []
    for (dataset, network), rows in searched.groupby(["dataset", "network"], sort=False):
        suggestions = _suggestions(rows, metrics)
        is_complete = suggestions["seeds"] == suggestions["asked"].max()
        is_complete &= suggestions[metrics].notna().all(axis=1)
        if is_complete.any():
            panel = Panel(str(dataset), str(network) if several else "", rows)
            histories.append(_History(panel, suggestions[is_complete], suggestions[~is_complete], objectives))
    if not histories:
        raise NothingToDraw("no suggestion of the search has finished")
    if len(histories) > MOST_PANELS:
        raise NothingToDraw(f"it needs {len(histories)} panels; the maximum is {MOST_PANELS}")
    return histories


def _suggestions(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Suggestions by number: settings, numbers of seeds trained (`asked`) and finished, and means over the latter."""
    has_finished = rows["status"] == TrialStatus.FINISHED
    values = {
        metric: rows[metric].where(has_finished) * (100 if metric in PERCENTAGES else 1) for metric in metrics
    }
    groups = rows.assign(is_finished=has_finished, **values).groupby(
        ["search_number", *CELL], dropna=False, sort=False
    )
    counts = groups.agg(asked=("seed", "nunique"), seeds=("is_finished", "sum"))
    found = pd.concat([counts, groups[list(metrics)].mean()], axis=1).reset_index()
    return found.sort_values("search_number", kind="stable").reset_index(drop=True)


def _draw_history(ax: Axes, history: _History, objective: Objective) -> None:
    metric, _ = objective
    found, best, filled = history.complete, history.best_so_far(objective), history.filled
    steps = [*found["search_number"], history.last], [*best, best.iloc[-1]]
    ax.plot(*steps, drawstyle="steps-post", color=style.INK, linewidth=0.8, zorder=2)
    for kind, of_kind in found.groupby("kind", sort=False):
        for is_filled, rows in of_kind.groupby(filled[of_kind.index]):
            _draw_marks(ax, str(kind), rows["search_number"], rows[metric], is_filled=bool(is_filled))
    if len(history.incomplete):
        _draw_crosses(ax, history.incomplete["search_number"])
    ax.margins(x=0.04, y=0.16)
    if metric in PERCENTAGES:
        keep_within_percent(ax)
    else:
        ax.yaxis.set_major_formatter(EngFormatter(sep=" "))
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if objective == history.objectives[0]:
        _name_winner(ax, history, objective)


def _draw_marks(
    ax: Axes, kind: str, numbers: "pd.Series[int]", values: "pd.Series[float]", *, is_filled: bool
) -> None:
    look = kind_look(kind)
    ax.scatter(
        numbers,
        values,
        s=24 if is_filled else 12,
        marker=look.marker,
        facecolors=look.colour if is_filled else "white",
        edgecolors=style.INK if is_filled else look.colour,
        linewidths=0.5 if is_filled else 0.7,
        zorder=4 if is_filled else 3,
        clip_on=False,
    )


def _draw_crosses(ax: Axes, numbers: "pd.Series[int]") -> None:
    ax.scatter(
        numbers,
        [0.02] * len(numbers),
        s=10,
        marker="x",
        color=style.GREY,
        linewidths=0.7,
        transform=ax.get_xaxis_transform(),
        clip_on=False,
    )


def _name_winner(ax: Axes, history: _History, objective: Objective) -> None:
    metric, direction = objective
    values = history.complete[metric]
    winner = history.complete.iloc[int((values if direction == "maximize" else -values).argmax())]
    is_late = winner["search_number"] > 0.5 * history.last
    ax.annotate(
        shortened(_told(winner, history), 0.6 * panel_inches(ax), LABEL_POINTS),
        (winner["search_number"], winner[metric]),
        (-3 if is_late else 3, 5),
        textcoords="offset points",
        fontsize=LABEL_POINTS,
        ha="right" if is_late else "left",
        color=style.INK,
    )


def _told(winner: "pd.Series[Any]", history: _History) -> str:
    """'LRLC rank 4, layers 1+3', with options in which suggestions differ."""
    kind, place, options = str(winner["kind"]), str(winner["placement"]), str(winner["options"])
    others = [(kind, place, str(other)) for other in history.complete["options"].unique()]
    told = varying_options((kind, place, options), others) + varying_settings(winner, history.complete)
    return cell_label(kind, winner["rank"], place, told)


def _note(history: _History) -> str:
    seeds = int(history.complete["seeds"].max())
    parts = [counted(len(history.complete), "suggestion"), counted(seeds, "seed")]
    images = history.panel.rows["validation_images"].dropna().unique()
    if len(images) == 1:
        parts.append(counted(int(images[0]), "validation image"))
    if len(history.incomplete):
        parts.append(f"{len(history.incomplete)} not complete")
    return ", ".join(parts)
