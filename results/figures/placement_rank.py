"""Where to replace a layer and at which rank: a heat map of gains over convolution."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from lrlc.results.figures import style
from lrlc.results.figures.selection import NothingToDraw, Panel, Selection, cells, panels
from lrlc.results.figures.words import label_places, shortened
from lrlc.results.names import KIND_NAMES, dataset_name, kind_name, options_name
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import Summary, paired_difference

CAPTION = (
    "Mean difference in test accuracy, in points, from a plain convolution trained with the same seed, by the "
    "layers that are replaced and the rank. Bold and framed: the 95% t interval over seeds excludes 0; the "
    "others could be 0. Not corrected for the number of cells. A dash: no finished pair."
)
REFERENCE, NOT_RELAXED = "conv", ("conv", "wide_conv")
MOST_MAPS = 12
LETTER_POINTS, SMALLEST_POINTS = 180.0, 3.5
"""Upper bound on characters across a map times their font size, and the smallest size, below which there are none."""
# Orange below, blue above: distinguishable with any colour blindness. Both are equally dark, so signs matter in grey.
COLOURS = LinearSegmentedColormap.from_list(
    "orange_blue", ["#B35806", "#F1A340", "#FEE0B6", "#FFFFFF", "#D1E5F0", "#67A9CF", "#2166AC"]
)


@dataclass(frozen=True)
class _HeatMap:
    """One kind on one data set; `found` by placement and rank."""

    panel: Panel
    kind: str
    options: str
    placements: list[str]
    ranks: list[int]
    found: dict[tuple[str, int], Summary]


def draw(selection: Selection) -> Figure:
    """A map per data set and kind; raises NothingToDraw unless a kind has several placements and ranks."""
    maps = [drawn for panel in panels(selection.trials) for drawn in _maps(panel)]
    if not maps:
        raise NothingToDraw("no layer with a rank has two placements and two ranks beside a convolution")
    if len(maps) > MOST_MAPS:
        raise NothingToDraw(f"it needs {len(maps)} heat maps; the maximum is {MOST_MAPS}")
    tallest = max(len(drawn.placements) for drawn in maps)
    figure, axes = style.grid(len(maps), panel_height=1.0 + 0.3 * tallest, columns=2)
    furthest = max(abs(each.mean) for drawn in maps for each in drawn.found.values())
    scale = Normalize(-max(furthest, 0.1), max(furthest, 0.1))
    images = [_draw_map(ax, drawn, scale) for ax, drawn in zip(axes, maps, strict=True)]
    several = len({drawn.options for drawn in maps}) > 1
    for number, (ax, drawn) in enumerate(zip(axes, maps, strict=True)):
        if number % 2 == 0:
            ax.set_ylabel("layers replaced")
        options = options_name(drawn.options) if several else ""
        notes = [kind_name(drawn.kind), options, drawn.panel.detail, _seeds(drawn)]
        style.headed(ax, dataset_name(drawn.panel.dataset), notes)
    bar = figure.colorbar(images[0], ax=axes, location="bottom", shrink=0.6, aspect=30, pad=0.02)
    bar.set_label("difference from conv (points)")
    bar.outline.set_visible(False)
    return figure


def _maps(panel: Panel) -> list[_HeatMap]:
    finished = panel.rows[panel.rows["status"] == TrialStatus.FINISHED]
    reference = finished[finished["kind"] == REFERENCE].drop_duplicates("seed")
    if reference.empty:
        return []
    found: dict[tuple[str, str], dict[tuple[str, int], Summary]] = {}
    for layer, rows in cells(finished[~finished["kind"].isin(NOT_RELAXED) & finished["rank"].notna()]):
        difference = paired_difference(rows, reference).scaled(100)
        if difference.n:
            of_kind = found.setdefault((str(layer["kind"]), str(layer["options"])), {})
            of_kind[str(layer["placement"]), int(str(layer["rank"]).removesuffix(".0"))] = difference
    maps = [
        _HeatMap(
            panel,
            kind,
            options,
            style.placement_order([place for place, _ in by_cell]),
            sorted({rank for _, rank in by_cell}),
            by_cell,
        )
        for (kind, options), by_cell in sorted(found.items(), key=lambda item: _order(item[0]))
    ]
    return [drawn for drawn in maps if len(drawn.placements) > 1 and len(drawn.ranks) > 1]


def _order(key: tuple[str, str]) -> tuple[int, str, str]:
    known = list(KIND_NAMES)
    return (known.index(key[0]) if key[0] in known else len(known), *key)


def _seeds(drawn: _HeatMap) -> str:
    counts = [difference.n for difference in drawn.found.values()]
    low, high = min(counts), max(counts)
    return f"{low if low == high else f'{low} to {high}'} seed{'s' if high > 1 else ''}"


def _draw_map(ax: Axes, drawn: _HeatMap, scale: Normalize) -> AxesImage:
    means = np.full((len(drawn.placements), len(drawn.ranks)), np.nan)
    for (place, rank), difference in drawn.found.items():
        means[drawn.placements.index(place), drawn.ranks.index(rank)] = difference.mean
    image = ax.imshow(np.ma.masked_invalid(means), COLOURS, scale, aspect="auto")
    decimals = 1 if np.nanmax(np.abs(means)) >= 1 else 2
    size = min(6.5, LETTER_POINTS / (4 * len(drawn.ranks)))
    for row, place in enumerate(drawn.placements) if size >= SMALLEST_POINTS else ():
        for column, rank in enumerate(drawn.ranks):
            _write(ax, (column, row), drawn.found.get((place, rank)), scale, decimals, size)
    label_places(ax, range(len(drawn.ranks)), [str(rank) for rank in drawn.ranks])
    ax.set_yticks(range(len(drawn.placements)), [shortened(name, 0.8, 7) for name in drawn.placements])
    ax.set_xticks(np.arange(len(drawn.ranks) - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(len(drawn.placements) - 1) + 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1.2)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("rank")
    return image


def _write(
    ax: Axes, place: tuple[int, int], difference: Summary | None, scale: Normalize, decimals: int, size: float
) -> None:
    centred: Mapping[str, Any] = {"ha": "center", "va": "center", "fontsize": size}
    if difference is None:
        ax.text(*place, "–", color=style.GREY, **centred)
        return
    is_clear = difference.low > 0 or difference.high < 0
    number = f"{round(difference.mean, decimals) + 0.0:+.{decimals}f}".replace("-", "−")
    if decimals == 2:
        number = number.replace("0.", ".", 1)  # '+.07' fits where '+0.07' does not
    ink = _ink(COLOURS(float(scale(difference.mean))), is_clear)
    ax.text(*place, number, color=ink, fontweight="bold" if is_clear else "normal", **centred)
    if is_clear:
        corner = (place[0] - 0.44, place[1] - 0.42)
        ax.add_patch(Rectangle(corner, 0.88, 0.84, fill=False, color=style.INK, linewidth=0.8))


def _ink(colour: Sequence[float], is_clear: bool) -> str:
    """Text colour: white on dark cells, else black, or grey on the palest if the difference could be 0."""
    lightness = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    if lightness < 0.55:
        return "white"
    return style.INK if is_clear or lightness < 0.85 else "#555555"
