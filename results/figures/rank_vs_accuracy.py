"""Test accuracy against rank: a dot per seed, mean and interval per placement, the other layers as bands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from lrlc.results.figures import style
from lrlc.results.figures.bands import LINEAR, MATCHED, Band, bands_of, draw_bands, with_linear
from lrlc.results.figures.intervals import PERCENT, draw_intervals, limits
from lrlc.results.figures.looks import Stroke, kind_look, placement_look
from lrlc.results.figures.selection import MOST_DOTS, PANEL, NothingToDraw, Panel, Selection, panels
from lrlc.results.figures.words import label_places, legend_below
from lrlc.results.names import (
    kind_name,
    kinds_in_order,
    layers_name,
    varying_options,
)
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import LAYER_SETTINGS, Summary, summarise
from lrlc.studies.titles import Title

CAPTION = (
    "Test accuracy against the rank of spatial variation. A faint dot is a seed, a faint bar the middle 90% of "
    "many; a line joins the means, with 95% t intervals. Colour and marker show which layers were replaced, line "
    "style and fill by what. An arrowhead means that an interval extends beyond the panel. Bands are means and "
    "95% t intervals of layers without a rank; wider ones are fainter. Dashed: logistic regression on the "
    "same training pixels, which trained networks should beat."
)
TRIAL_COLUMNS = (*PANEL, *LAYER_SETTINGS, "status", "seed", "test_accuracy", "test_images")
BAR_POINTS = 2.0
WIDEST_DODGE = 0.22
"""Upper bound on the sideways shift of series, in ranks, so that their intervals do not hide each other."""
Fill = Literal["full", "left", "none", "right", "top", "bottom"]
FILLS: Sequence[Fill] = ("right", "top", "bottom", "full", "left", "none")
KIND_FILLS: Mapping[str, Fill] = {"lrlc": "full", "lrlc_input_dependent": "left", MATCHED: "none"}
"""Fill styles of kinds' marks, which distinguish kinds even if a single rank leaves no line."""
MORE_STROKES: Sequence[Stroke] = (
    (0, (6, 2)), (0, (2, 1)), (0, (5, 1, 1, 1)), (0, (1, 1)), (0, (8, 1, 1, 1, 1, 1)), (0, (3, 3)),
)  # fmt: skip
"""Fill styles of a kind's options beyond the first."""

Variant = tuple[str, str]
"""A kind with its options."""


@dataclass(frozen=True)
class _Series:
    kind: str
    placement: str
    options: str
    rows: pd.DataFrame
    """Finished rows, each with a rank."""

    @property
    def variant(self) -> Variant:
        return self.kind, self.options

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
        """The values of the seeds that must be visible, in percent."""
        return 100 * np.concatenate(self.by_rank) if self.has_dots else self.spans.ravel()

    @cached_property
    def summaries(self) -> list[Summary]:
        """A summary per rank, in percent."""
        return [summarise(values).scaled(100).within(*PERCENT) for values in self.by_rank]


@dataclass(frozen=True)
class _Mark:
    """The style that distinguishes kinds and their options, as colour and marker show the placement."""

    stroke: Stroke
    fill: Fill
    label: str


def draw(selection: Selection) -> Figure:
    """One panel per data set, except with shuffled labels; NothingToDraw if no layer with a rank has finished."""
    found = [
        (panel, series, with_linear(bands, selection.baseline(panel.dataset, panel.rows)))
        for panel in panels(selection.trials)
        for series, bands in [_split(panel)]
        if series and not Title.parse(panel.dataset).shuffled
    ]
    if not found:
        raise NothingToDraw("no trial of a layer with a rank has finished")
    everything = [one for _, series, _ in found for one in series]
    marks = _marks([one.variant for one in everything])
    figure, axes = style.grid(len(found), panel_height=2.3)
    for number, (ax, (panel, series, bands)) in enumerate(zip(axes, found, strict=True)):
        _draw_panel(ax, panel, series, bands, marks)
        if number % style.fitting(len(found)) == 0:
            ax.set_ylabel("test accuracy (%)")
    _legend(figure, everything, marks)
    return figure


def _marks(variants: Sequence[Variant]) -> Mapping[Variant, _Mark]:
    """The marks of kinds in the order of all legends; up to six have their own fill."""
    different = sorted(set(variants))
    reserved = {KIND_FILLS[kind] for kind, _ in different if kind in KIND_FILLS}
    free = cycle([fill for fill in FILLS if fill not in reserved])
    found: dict[Variant, _Mark] = {}
    for kind in kinds_in_order(kind for kind, _ in different):
        options = [options for name, options in different if name == kind]
        for number, chosen in enumerate(options):
            own = KIND_FILLS.get(kind) if number == 0 else None
            stroke = kind_look(kind).stroke if number == 0 else MORE_STROKES[(number - 1) % len(MORE_STROKES)]
            told = varying_options((kind, "", chosen), [(kind, "", other) for other in options])
            found[kind, chosen] = _Mark(
                stroke, next(free) if own is None else own, ", ".join([kind_name(kind), *told])
            )
    return found


def _split(panel: Panel) -> tuple[list[_Series], list[Band]]:
    """Split cells into series, which vary with rank, and bands; a matched kind with a single rank is a band."""
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
    return series, bands_of(finished[~has_line])


def _draw_panel(
    ax: Axes,
    panel: Panel,
    series: Sequence[_Series],
    bands: Sequence[Band],
    marks: Mapping[Variant, _Mark],
) -> None:
    ranks = sorted({rank for one in series for rank in one.ranks})
    wide = ranks[-1] > 12
    if wide:
        ax.set_xscale("log", base=2)
    ax.set_xlim((ranks[0] / 1.3, ranks[-1] * 1.3) if wide else (ranks[0] - 0.5, ranks[-1] + 0.5))
    summaries = [summary for one in series for summary in one.summaries]
    others = [band.summary for band in bands]
    ax.set_ylim(*limits(summaries, _shown(series, bands), within=PERCENT, room=0.6, also=others))
    dodges = (
        np.linspace(-1, 1, len(series)) * min(WIDEST_DODGE, 0.05 * len(series)) if len(series) > 1 else [0.0]
    )
    for one, dodge in zip(series, dodges, strict=True):
        _draw_series(ax, one, float(dodge), wide, marks[one.variant])
    ax.xaxis.set_minor_locator(NullLocator())
    label_places(ax, ranks, [str(rank) for rank in ranks])
    ax.yaxis.set_major_locator(MaxNLocator(6))
    draw_bands(ax, bands)
    ax.set_xlabel("rank (filter banks)")
    style.title(ax, panel)


def _shown(series: Sequence[_Series], bands: Sequence[Band]) -> npt.NDArray[np.float64]:
    """The values that must be visible: every dot or bar, convolution, and the best of everything trained."""
    means = {band.summary.mean: band.kind for band in bands if band.kind != LINEAR}
    best = [max(means)] if means else []
    return np.concatenate(
        [*(one.shown for one in series), [mean for mean, kind in means.items() if kind == "conv"], best]
    )


def _draw_series(ax: Axes, one: _Series, dodge: float, wide: bool, mark: _Mark) -> None:
    look = placement_look(one.placement)
    places = _moved(one.ranks, dodge, wide)
    if one.has_dots:
        _draw_dots(ax, one, dodge, wide)
    else:
        ax.vlines(places, *one.spans.T, color=look.colour, lw=BAR_POINTS, alpha=0.3, zorder=2)
    draw_intervals(ax, places, one.summaries, look.colour)
    ax.plot(
        places,
        [summary.mean for summary in one.summaries],
        color=look.colour,
        marker=look.marker,
        markersize=3.6,
        fillstyle=mark.fill,
        markerfacecolor=look.colour if mark.fill != "none" else "white",
        markerfacecoloralt="white",
        markeredgewidth=0.7,
        linestyle=mark.stroke,
        linewidth=1.0,
        zorder=4,
        clip_on=False,
    )


def _draw_dots(ax: Axes, one: _Series, dodge: float, wide: bool) -> None:
    jitter = np.random.default_rng(0).uniform(-0.035, 0.035, len(one.rows))
    ordered = one.rows.sort_values(["rank", "seed"])
    ax.scatter(
        _moved(ordered["rank"], dodge + jitter, wide),
        100 * ordered["test_accuracy"],
        s=5,
        color=placement_look(one.placement).colour,
        alpha=0.35,
        linewidths=0,
        zorder=2,
    )


def _moved(ranks: npt.ArrayLike, by: npt.ArrayLike, wide: bool) -> npt.NDArray[np.float64]:
    """Ranks shifted sideways by equal widths on the screen."""
    at, shift = np.asarray(ranks, dtype=np.float64), np.asarray(by, dtype=np.float64)
    return at * 2 ** (shift / 2) if wide else at + shift


def _legend(figure: Figure, series: Sequence[_Series], marks: Mapping[Variant, _Mark]) -> None:
    """A legend of placements, layer kinds, and the meaning of dots and bars, with each group in separate rows."""
    places = style.placement_order([one.placement for one in series])
    dot = Line2D([], [], color=style.GREY, marker=".", linestyle="", alpha=0.5, label="one seed")
    bar = Line2D([], [], color=style.GREY, linewidth=5, alpha=0.35, label="90% of the seeds")
    told = [
        *([dot] if any(one.has_dots for one in series) else []),
        *([bar] if not all(one.has_dots for one in series) else []),
        Line2D([], [], color=style.GREY, marker="|", markersize=9, linestyle="", label="95% t interval"),
    ]
    legend_below(
        figure, [_placement_handle(place) for place in places], list(map(_handle, marks.values())), told
    )


def _placement_handle(placement: str) -> Line2D:
    look = placement_look(placement)
    label = layers_name(placement) or "no layer replaced"
    return Line2D([], [], color=look.colour, marker=look.marker, markersize=3.6, linewidth=1.0, label=label)


def _handle(mark: _Mark) -> Line2D:
    return Line2D(
        [],
        [],
        color=style.GREY,
        linestyle=mark.stroke,
        linewidth=1.2,
        marker="o",
        markersize=3.6,
        fillstyle=mark.fill,
        markerfacecolor=style.GREY if mark.fill != "none" else "white",
        markerfacecoloralt="white",
        label=mark.label,
    )
