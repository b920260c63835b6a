"""The gain from relaxing invariance against the meaning of positions, across data sets and along shifts of each.

There are two measures: the alignment of the images, and the value of position, which uses the labels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from lrlc.results.claims.cells import Side, pair
from lrlc.results.claims.ranks import rank_table
from lrlc.results.figures import style
from lrlc.results.figures.intervals import draw_intervals, limits
from lrlc.results.figures.looks import Stroke, kind_look
from lrlc.results.figures.selection import MOST_DOTS, PANEL, NothingToDraw, Selection, panels
from lrlc.results.figures.words import legend_below
from lrlc.results.names import dataset_name, kind_name, seeds_name
from lrlc.results.statistics import LAYER_SETTINGS, Summary, summarise
from lrlc.studies.claims import Cells
from lrlc.studies.lines import counted
from lrlc.studies.titles import Title

CAPTION = (
    "Gain over convolution against the alignment of the images (the mean correlation of two of them, 1 if all are "
    "identical) and against the value of position (the accuracy of a linear classifier on pixels minus that of one "
    "on pooled random convolutions). A point is a data set as trained on, with its 95% t interval over paired "
    "seeds; a line joins the shifts of one data set, which reduce its alignment (hollow: shifted). Each kind's rank "
    "and placement are chosen on validation. For differences, the first seeds choose them and are left out of the "
    "result; the best rank is chosen by all seeds, in the placements with the most ranks. Fixed minus "
    "input-dependent compares both kinds at the rank and placement chosen for the input-dependent one. Layer kinds "
    "are drawn slightly apart; an arrowhead means that an interval extends beyond the panel."
)
TRIAL_COLUMNS = (
    *PANEL, *LAYER_SETTINGS, "translate", "status", "seed",
    "test_accuracy", "validation_accuracy", "test_images",
)  # fmt: skip
REFERENCE = "conv"
RANKED = ("lrlc", "lrlc_input_dependent")
KINDS = (*RANKED, "locally_connected")
MEASURES = {"alignment": "alignment (mean correlation)", "position": "value of position (points)"}
"""Labels of the horizontal axis for each measure."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "p", "*")
"""Markers of data sets, as many as there may be panels."""
WIDE = 8.0
"""Alignments that differ by this factor are drawn on a log scale."""
NEAR_ZERO = 0.4
"""The axis starts at 0 unless the smallest value is above this share of the largest."""
APART = {"lrlc": -3.0, "lrlc_input_dependent": 3.0}
"""Sideways shift of each kind, in typographic points, which is a mark's width, so that none hides another."""


@dataclass(frozen=True)
class _Point:
    series: str
    """The readable name of the data set without its shift."""
    translate: int
    places: Mapping[str, float]
    """The value of each measure; NaN if it is unknown."""
    rows: pd.DataFrame

    @cached_property
    def sides(self) -> Mapping[str, Side]:
        """The sides of a comparison, by kind."""
        return {kind: Side.of(self.rows, Cells(kind=kind)) for kind in (REFERENCE, *KINDS)}

    def pairs(self, kind: str | None) -> pd.DataFrame:
        """Both sides' accuracies by seed: of a kind and convolution, or of fixed and input-dependent weights (None).

        Fixed weights then take the rank and place chosen for the input-dependent ones.
        """
        if kind is not None:
            return pair(self.sides[kind], self.sides[REFERENCE])
        fixed, by_image = (self.sides[name] for name in RANKED)
        return pair(fixed.beside(by_image), by_image)

    def difference(self, kind: str | None) -> Summary | None:
        pairs = self.pairs(kind)
        return summarise(pairs["ours"] - pairs["theirs"]) if len(pairs) else None

    def best_rank(self, kind: str) -> Summary | None:
        """The best rank, without an interval, as it is one of few numbers."""
        of_kind = self.rows[self.rows["kind"] == kind]
        ranked = of_kind.groupby("placement", observed=True)["rank"].nunique()
        places = [str(place) for place in ranked[ranked == ranked.max()].index]
        ranks, table = rank_table(self.rows, Cells(kind=kind, placement=places), "validation")
        if len(ranks) < 2 or not len(table):
            return None
        best = float(ranks[int(np.argmax(table.mean(axis=0)))])
        return Summary(len(table), best, np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class _Line:
    """Points of one data set, by increasing shift, each with a value and its interval."""

    series: str
    kind: str | None
    """None if two kinds are compared."""
    points: Sequence[tuple[_Point, Summary]]


def draw(selection: Selection) -> Figure:
    """Gain, fixed minus input-dependent, and best rank, if there are rows of two data sets or shifts.

    There is a row of panels for each measure that is known for two of them.
    """
    points = _points(selection)
    series = list(dict.fromkeys(point.series for point in points))
    looks = {name: MARKERS[number % len(MARKERS)] for number, name in enumerate(series)}
    kinds = [kind for kind in KINDS if any((point.rows["kind"] == kind).any() for point in points)]
    found = {
        "Gain over convolution": [line for kind in kinds for line in _gains(points, kind)],
        "Fixed minus input-dependent": list(_gaps(points)),
        "Best rank on validation": [line for kind in RANKED for line in _best_ranks(points, kind)],
    }
    drawn = {name: lines for name, lines in found.items() if sum(len(line.points) for line in lines) > 1}
    if not drawn:
        raise NothingToDraw("no two data sets or shifts have a finished low-rank layer beside a convolution")
    panels_drawn = [(measure, *each) for measure in _measures(points) for each in drawn.items()]
    across = len(drawn) if len(drawn) > 1 else len(panels_drawn)
    figure, axes = style.grid(len(panels_drawn), panel_height=2.2, columns=across)
    for ax, (measure, name, lines) in zip(axes, panels_drawn, strict=True):
        _scale(ax, measure, [place for point in points if not np.isnan(place := point.places[measure])])
        _draw_panel(ax, measure, name, lines, looks)
    _legend(figure, kinds, looks, any(point.translate for point in points), len(points) > len(series))
    return figure


def _points(selection: Selection) -> list[_Point]:
    """The points by increasing alignment; if training settings vary, each has its own lines."""
    found, datasets = [], set()
    for panel in panels(selection.trials):
        if (noted := selection.datasets.get(panel.dataset)) is None or np.isnan(noted.alignment):
            continue
        datasets.add(panel.dataset)
        first = panel.rows.iloc[0]
        name = dataset_name(str(replace(Title.parse(panel.dataset), translate=0)))
        series = f"{name}, {panel.detail}" if panel.detail else name
        baseline = selection.baseline(panel.dataset, panel.rows)
        position = baseline.value_of_position if baseline else None
        places = {"alignment": noted.alignment, "position": np.nan if position is None else 100 * position}
        found.append(_Point(series, int(first["translate"]), places, panel.rows))
    if not found:
        raise NothingToDraw("its run did not record the alignment of its data sets; running it again does")
    if len(datasets) < 2:
        raise NothingToDraw("comparing alignments needs two data sets, or a shifted one")
    return sorted(found, key=lambda point: point.places["alignment"])


def _measures(points: Sequence[_Point]) -> list[str]:
    """The measures in which points differ."""
    places = {measure: {point.places[measure] for point in points} for measure in MEASURES}
    return [measure for measure in MEASURES if len([each for each in places[measure] if each == each]) > 1]


def _gains(points: Sequence[_Point], kind: str) -> Iterator[_Line]:
    for series, of_series in _by_series(points):
        yield _line(series, kind, [(point, point.difference(kind)) for point in of_series])


def _gaps(points: Sequence[_Point]) -> Iterator[_Line]:
    for series, of_series in _by_series(points):
        yield _line(series, None, [(point, point.difference(None)) for point in of_series])


def _best_ranks(points: Sequence[_Point], kind: str) -> Iterator[_Line]:
    for series, of_series in _by_series(points):
        yield _line(series, kind, [(point, point.best_rank(kind)) for point in of_series])


def _by_series(points: Sequence[_Point]) -> Iterator[tuple[str, list[_Point]]]:
    for series in dict.fromkeys(point.series for point in points):
        of_series = [point for point in points if point.series == series]
        yield series, sorted(of_series, key=lambda point: point.translate)


def _line(series: str, kind: str | None, told: Sequence[tuple[_Point, Summary | None]]) -> _Line:
    return _Line(series, kind, [(point, value) for point, value in told if value is not None])


def _draw_panel(ax: Axes, measure: str, name: str, lines: Sequence[_Line], looks: Mapping[str, str]) -> None:
    is_rank = name.startswith("Best")
    ranks = _ranks(lines) if is_rank else []
    values = [value for line in lines for _, value in line.points]
    ax.set_ylim(*((-0.5, len(ranks) - 0.5) if is_rank else limits(values, [0.0], room=1.0)))
    if is_rank:
        ax.set_yticks(range(len(ranks)), [str(rank) for rank in ranks])
    else:
        ax.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
        ax.yaxis.set_major_locator(MaxNLocator(5))
    is_apart = len({line.kind for line in lines}) > 1
    for line in lines:
        _draw_line(ax, measure, line, looks[line.series], ranks, APART.get(line.kind or "", 0.0) * is_apart)
    ax.set_xlabel(MEASURES[measure])
    ax.set_ylabel("rank (filter banks)" if is_rank else "difference (points)")
    style.headed(ax, name, [_seeds(lines, is_rank)])


def _seeds(lines: Sequence[_Line], is_rank: bool) -> str:
    """'6 to 9 seeds', with the reporting ones if others chose: '6 seeds (3 to 8)'."""
    counts = [value.n for line in lines for _, value in line.points]
    low, high = min(counts), max(counts)
    told = f"{low} to {high} seeds" if low != high else counted(low, "seed")
    reporting = {
        int(seed) for line in lines for point, _ in line.points for seed in point.pairs(line.kind).index
    }
    trained = {
        int(seed) for line in lines for point, _ in line.points for seed in point.rows["seed"].unique()
    }
    is_named = not is_rank and reporting != trained and len(reporting) <= MOST_DOTS
    return f"{told} ({seeds_name(reporting)})" if is_named else told


def _ranks(lines: Sequence[_Line]) -> list[int]:
    """All ranks that were tried."""
    rows = [point.rows for line in lines for point, _ in line.points]
    return sorted(
        {int(rank) for part in rows for rank in part.loc[part["kind"].isin(RANKED), "rank"].unique()}
    )


def _draw_line(
    ax: Axes, measure: str, line: _Line, marker: str, ranks: Sequence[int], points_aside: float
) -> None:
    """Draw intervals, marks and lines; a rank is drawn at its index in `ranks`, if there are any."""
    colour, stroke = (style.INK, "-") if line.kind is None else _stroke(line.kind)
    assert isinstance(ax.figure, Figure)
    moved = ax.transData + ScaledTranslation(points_aside / 72, 0.0, ax.figure.dpi_scale_trans)
    known = [(point, value) for point, value in line.points if not np.isnan(point.places[measure])]
    places = [point.places[measure] for point, _ in known]
    heights = [ranks.index(int(value.mean)) if ranks else value.mean for _, value in known]
    ax.plot(places, heights, color=colour, linestyle=stroke, linewidth=0.8, zorder=2, transform=moved)
    if not ranks:
        draw_intervals(ax, places, [value for _, value in known], colour, transform=moved)
    for (point, _), place, height in zip(known, places, heights, strict=True):
        ax.plot(
            place,
            height,
            marker=marker,
            markersize=4,
            color=colour,
            markerfacecolor="white" if point.translate else colour,
            markeredgewidth=0.8,
            zorder=4,
            transform=moved,
        )


def _stroke(kind: str) -> tuple[str, Stroke]:
    look = kind_look(kind)
    return look.colour, look.stroke


def _scale(ax: Axes, measure: str, places: Sequence[float]) -> None:
    """Use a log scale if one data set is many times as aligned as another, as points would crowd near 0 otherwise."""
    low, high = min(places), max(places)
    if measure == "alignment" and low > 0 and high >= WIDE * low:
        ax.set_xscale("log")
        ax.set_xlim(low / 1.4, high * 1.4)
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=6))
        ax.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        ax.xaxis.set_minor_locator(NullLocator())
        return
    # Set manually, as marks that are shifted sideways do not widen an axis by themselves.
    if not 0 < NEAR_ZERO * high < low:
        low, high = min(0.0, low), max(0.0, high)
    margin = 0.12 * (high - low)
    ax.set_xlim(low - margin, high + margin)
    ax.xaxis.set_major_locator(MaxNLocator(4))


def _legend(
    figure: Figure, kinds: Sequence[str], looks: Mapping[str, str], has_shifted: bool, has_lines: bool
) -> None:
    """A legend with kinds and the meaning of hollow marks in the first rows, and data sets below.

    Without lines, that is if no data set has several points, a kind is shown by its colour alone.
    """
    of_kinds = []
    for kind in kinds:
        colour, stroke = _stroke(kind)
        line = Line2D([], [], color=colour, label=kind_name(kind), linewidth=5.0)
        if has_lines:
            line.set(linestyle=stroke, linewidth=1.5)
        of_kinds.append(line)
    if has_shifted:
        of_kinds.append(_mark("o", "images shifted", "white"))
    legend_below(figure, of_kinds, [_mark(marker, name, style.GREY) for name, marker in looks.items()])


def _mark(marker: str, label: str, fill: str) -> Line2D:
    return Line2D(
        [], [], color=style.GREY, marker=marker, markerfacecolor=fill, markersize=4, linestyle="", label=label
    )
