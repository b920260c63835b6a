"""Bands across a figure along rank: the mean and interval of each layer without a rank, named beside the panel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lrlc.results.datasets import Baseline
from lrlc.results.figures import style
from lrlc.results.figures.intervals import PERCENT
from lrlc.results.figures.looks import kind_colour
from lrlc.results.figures.selection import cells
from lrlc.results.figures.words import shortened
from lrlc.results.names import layer_names, layer_of
from lrlc.results.statistics import Summary, summarise

MATCHED, LINEAR = "wide_conv", "linear"
BAND_POINTS, BAND_INCHES = 6.0, 1.15
"""Font size of a band's name, and its width."""


@dataclass(frozen=True)
class Band:
    """A layer without a rank: the mean of its accuracies, and their interval, in percent."""

    kind: str
    label: str
    colour: str
    summary: Summary


def bands_of(finished: pd.DataFrame) -> list[Band]:
    """A band for each cell of these finished rows of one panel, by increasing mean."""
    without = [(layer, rows) for layer, rows in cells(finished)]
    names = layer_names([layer_of(layer) for layer, _ in without])
    bands = [
        Band(
            str(layer["kind"]),
            _band_label(layer, names[layer_of(layer)]),
            kind_colour(str(layer["kind"])),
            summarise(rows["test_accuracy"]).scaled(100).within(*PERCENT),
        )
        for layer, rows in without
    ]
    return sorted(bands, key=lambda band: band.summary.mean)


def with_linear(bands: Sequence[Band], noted: Baseline | None) -> Sequence[Band]:
    """The bands including the linear classifier, which has no seeds and thus no interval."""
    if noted is None or noted.linear_accuracy is None:
        return bands
    accuracy = Summary(1, 100 * noted.linear_accuracy, np.nan, np.nan, np.nan)
    linear = Band(LINEAR, "linear classifier", style.INK, accuracy)
    return sorted([*bands, linear], key=lambda band: band.summary.mean)


def draw_bands(ax: Axes, bands: Sequence[Band]) -> None:
    """Draw the bands across the panel, and their names beside it; the limits must be set before."""
    low, high = ax.get_ylim()
    heights = [float(np.clip((band.summary.mean - low) / (high - low), 0.0, 1.0)) for band in bands]
    gap = min(0.075, 0.97 / max(1, len(bands) - 1))
    points = min(BAND_POINTS, BAND_POINTS * gap / 0.06)
    labels = style.spread(heights, gap=gap, low=0.0, high=0.97)  # the panel's note is above
    for band, height, label in zip(bands, heights, labels, strict=True):
        _draw_band(ax, band, low, high)
        colour = band.colour
        ax.plot([1, 1.028], [height, label], color=colour, lw=0.5, transform=ax.transAxes, clip_on=False)
        name = shortened(band.label, BAND_INCHES, points) + _beyond(band.summary.mean, low, high)
        beside = ax.annotate(name, (1.028, label), (1, 0), "axes fraction", "offset points", va="center")
        beside.set(fontsize=points, color=colour)


def _draw_band(ax: Axes, band: Band, low: float, high: float) -> None:
    summary = band.summary
    if not np.isnan(summary.low):
        share = (summary.high - summary.low) / (high - low)
        ax.axhspan(
            summary.low, summary.high, color=band.colour, alpha=0.15 / max(1, 4 * share), lw=0, zorder=0
        )
    stroke = "--" if band.kind == LINEAR else "-"
    ax.axhline(summary.mean, color=band.colour, linewidth=0.9, linestyle=stroke, zorder=1)


def _beyond(value: float, low: float, high: float) -> str:
    """' ↓ 58.4' for a value outside the panel."""
    return "" if low <= value <= high else f" {'↓' if value < low else '↑'} {value:.1f}"


def _band_label(layer: Mapping[str, object], name: str) -> str:
    """'wide conv (3, as rank 4)'."""
    return name.removesuffix(")") + f", as rank {layer['rank']:.0f})" if layer["kind"] == MATCHED else name
