"""What relaxing invariance gains against how aligned the images are, across data sets and along shifts of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from results.claims.cells import Side, pair
from results.claims.evidence import rank_table
from results.figures import style
from results.figures.naming import dataset_name, kind_name
from results.figures.selection import PANEL, NothingToDraw, Selection, panels
from results.statistics import LAYER_SETTINGS, Summary, summarise

CAPTION = (
    "Gain over convolution against the alignment of the images: the mean correlation of two of them, 1 if all are "
    "one. A point is a data set as trained on, with its 95% t interval over paired seeds; a line joins the shifts of "
    "one data set, which take its alignment away (hollow: shifted). Ranks are chosen on validation by the other seeds."
)
TRIAL_COLUMNS = (
    *PANEL, *LAYER_SETTINGS, "dataset_name", "translate", "label", "status", "seed",
    "test_accuracy", "validation_accuracy", "test_images",
)  # fmt: skip
REFERENCE = "conv"
KINDS = ("lrlc", "lrlc_input_dependent")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class _Point:
    base: str
    """The data set without its shift."""
    translate: int
    alignment: float
    rows: pd.DataFrame

    def difference(self, ours: str, theirs: str) -> Summary | None:
        sides = [Side.of(self.rows, {"kind": kind}) for kind in (ours, theirs)]
        pairs = pair(*sides, matched=False)
        return summarise(pairs["ours"] - pairs["theirs"]) if len(pairs) else None

    def best_rank(self, kind: str) -> float | None:
        ranks, table = rank_table(self.rows, {"kind": kind}, "validation")
        return float(ranks[int(np.argmax(table.mean(axis=0)))]) if len(ranks) > 1 and len(table) else None


@dataclass(frozen=True)
class _Series:
    """Points of one data set, by rising alignment, and a value with its interval for each."""

    base: str
    colour: str
    points: Sequence[tuple[_Point, Summary]]


def draw(selection: Selection) -> Figure:
    """Gain, fixed minus input-dependent, and best rank, as far as the rows tell of two data sets or shifts."""
    points = _points(selection)
    bases = list(dict.fromkeys(point.base for point in points))
    looks = {base: MARKERS[number % len(MARKERS)] for number, base in enumerate(bases)}
    kinds = [kind for kind in KINDS if any((point.rows["kind"] == kind).any() for point in points)]
    drawn = [
        (
            "gain over convolution (points)",
            [s for kind in kinds for s in _gains(points, kind, REFERENCE, style.kind_colour(kind))],
        ),
        ("fixed minus input-dependent (points)", list(_gains(points, *KINDS, style.INK))),
        ("best rank", [s for kind in kinds for s in _ranks(points, kind)]),
    ]
    drawn = [(label, series) for label, series in drawn if sum(len(one.points) for one in series) > 1]
    if not drawn:
        raise NothingToDraw("no two data sets or shifts have a finished low-rank layer beside a convolution")
    figure, axes = style.grid(len(drawn), panel_height=2.3, below=0.5)
    for ax, (label, series) in zip(axes, drawn, strict=True):
        _draw_panel(ax, label, series, looks)
    _legend(figure, kinds, looks, most_columns=2 if len(drawn) == 1 else 4)
    return figure


def _points(selection: Selection) -> list[_Point]:
    told = panels(selection.trials)
    if not selection.datasets:
        raise NothingToDraw("its run noted no alignment of its data sets; running it again does")
    found = []
    for panel in told:
        noted = selection.datasets.get(panel.dataset)
        if noted is None or panel.detail:
            continue
        first = panel.rows.iloc[0]
        label = "" if pd.isna(first["label"]) else f":{first['label']}"
        found.append(
            _Point(f"{first['dataset_name']}{label}", int(first["translate"]), noted.alignment, panel.rows)
        )
    if len(found) < 2:
        raise NothingToDraw("it takes two data sets, or a shifted one, to compare alignments")
    return sorted(found, key=lambda point: point.alignment)


def _gains(points: Sequence[_Point], ours: str, theirs: str, colour: str) -> Iterator[_Series]:
    for base in dict.fromkeys(point.base for point in points):
        told = [(point, point.difference(ours, theirs)) for point in points if point.base == base]
        yield _Series(base, colour, [(point, value) for point, value in told if value is not None])


def _ranks(points: Sequence[_Point], kind: str) -> Iterator[_Series]:
    """A best rank has no interval: it is one of few numbers."""
    for base in dict.fromkeys(point.base for point in points):
        told = [(point, point.best_rank(kind)) for point in points if point.base == base]
        known = [
            (point, Summary(1, rank, np.nan, np.nan, np.nan)) for point, rank in told if rank is not None
        ]
        yield _Series(base, style.kind_colour(kind), known)


def _draw_panel(ax: Axes, label: str, series: Sequence[_Series], looks: Mapping[str, str]) -> None:
    if "points" in label:
        ax.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
    for one in series:
        _draw_series(ax, one, looks[one.base])
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=label == "best rank"))
    ax.set_xlabel("alignment (mean correlation)")
    ax.set_ylabel(label)
    counts = [value.n for one in series for _, value in one.points]
    if "points" in label:
        low, high = min(counts), max(counts)
        told = f"{low} to {high} seeds" if low != high else f"{low} seed{'s' * (low > 1)}"
        ax.set_title(told, fontsize=6, fontweight="normal", color=style.GREY, pad=3)


def _draw_series(ax: Axes, one: _Series, marker: str) -> None:
    places = [point.alignment for point, _ in one.points]
    means = [value.mean for _, value in one.points]
    ax.plot(places, means, color=one.colour, linewidth=0.8, alpha=0.6, zorder=2)
    for (point, value), place in zip(one.points, places, strict=True):
        if not np.isnan(value.low):
            ax.vlines(place, value.low, value.high, color=one.colour, linewidth=0.8, zorder=3)
        ax.plot(
            place,
            value.mean,
            marker=marker,
            markersize=4,
            color=one.colour,
            markerfacecolor="white" if point.translate else one.colour,
            markeredgewidth=0.8,
            zorder=4,
        )


def _legend(figure: Figure, kinds: Sequence[str], looks: Mapping[str, str], most_columns: int) -> None:
    handles = [
        Line2D([], [], color=style.kind_colour(kind), linewidth=1.5, label=kind_name(kind)) for kind in kinds
    ]
    handles += [
        Line2D([], [], color=style.GREY, marker=marker, markersize=4, linestyle="", label=dataset_name(base))
        for base, marker in looks.items()
    ]
    figure.legend(
        handles=style.row_major(handles, most_columns), loc="outside lower center", ncols=most_columns
    )
