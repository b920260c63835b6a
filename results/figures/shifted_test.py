"""The effect of shifting the test images on a trained network, and the equivariance errors of its layers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lrlc.results.figures import style
from lrlc.results.figures.gains import draw_means, kind_handle
from lrlc.results.figures.intervals import PERCENT, limits
from lrlc.results.figures.selection import (
    PANEL,
    NothingToDraw,
    Panel,
    Selection,
    best_cells,
    chosen_cells,
    panels,
)
from lrlc.results.figures.words import label_places, legend_below
from lrlc.results.names import kinds_in_order
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import LAYER_SETTINGS, Summary, summarise
from lrlc.studies.lines import counted

CAPTION = (
    "Above: accuracy of the trained networks on test images moved by this many pixels (up, down, left and right, "
    "filled with black). Below: the equivariance error of each layer, the distance between its output for an "
    "input moved by the smallest of these distances and its moved output, over the norm of the latter; it is 0 "
    "for a convolution. Means and 95% t intervals over seeds. Each layer kind is shown by its cell with the best "
    "mean validation accuracy, named above where it has several."
)
TRIAL_COLUMNS = (*PANEL, *LAYER_SETTINGS, "trial_id", "status", "seed", "validation_accuracy", "test_images")
ASIDE = 0.015
"""Distance between the marks of two kinds, as a share of the largest shift."""
APART = 0.1
"""Distance between the marks of two kinds, if two layers are 1 apart."""


@dataclass(frozen=True)
class _Moved:
    """One data set: for each kind, Summaries over seeds of accuracies (%) by distance and of errors by layer."""

    panel: Panel
    accuracies: Mapping[str, Mapping[int, Summary]]
    errors: Mapping[str, Mapping[str, Summary]]
    distance: int
    """The distance of the errors, in pixels."""
    images: int
    seeds: tuple[int, ...]
    cells: str
    """The cells shown, of kinds that have several."""


def draw(selection: Selection) -> Figure:
    """A column per data set; raises NothingToDraw if no trial was tested on moved images."""
    found = [moved for panel in panels(selection.trials) if (moved := _moved(panel, selection)) is not None]
    if not found:
        raise NothingToDraw("no trial was tested on moved images: its study does not have measure.shifts")
    figure, pairs = style.stacked(len(found), heights=(2.1, 1.3))
    for number, (moved, (above, below)) in enumerate(zip(found, pairs, strict=True)):
        style.title(above, moved.panel, _note(moved))
        _draw_lines(above, {kind: dict(rows) for kind, rows in moved.accuracies.items()})
        above.set_xlabel("images moved by (px)")
        _draw_errors(below, moved)
        if number % style.across(len(found)) == 0:
            above.set_ylabel("test accuracy (%)")
            below.set_ylabel("equivariance error")
    kinds = kinds_in_order(kind for moved in found for kind in moved.accuracies)
    legend_below(figure, [kind_handle(kind) for kind in kinds])
    return figure


def _moved(panel: Panel, selection: Selection) -> _Moved | None:
    finished = panel.rows[panel.rows["status"] == TrialStatus.FINISHED]
    shifts = selection.measurements("shifts", finished["trial_id"])
    tested = finished[finished["trial_id"].isin(shifts["trial_id"])]
    if tested.empty:
        return None
    best = best_cells(replace(panel, rows=tested))
    errors = selection.measurements("equivariance", tested["trial_id"])
    distance = int(errors["pixels"].min()) if len(errors) else 0
    errors = errors[errors["pixels"] == distance]
    order = kinds_in_order(best)
    return _Moved(
        panel,
        {
            kind: _summaries(_of(shifts, best[kind]), "pixels", "test_accuracy", 100.0, PERCENT)
            for kind in order
        },
        {kind: _summaries(_of(errors, best[kind]), "layer", "error", 1.0, (0.0, math.inf)) for kind in order},
        distance,
        int(shifts["images"].max()),
        tuple(len(rows) for rows in best.values()),
        chosen_cells(replace(panel, rows=tested), best),
    )


def _of(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    return table[table["trial_id"].isin(rows["trial_id"])]


def _summaries(
    rows: pd.DataFrame, by: str, value: str, scale: float, possible: tuple[float, float]
) -> dict[Any, Summary]:
    return {
        key: summarise(scale * part[value]).within(*possible) for key, part in rows.groupby(by, sort=False)
    }


def _draw_lines(ax: Axes, by_kind: Mapping[str, Mapping[int, Summary]]) -> None:
    furthest = max((place for rows in by_kind.values() for place in rows), default=1) or 1
    accuracies = (each for rows in by_kind.values() for each in rows.values())
    ax.set_ylim(*limits(accuracies, least=1.0, within=PERCENT))
    for number, (kind, rows) in enumerate(by_kind.items()):
        aside = min(ASIDE, 0.2 / len(by_kind)) * furthest * (number - (len(by_kind) - 1) / 2)
        places = sorted(rows)
        draw_means(ax, kind, [place + aside for place in places], [rows[place] for place in places])
    ax.set_xlim(-0.12 * furthest, 1.12 * furthest)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(6))


def _draw_errors(ax: Axes, moved: _Moved) -> None:
    names = list(dict.fromkeys(name for rows in moved.errors.values() for name in rows))
    if names:
        _, top = limits((each for rows in moved.errors.values() for each in rows.values()), least=0.01)
        ax.set_ylim(-0.06 * top, 1.03 * top)
    apart = min(APART, 0.8 / max(1, len(moved.errors)))
    for number, (kind, rows) in enumerate(moved.errors.items()):
        aside = apart * (number - (len(moved.errors) - 1) / 2)
        places = [names.index(name) + aside for name in rows]
        draw_means(ax, kind, places, list(rows.values()), joined=False)
    ax.set_xlim(-0.5, max(len(names), 1) - 0.5)
    label_places(ax, range(len(names)), [name.removeprefix("layer") for name in names])
    ax.set_xlabel(f"layer (moved by {moved.distance} px)")


def _note(moved: _Moved) -> str:
    low, high = min(moved.seeds), max(moved.seeds)
    seeds = f"{low}" if low == high else f"{low} to {high}"
    images = counted(moved.images, "test image")
    return ", ".join(filter(None, [f"{seeds} seed{'s' if high > 1 else ''}", images, moved.cells]))
