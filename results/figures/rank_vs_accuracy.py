"""Test accuracy against rank: a dot per seed, mean and interval per placement, the other layers as bands."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from lrlc.results.datasets import Baseline
from lrlc.results.figures import style
from lrlc.results.figures.selection import MOST_DOTS, PANEL, NothingToDraw, Panel, Selection, cells, panels
from lrlc.results.names import kind_name, short_kind_name
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import LAYER_SETTINGS, Summary, summarise
from lrlc.studies.titles import Title

CAPTION = (
    "Test accuracy against the rank of spatial variation. "
    "A faint dot is a seed, a faint bar the middle 90% of many; a line joins the means, with 95% t intervals. "
    "Colour and marker say which layers were replaced, the stroke and how a mark is filled by what. "
    "Bands are means and 95% t intervals of layers without a rank, fainter the wider they are. "
    "Dashed: logistic regression on the same training pixels, which trained networks should beat."
)
TRIAL_COLUMNS = (*PANEL, *LAYER_SETTINGS, "status", "seed", "test_accuracy", "test_images")
MATCHED, LINEAR = "wide_conv", "linear"
BAR_POINTS = 2.0
WIDEST_DODGE = 0.22
"""How far, in ranks, series move apart so that their intervals do not hide each other."""


@dataclass(frozen=True)
class _Series:
    kind: str
    placement: str
    options: str
    rows: pd.DataFrame
    """Finished rows, with a rank each."""

    @property
    def ranks(self) -> list[int]:
        return sorted(int(rank) for rank in self.rows["rank"].unique())

    @cached_property
    def by_rank(self) -> list[npt.NDArray[np.float64]]:
        """The accuracies at each rank, as fractions."""
        return [values.to_numpy() for _, values in self.rows.groupby("rank")["test_accuracy"]]

    @property
    def has_dots(self) -> bool:
        return max(map(len, self.by_rank)) <= MOST_DOTS

    @cached_property
    def spans(self) -> npt.NDArray[np.float64]:
        """The middle 90% of the seeds, in percent, a row per rank."""
        return 100 * np.array([np.nanquantile(values, [0.05, 0.95]) for values in self.by_rank])

    @property
    def shown(self) -> npt.NDArray[np.float64]:
        """What has to be seen of the seeds, in percent."""
        return 100 * np.concatenate(self.by_rank) if self.has_dots else self.spans.ravel()

    @cached_property
    def summaries(self) -> list[Summary]:
        """One per rank, in percent."""
        return [summarise(values).scaled(100) for values in self.by_rank]


@dataclass(frozen=True)
class _Band:
    kind: str
    label: str
    colour: str
    summary: Summary


def draw(selection: Selection) -> Figure:
    """One panel per data set but those of shuffled labels; NothingToDraw where no layer with a rank has finished."""
    found = [
        (panel, series, _with_linear(bands, selection.baseline(panel.dataset, panel.rows)))
        for panel in panels(selection.trials)
        for series, bands in [_split(panel)]
        if series and not Title.parse(panel.dataset).shuffled
    ]
    if not found:
        raise NothingToDraw("no trial of a layer with a rank has finished")
    figure, axes = style.grid(len(found), panel_height=2.3, below=0.55)
    for ax, (panel, series, bands) in zip(axes, found, strict=True):
        _draw_panel(ax, panel, series, bands)
    axes[0].set_ylabel("test accuracy (%)")
    _legend(
        figure, [one for _, series, _ in found for one in series], most_columns=5 if len(found) > 1 else 2
    )
    return figure


def _split(panel: Panel) -> tuple[list[_Series], list[_Band]]:
    """What varies with rank, and what does not; a matched kind with a single rank counts as the latter."""
    finished = panel.rows.loc[
        panel.rows["status"] == TrialStatus.FINISHED, [*LAYER_SETTINGS, "seed", "test_accuracy"]
    ]
    single = finished[finished["kind"] == MATCHED]["rank"].nunique() == 1
    has_line = finished["rank"].notna() & ~((finished["kind"] == MATCHED) & single)
    series = [
        _Series(str(kind), str(placement), str(options), rows)
        for (kind, placement, options), rows in finished[has_line].groupby(["kind", "placement", "options"])
    ]
    if all(one.kind == MATCHED for one in series):
        series = []
    bands = [
        _Band(
            str(layer["kind"]),
            _band_label(layer),
            _band_colour(layer),
            summarise(rows["test_accuracy"]).scaled(100),
        )
        for layer, rows in cells(finished[~has_line])
    ]
    return series, sorted(bands, key=lambda band: band.summary.mean)


def _with_linear(bands: Sequence[_Band], noted: Baseline | None) -> Sequence[_Band]:
    """The linear classifier among the bands; it has no seeds, so no interval."""
    if noted is None or noted.linear_accuracy is None:
        return bands
    accuracy = Summary(1, 100 * noted.linear_accuracy, np.nan, np.nan, np.nan)
    linear = _Band(LINEAR, "linear classifier", style.INK, accuracy)
    return sorted([*bands, linear], key=lambda band: band.summary.mean)


def _band_label(layer: dict[str, object]) -> str:
    name, placement = short_kind_name(str(layer["kind"])), str(layer["placement"])
    matched = f", as rank {layer['rank']:.0f}" if layer["kind"] == MATCHED else ""
    return f"{name} ({placement}{matched})" if placement else name


def _band_colour(layer: dict[str, object]) -> str:
    return style.kind_colour(str(layer["kind"]))


def _draw_panel(ax: Axes, panel: Panel, series: Sequence[_Series], bands: Sequence[_Band]) -> None:
    ranks = sorted({rank for one in series for rank in one.ranks})
    wide = ranks[-1] > 12
    if wide:
        ax.set_xscale("log", base=2)
    shown = np.concatenate(
        [*(one.shown for one in series), [band.summary.mean for band in bands if band.kind == "conv"]]
    )
    summaries = [summary for one in series for summary in one.summaries] + [band.summary for band in bands]
    limits = _limits(shown, summaries)
    dodges = (
        np.linspace(-1, 1, len(series)) * min(WIDEST_DODGE, 0.05 * len(series)) if len(series) > 1 else [0.0]
    )
    for one, dodge in zip(series, dodges, strict=True):
        _draw_series(ax, one, float(dodge), wide, limits)
    ax.set_ylim(*limits)
    ax.set_xticks(ranks, [str(rank) for rank in ranks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim((ranks[0] / 1.3, ranks[-1] * 1.3) if wide else (ranks[0] - 0.5, ranks[-1] + 0.5))
    _draw_bands(ax, bands)
    ax.set_xlabel("rank (filter banks)")
    style.title(ax, panel)


def _limits(shown: npt.NDArray[np.float64], summaries: Sequence[Summary]) -> tuple[float, float]:
    """Room for every dot or bar, and for intervals and bands as far as they do not squeeze the dots."""
    low, high = float(shown.min()), float(shown.max())
    span = max(high - low, 0.2)
    lows = [summary.mean if np.isnan(summary.low) else summary.low for summary in summaries]
    highs = [summary.mean if np.isnan(summary.high) else summary.high for summary in summaries]
    low, high = max(min(low, *lows), low - 0.6 * span), min(max(high, *highs), high + 0.6 * span)
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def _draw_series(ax: Axes, one: _Series, dodge: float, wide: bool, limits: tuple[float, float]) -> None:
    colour, marker = style.placement_look(one.placement)
    places = _moved(one.ranks, dodge, wide)
    if one.has_dots:
        _draw_dots(ax, one, dodge, wide)
    else:
        ax.vlines(places, *one.spans.T, color=colour, lw=BAR_POINTS, alpha=0.3, zorder=2)
    lows, highs = np.array([(summary.low, summary.high) for summary in one.summaries]).T
    cut = (lows < limits[0]) | (highs > limits[1])
    for those, alpha in ((~cut & ~np.isnan(lows), 1.0), (cut, 0.35)):
        ax.vlines(places[those], lows[those], highs[those], color=colour, lw=0.8, alpha=alpha, zorder=3)
    ax.plot(
        places,
        [summary.mean for summary in one.summaries],
        color=colour,
        marker=marker,
        markersize=3.6,
        fillstyle=_fill(one.kind),
        markerfacecolor=colour,
        markerfacecoloralt="white",
        markeredgewidth=0.7,
        linestyle=_stroke(one.kind),
        linewidth=1.0,
        zorder=4,
    )


def _draw_dots(ax: Axes, one: _Series, dodge: float, wide: bool) -> None:
    jitter = np.random.default_rng(0).uniform(-0.035, 0.035, len(one.rows))
    ordered = one.rows.sort_values(["rank", "seed"])
    ax.scatter(
        _moved(ordered["rank"], dodge + jitter, wide),
        100 * ordered["test_accuracy"],
        s=5,
        color=style.placement_look(one.placement)[0],
        alpha=0.35,
        linewidths=0,
        zorder=2,
    )


def _moved(ranks: npt.ArrayLike, by: npt.ArrayLike, wide: bool) -> npt.NDArray[np.float64]:
    """Ranks shifted sideways, by equal widths on the screen."""
    at, shift = np.asarray(ranks, dtype=np.float64), np.asarray(by, dtype=np.float64)
    return at * 2 ** (shift / 2) if wide else at + shift


def _draw_bands(ax: Axes, bands: Sequence[_Band]) -> None:
    low, high = ax.get_ylim()
    heights = [float(np.clip((band.summary.mean - low) / (high - low), 0.0, 1.0)) for band in bands]
    labels = style.spread(heights, gap=0.075, low=0.0, high=0.97)  # the panel's note stands above
    for band, height, label in zip(bands, heights, labels, strict=True):
        summary = band.summary
        if not np.isnan(summary.low):
            share = (summary.high - summary.low) / (high - low)
            ax.axhspan(
                summary.low, summary.high, color=band.colour, alpha=0.15 / max(1, 4 * share), lw=0, zorder=0
            )
        stroke = "--" if band.kind == LINEAR else "-"
        ax.axhline(summary.mean, color=band.colour, linewidth=0.9, linestyle=stroke, zorder=1)
        outside = (
            "" if low <= summary.mean <= high else f" {'↓' if summary.mean < low else '↑'} {summary.mean:.1f}"
        )
        ax.plot([1, 1.028], [height, label], color=band.colour, lw=0.5, transform=ax.transAxes, clip_on=False)
        ax.text(
            1.035,
            label,
            band.label + outside,
            fontsize=6,
            color=band.colour,
            va="center",
            transform=ax.transAxes,
        )


def _legend(figure: Figure, series: Sequence[_Series], most_columns: int) -> None:
    """Placements, then layer kinds, then what dots and bars are, each group in rows of its own."""
    places, kinds = (
        style.placement_order([one.placement for one in series]),
        sorted({one.kind for one in series}),
    )
    dot = Line2D([], [], color=style.GREY, marker=".", linestyle="", alpha=0.5, label="one seed")
    bar = Line2D([], [], color=style.GREY, linewidth=5, alpha=0.35, label="90% of the seeds")
    marks = [
        *([dot] if any(one.has_dots for one in series) else []),
        *([bar] if not all(one.has_dots for one in series) else []),
        Line2D([], [], color=style.GREY, marker="|", markersize=9, linestyle="", label="95% t interval"),
    ]
    groups = [[_placement_handle(place) for place in places], [_kind_handle(kind) for kind in kinds], marks]
    if sum(map(len, groups)) <= most_columns:
        groups = [[handle for group in groups for handle in group]]
    columns = min(most_columns, max(map(len, groups)))
    rows = [handle for group in groups for handle in [*group, *[style.no_handle()] * (-len(group) % columns)]]
    figure.legend(
        handles=style.row_major(rows, columns), loc="outside lower center", ncols=columns, handlelength=2.6
    )


def _placement_handle(placement: str) -> Line2D:
    colour, marker = style.placement_look(placement)
    label = f"layers {placement}" if "+" in placement else f"layer {placement}"
    return Line2D([], [], color=colour, marker=marker, markersize=3.6, linewidth=1.0, label=label)


def _kind_handle(kind: str) -> Line2D:
    return Line2D(
        [],
        [],
        color=style.GREY,
        linestyle=_stroke(kind),
        linewidth=1.2,
        marker="o",
        markersize=3.6,
        fillstyle=_fill(kind),
        markerfacecoloralt="white",
        label=kind_name(kind),
    )


def _fill(kind: str) -> Literal["full", "left", "none"]:
    """How a kind's marks are filled, which tells kinds apart where one rank leaves no line to see."""
    return "none" if kind == MATCHED else "left" if kind == "lrlc_input_dependent" else "full"


def _stroke(kind: str) -> style.Stroke:
    return style.LINE_STYLES.get(kind, (0, (4, 1, 1, 1)))
