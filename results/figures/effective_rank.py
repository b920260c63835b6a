"""Is local connectivity low-rank? Accuracy of trained local layers after truncation, and the energy of each rank."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from matplotlib.typing import MarkerType

from lrlc.results.figures import style
from lrlc.results.figures.intervals import PERCENT, draw_intervals, limits
from lrlc.results.figures.selection import PANEL, NothingToDraw, Panel, Selection, cells, panels
from lrlc.results.figures.words import label_places, legend_below
from lrlc.results.names import kind_name
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import LAYER_SETTINGS, Summary, summarise

CAPTION = (
    "Above: accuracy on the first 2,000 test images with a layer's filters replaced by their best approximation of "
    "each rank and the rest of the network as trained; the last point is the layer itself. Means and 95% t "
    "intervals over seeds. Below: share of the energy, the squared singular values of the (positions x filter) "
    "matrix, up to each rank. Dotted: all singular values equal, as for filters with nothing in common. If there "
    "are more than six layers in a panel, those with the best mean validation accuracy are shown."
)
TRIAL_COLUMNS = (*PANEL, *LAYER_SETTINGS, "trial_id", "status", "seed", "validation_accuracy", "test_images")
MOST_LINES = 6
COLOURS = ("#5B4FA0", "#117733", "#D55E00", "#0072B2", "#CC79A7", "#E69F00")
MARKERS: tuple[MarkerType, ...] = (*"oDs^vP", *"X<>phd*H8")
TICKS = (1, 2, 3, 5, 7, 10, 15, 25, 50, 100, 200, 400)


@dataclass(frozen=True)
class _Line:
    """One layer of one cell: accuracies (%) and energies (fractions) by rank, over seeds."""

    label: str
    accuracies: dict[int, Summary]
    energies: npt.NDArray[np.float64]  # (ranks,), the means
    validation_accuracy: float
    seeds: int


def draw(selection: Selection) -> Figure:
    """A column per data set; raises NothingToDraw if no trial has singular values."""
    found = [(panel, lines) for panel in panels(selection.trials) if (lines := _lines(panel, selection))]
    if not found:
        raise NothingToDraw(
            "no trial has singular values: its study does not have measure.effective_rank, or trains no locally "
            "connected layer"
        )
    looks = _looks(found)
    figure, pairs = style.stacked(len(found), heights=(2.1, 1.5))
    for number, ((panel, lines), (above, below)) in enumerate(zip(found, pairs, strict=True)):
        below.sharex(above)
        style.title(above, panel, _seeds(lines))
        _scale(above, below, lines)
        for line in lines:
            _draw_accuracies(above, line, *looks[line.label])
            _draw_energies(below, line, *looks[line.label])
        if number % style.across(len(found)) == 0:
            above.set_ylabel("test accuracy (%)")
            below.set_ylabel("energy (%)")
    legend_below(figure, _handles(looks))
    return figure


def _lines(panel: Panel, selection: Selection) -> list[_Line]:
    """The layers of the cells that have singular values, best on validation first."""
    finished = panel.rows[panel.rows["status"] == TrialStatus.FINISHED]
    spectra = selection.measurements("spectra", finished["trial_id"])
    finished = finished[finished["trial_id"].isin(spectra["trial_id"])]
    if finished.empty:
        return []
    found = [line for settings, rows in cells(finished) for line in _of_cell(settings, rows, spectra)]
    return sorted(found, key=lambda line: -line.validation_accuracy)[:MOST_LINES]


def _of_cell(settings: Mapping[str, Any], rows: pd.DataFrame, spectra: pd.DataFrame) -> Iterator[_Line]:
    own = spectra[spectra["trial_id"].isin(rows["trial_id"])]
    for layer, values in own.groupby("layer", sort=False):
        measured = values.dropna(subset="test_accuracy")
        yield _Line(
            label=_label(settings, str(layer)),
            accuracies={
                int(str(rank)): summarise(100 * part["test_accuracy"]).within(*PERCENT)
                for rank, part in measured.groupby("rank")
            },
            energies=values.groupby("rank")["energy"].mean().to_numpy(),
            validation_accuracy=float(rows["validation_accuracy"].mean()),
            seeds=values["trial_id"].nunique(),
        )


def _label(settings: Mapping[str, Any], layer: str) -> str:
    """'locally connected, start shared, layer 3 of 1+2+3'."""
    options = json.loads(str(settings["options"]))
    number = layer.removeprefix("layer")
    place = f"layer {number}" if number.isdecimal() else layer
    rank = "" if pd.isna(settings["rank"]) else f"rank {settings['rank']:.0f}"
    several = f" of {settings['placement']}" if "+" in str(settings["placement"]) else ""
    parts = [kind_name(str(settings["kind"])), rank, *(f"{name} {value}" for name, value in options.items())]
    return ", ".join([*(part for part in parts if part), place + several])


def _looks(found: Sequence[tuple[Panel, Sequence[_Line]]]) -> dict[str, tuple[str, MarkerType]]:
    """Colour and marker of each label, the same in all panels."""
    labels = list(dict.fromkeys(line.label for _, lines in found for line in lines))
    return {label: (COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]) for n, label in enumerate(labels)}


def _draw_accuracies(ax: Axes, line: _Line, colour: str, marker: MarkerType) -> None:
    ranks, summaries = list(line.accuracies), list(line.accuracies.values())
    draw_intervals(ax, ranks, summaries, colour)
    means = [each.mean for each in summaries]
    ax.plot(ranks, means, color=colour, marker=marker, markersize=3.5, linewidth=1.1, zorder=4, clip_on=False)


def _draw_energies(ax: Axes, line: _Line, colour: str, marker: MarkerType) -> None:
    ranks = np.arange(1, len(line.energies) + 1)
    ax.plot(ranks, 100 * ranks / len(ranks), color=style.GREY, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    marked = [rank - 1 for rank in line.accuracies]
    ax.plot(
        ranks,
        100 * line.energies,
        color=colour,
        marker=marker,
        markersize=3,
        markevery=marked,
        linewidth=1.1,
        clip_on=False,
    )


def _scale(above: Axes, below: Axes, lines: Sequence[_Line]) -> None:
    """Use a log scale for ranks, as ranks 1 to 7 are the interesting ones."""
    most = max(len(line.energies) for line in lines)
    ticks = [rank for rank in TICKS if rank < 0.75 * most] + [most]
    below.set_xscale("log")
    below.set_xlim(1 / max(most, 2) ** 0.06, max(most, 2) ** 1.06)
    below.xaxis.set_minor_locator(NullLocator())
    label_places(below, ticks, [str(rank) for rank in ticks])
    accuracies = [each for line in lines for each in line.accuracies.values()]
    if accuracies:
        above.set_ylim(*limits(accuracies, least=1.0, within=PERCENT))
    above.tick_params(axis="x", labelbottom=False)
    below.set_xlabel("rank")
    below.set_ylim(0, 100)


def _handles(looks: Mapping[str, tuple[str, MarkerType]]) -> list[Line2D]:
    return [
        Line2D([], [], color=colour, marker=marker, markersize=3.5, label=label)
        for label, (colour, marker) in looks.items()
    ]


def _seeds(lines: Sequence[_Line]) -> str:
    low, high = min(line.seeds for line in lines), max(line.seeds for line in lines)
    return f"{low if low == high else f'{low} to {high}'} seed{'s' if high > 1 else ''}"
