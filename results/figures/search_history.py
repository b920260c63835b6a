"""A search as it went: validation accuracy of each suggestion, and the best so far."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lrlc.results.figures import style
from lrlc.results.figures.pareto import MARKERS
from lrlc.results.figures.selection import MOST_PANELS, NothingToDraw, Panel, Selection
from lrlc.results.names import KIND_NAMES, kind_name, short_kind_name
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import CELL

CAPTION = (
    "Mean validation accuracy over seeds of each suggestion that was trained, in the order that the search made them; "
    "those that an earlier row answered are left out. The line is the best so far, filled where it rose. "
    "Crosses at the foot: suggestions of which a seed was pruned, diverged or failed."
)


@dataclass(frozen=True)
class _History:
    """A search on one data set and network: a row per suggestion, with the accuracy of complete ones in percent."""

    panel: Panel
    complete: pd.DataFrame
    incomplete: pd.DataFrame


def draw(selection: Selection) -> Figure:
    """One panel per data set and network; raises NothingToDraw where nothing was searched."""
    histories = _histories(selection.trials)
    figure, axes = style.grid(len(histories), panel_height=2.2, below=0.5)
    for number, (ax, history) in enumerate(zip(axes, histories, strict=True)):
        _draw_history(ax, history)
        style.title(ax, history.panel, _note(history))
        ax.set_xlabel("suggestion")
        if number % 3 == 0:
            ax.set_ylabel("validation accuracy (%)")
    _legend(figure, histories, columns=2 if len(histories) == 1 else 4)
    return figure


def _histories(trials: pd.DataFrame) -> list[_History]:
    if trials.empty:
        raise NothingToDraw("no trial has a row yet")
    searched = trials[trials["search_number"].notna()]
    if searched.empty:
        raise NothingToDraw("no trial was suggested by a search")
    several = searched["network"].nunique() > 1
    histories = []
    for (dataset, network), rows in searched.groupby(["dataset", "network"], sort=False):
        suggestions = _suggestions(rows)
        is_complete = (suggestions["seeds"] == suggestions["asked"].max()) & suggestions["accuracy"].notna()
        if is_complete.any():
            panel = Panel(str(dataset), str(network) if several else "", rows)
            histories.append(_History(panel, suggestions[is_complete], suggestions[~is_complete]))
    if not histories:
        raise NothingToDraw("no suggestion of the search has finished")
    if len(histories) > MOST_PANELS:
        raise NothingToDraw(f"it would take {len(histories)} panels; {MOST_PANELS} are the most")
    return histories


def _suggestions(rows: pd.DataFrame) -> pd.DataFrame:
    """By number: its settings, seeds that were trained (`asked`) and that finished, and the mean of these."""
    has_finished = rows["status"] == TrialStatus.FINISHED
    told = rows.assign(
        is_finished=has_finished, percent=100 * rows["validation_accuracy"].where(has_finished)
    )
    groups = told.groupby(["search_number", *CELL], dropna=False, sort=False)
    found = groups.agg(
        asked=("seed", "nunique"), seeds=("is_finished", "sum"), accuracy=("percent", "mean")
    ).reset_index()
    return found.sort_values("search_number", kind="stable").reset_index(drop=True)


def _draw_history(ax: Axes, history: _History) -> None:
    found = history.complete
    best = found["accuracy"].cummax()
    rises = best > best.shift(fill_value=float("-inf"))
    last = float(pd.concat([found, history.incomplete])["search_number"].max())
    ax.plot(
        [*found["search_number"], last],
        [*best, best.iloc[-1]],
        drawstyle="steps-post",
        color=style.INK,
        linewidth=0.8,
        zorder=2,
    )
    for kind, of_kind in found.groupby("kind", sort=False):
        for is_rise, rows in of_kind.groupby(rises[of_kind.index]):
            colour = style.kind_colour(str(kind))
            ax.scatter(
                rows["search_number"],
                rows["accuracy"],
                s=24 if is_rise else 12,
                marker=MARKERS.get(str(kind), "X"),
                facecolors=colour if is_rise else "white",
                edgecolors=style.INK if is_rise else colour,
                linewidths=0.5 if is_rise else 0.7,
                zorder=4 if is_rise else 3,
            )
    if len(history.incomplete):
        numbers = history.incomplete["search_number"]
        foot = ax.get_xaxis_transform()
        ax.scatter(
            numbers,
            [0.02] * len(numbers),
            s=10,
            marker="x",
            color=style.GREY,
            linewidths=0.7,
            transform=foot,
            clip_on=False,
        )
    ax.margins(x=0.04, y=0.14)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    winner = found.loc[rises[rises].index[-1]]
    is_late = winner["search_number"] > 0.5 * last
    ax.annotate(
        _told(winner),
        (winner["search_number"], winner["accuracy"]),
        (-3 if is_late else 3, 5),
        textcoords="offset points",
        fontsize=5.5,
        ha="right" if is_late else "left",
        color=style.INK,
    )


def _told(winner: "pd.Series[Any]") -> str:
    """'LRLC, rank 4, layers 1+3'."""
    rank, place = winner["rank"], str(winner["placement"])
    words = [short_kind_name(str(winner["kind"]))]
    words += [f"rank {rank:.0f}"] if pd.notna(rank) else []
    words += [f"layers {place}" if "+" in place else f"layer {place}"] if place else []
    return ", ".join(words)


def _note(history: _History) -> str:
    seeds = int(history.complete["seeds"].max())
    parts = [f"{len(history.complete)} suggestions", f"{seeds} seed{'s' if seeds > 1 else ''}"]
    images = history.panel.rows["validation_images"].dropna().unique()
    if len(images) == 1:
        parts.append(f"{int(images[0]):,} validation images")
    if len(history.incomplete):
        parts.append(f"{len(history.incomplete)} not complete")
    return ", ".join(parts)


def _legend(figure: Figure, histories: list[_History], columns: int) -> None:
    kinds = {kind for history in histories for kind in history.complete["kind"]}
    shown = [kind for kind in KIND_NAMES if kind in kinds] + sorted(kinds - set(KIND_NAMES))
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=MARKERS.get(kind, "X"),
            markersize=4,
            markerfacecolor="white",
            markeredgecolor=style.kind_colour(kind),
            label=kind_name(kind),
        )
        for kind in shown
    ]
    handles.append(Line2D([], [], color=style.INK, linewidth=0.8, label="best so far"))
    figure.legend(handles=style.row_major(handles, columns), loc="outside lower center", ncols=columns)
