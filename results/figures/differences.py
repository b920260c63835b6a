"""Each layer kind against convolution, seed by seed: a forest plot of paired differences."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lrlc.results.claims.cells import Choice, Side, choose, chosen, picked, rank_of
from lrlc.results.figures import style
from lrlc.results.figures.intervals import draw_intervals, limits
from lrlc.results.figures.looks import kind_look
from lrlc.results.figures.selection import MOST_DOTS, PANEL, NothingToDraw, Panel, Selection, panels
from lrlc.results.figures.words import distinct, width_inches
from lrlc.results.names import KIND_NAMES, Layer, layer_names, named_seeds
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import LAYER_SETTINGS, Summary, summarise
from lrlc.studies.claims import Cells

CAPTION = (
    "Difference in test accuracy from a plain convolution trained with the same seed: mean and 95% t interval over "
    "seeds, with a faint dot for each seed, or a faint bar for the middle 90% of many. Where there are several "
    "ranks, the first seeds choose one on validation and are left out of the result. Right: the rank and the "
    "parameters of the whole network. A wide convolution has the parameters of the LRLC of the rank beside it; of "
    "several, that of the chosen rank is shown. A star: the rank was chosen, and the result is over the seeds named "
    "above. An arrowhead means that an interval extends beyond the panel; an arrow with a number is a layer out there."
)
REFERENCE, MATCHED, MATCHED_TO = "conv", "wide_conv", "lrlc"
EXTRA_INCHES = 0.8
"""Additional width for names beside one or two panels."""
LINE_INCHES, LEAST_LINE_INCHES, AROUND_INCHES = 0.2, 0.105, 0.85
"""Heights of a line, of the lowest legible line, and of the space around the lines of a panel."""
NAME_POINTS, NAME_INCHES = 7.0, {1: 1.9, 2: 1.7, 3: 1.5}
"""Font size of the lines' names, and their width by the number of panels."""
LEAST_NAME_INCHES, LEAST_AXIS_INCHES = 0.8, 1.15
"""At a given width, the least for the names, and for a panel if the names can be shorter."""
BESIDE_INCHES = 0.7
"""Width of the notes to the right of a panel."""
FAR = 2.0
"""Layers are left out of a panel's limits, as long as most fit, if that makes the others this many times as wide."""
MEASURES = ("test_accuracy", "validation_accuracy", "parameters", "test_images")
TRIAL_COLUMNS = (*PANEL, *LAYER_SETTINGS, "status", "seed", *MEASURES)


@dataclass(frozen=True)
class _Contrast:
    line: Layer
    rank: int | None
    parameters: float
    per_seed: "pd.Series[float]"
    """Ours minus convolution's, in points."""
    is_chosen: bool
    """Whether other seeds chose the rank."""

    @property
    def difference(self) -> Summary:
        return summarise(self.per_seed)

    @property
    def shown(self) -> "pd.Series[float]":
        """Every seed's value, or, if there are very many, the ends of their middle 90%."""
        return self.per_seed if len(self.per_seed) <= MOST_DOTS else self.per_seed.quantile([0.05, 0.95])


def draw(selection: Selection) -> Figure:
    """One panel per data set; raises NothingToDraw if nothing shares a seed with a convolution."""
    found = [(panel, _contrasts(panel)) for panel in panels(selection.trials)]
    found = [(panel, contrasts) for panel, contrasts in found if contrasts]
    if not found:
        raise NothingToDraw("no other layer shares a seed with a finished convolution")
    lines = _lines([contrast.line for _, contrasts in found for contrast in contrasts])
    figure, axes = style.grid(
        len(found), panel_height=AROUND_INCHES + _line_inches(len(lines), len(found)) * len(lines)
    )
    across = style.fitting(len(found))
    if across < style.ACROSS and not style.is_given():
        figure.set_figwidth(figure.get_figwidth() + EXTRA_INCHES)
    names, wide = _named(lines, _name_inches(figure, across))
    for position, (ax, (panel, contrasts)) in enumerate(zip(axes, found, strict=True)):
        _draw_panel(ax, contrasts, lines)
        ax.set_yticks(range(len(lines)), names if position % across == 0 else [""] * len(lines))
        aside = BESIDE_INCHES + wide / across
        style.title(ax, panel, _note(panel, contrasts), aside=aside)
    return figure


def _name_inches(figure: Figure, across: int) -> float:
    """Room for the lines' names: less where a width is given that would leave the panels too narrow."""
    usual = NAME_INCHES.get(across, min(NAME_INCHES.values()))
    left = figure.get_figwidth() - across * (LEAST_AXIS_INCHES + BESIDE_INCHES)
    return max(LEAST_NAME_INCHES, min(usual, left)) if style.is_given() else usual


def _named(lines: Sequence[Layer], room: float) -> tuple[list[str], float]:
    """The lines' names, abbreviated to the values of options if they do not fit, and their width."""
    full, brief = (layer_names(lines, brief=each) for each in (False, True))
    fits = all(width_inches(name, NAME_POINTS) <= room for name in full.values())
    names = distinct([(full if fits else brief)[line] for line in lines], room, NAME_POINTS)
    return names, max(width_inches(name, NAME_POINTS) for name in names)


def _line_inches(lines: int, panel_count: int) -> float:
    """The height of a line such that all fit on a page; NothingToDraw if that is illegible."""
    down = -(-panel_count // style.fitting(panel_count))
    height = min(LINE_INCHES, (style.MOST_INCHES / down - AROUND_INCHES) / lines)
    if height < LEAST_LINE_INCHES:
        raise NothingToDraw(f"its {panel_count} panels need {lines} lines each, too many for a page")
    return height


def _contrasts(panel: Panel) -> list[_Contrast]:
    finished = panel.rows[panel.rows["status"] == TrialStatus.FINISHED]
    theirs = chosen(Side.of(finished, Cells(kind=REFERENCE)))
    found = []
    for line, rows in _by_line(finished[finished["kind"] != REFERENCE]).items():
        side, choice = _choice(line, rows, finished)
        per_seed = (picked(side.test, choice) - theirs).dropna()
        if not len(per_seed):
            continue
        rank = rank_of(side.settings[choice.column])
        of_rank = rows if rank is None else rows[rows["rank"] == rank]
        parameters = of_rank["parameters"].iloc[0]
        found.append(_Contrast(line, rank, float(parameters), per_seed, bool(len(choice.chose))))
    return found


def _by_line(rows: pd.DataFrame) -> dict[Layer, pd.DataFrame]:
    """The rows of each line, without rank 1, which is close to a convolution, if the line has other ranks."""
    grouped = rows.groupby(["kind", "placement", "options"], sort=False, observed=True)
    return {
        (str(kind), str(place), str(options)): part[part["rank"] != 1] if (part["rank"] > 1).any() else part
        for (kind, place, options), part in grouped
    }


def _choice(line: Layer, rows: pd.DataFrame, finished: pd.DataFrame) -> tuple[Side, Choice]:
    """The rank that a line's first seeds choose; a matched kind uses the rank of the line it is matched to."""
    kind, place, _ = line
    side = Side.of(rows, Cells(kind=kind))
    ranked = finished[(finished["placement"] == place) & (finished["rank"] != 1)]
    ours = Side.of(ranked, Cells(kind=MATCHED_TO))
    if kind == MATCHED and ours.settings:
        matched = side.beside(ours)
        choice = replace(choose(ours), column=choose(matched).column)
        if len(picked(matched.test, choice)):
            return matched, choice
    return side, choose(side)


def _lines(found: Collection[Layer]) -> list[Layer]:
    """All lines of the plot, with kinds in a fixed order, LRLC last and thus on top."""
    order = list(KIND_NAMES)
    places = style.placement_order([place for _, place, _ in found])
    return sorted(
        set(found),
        key=lambda line: (
            order.index(line[0]) if line[0] in order else -1, line[0], places.index(line[1]), line[2]
        ),
    )  # fmt: skip


def _draw_panel(ax: Axes, contrasts: list[_Contrast], lines: list[Layer]) -> None:
    ax.set_xlim(*_limits(contrasts))
    ax.set_ylim(-0.6, len(lines) - 0.4)
    ax.axvline(0, color=style.GREY, linewidth=0.8, zorder=1)
    for contrast in contrasts:
        height = lines.index(contrast.line)
        _draw_contrast(ax, contrast, height)
        ax.annotate(
            _beside(contrast),
            (1.02, height),
            xycoords=("axes fraction", "data"),
            fontsize=5.5,
            color=style.GREY,
            va="center",
        )
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.set_xlabel("difference from conv (points)")


def _limits(contrasts: Sequence[_Contrast]) -> tuple[float, float]:
    """Limits that include 0 and all layers, or most of them if the others lie far from these."""
    by_distance = sorted(contrasts, key=lambda each: abs(each.difference.mean))
    found = [
        limits([each.difference for each in near], [0.0, *(value for each in near for value in each.shown)])
        for count in range(len(contrasts), len(contrasts) // 2, -1)
        for near in [by_distance[:count]]
    ]
    (low, high), *narrower = found
    return next((each for each in narrower if high - low >= FAR * (each[1] - each[0])), (low, high))


def _draw_contrast(ax: Axes, contrast: _Contrast, height: float) -> None:
    look, seeds = kind_look(contrast.line[0]), contrast.shown
    low, high = ax.get_xlim()
    if not low <= contrast.difference.mean <= high:
        _draw_far(ax, contrast.difference.mean, height, look.colour)
        return
    if len(contrast.per_seed) > MOST_DOTS:
        ax.hlines(height, seeds.min(), seeds.max(), color=look.colour, lw=4, alpha=0.3, zorder=2)
    else:
        ax.scatter(
            seeds, np.full(len(seeds), height), s=5, color=look.colour, alpha=0.35, linewidths=0, zorder=2
        )
    draw_intervals(ax, [height], [contrast.difference], look.colour, sideways=True, width=1.0)
    ax.plot(contrast.difference.mean, height, color=look.colour, marker=look.marker, markersize=4, zorder=4)


def _draw_far(ax: Axes, mean: float, height: float, colour: str) -> None:
    """'← −6.8' at the edge of the panel."""
    low, high = ax.get_xlim()
    number = f"{mean:+.1f}".replace("-", "−")
    text, edge, side = (f"← {number}", low, "left") if mean < low else (f"{number} →", high, "right")
    # Without a background the line at 0 may cross the number.
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    ax.annotate(text, (edge, height), fontsize=6, color=colour, ha=side, va="center", bbox=behind)


def _beside(contrast: _Contrast) -> str:
    """'rank 4*, 187 k'; the star means that other seeds chose the rank."""
    rank = f"rank {contrast.rank}, " if contrast.rank else ""
    return f"{rank.replace(',', '*,') if contrast.is_chosen else rank}{_count(contrast.parameters)}"


def _note(panel: Panel, contrasts: list[_Contrast]) -> str:
    """'6 to 9 seeds, * 3 to 8, 1,000 test images': the numbers, and the evaluation seeds if others chose."""
    counted = style.seeds_note(panel.rows, [len(each.per_seed) for each in contrasts])
    seeds = {int(seed) for each in contrasts if each.is_chosen for seed in each.per_seed.index}
    return f"{counted}, * {named_seeds(seeds)}" if seeds and len(seeds) <= MOST_DOTS else counted


def _count(number: float) -> str:
    """75466 as '75 k', 23500000 as '23.5 M'."""
    return f"{number / 1e6:.1f} M" if number >= 999_500 else f"{number / 1e3:.0f} k"
