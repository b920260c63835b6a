"""Each layer kind against convolution, seed by seed: a forest plot of paired differences."""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lrlc.results.claims.cells import Choice, Side, choose, chosen, picked, rank_of
from lrlc.results.figures import style
from lrlc.results.figures.selection import MOST_DOTS, PANEL, NothingToDraw, Panel, Selection, panels
from lrlc.results.names import KIND_NAMES, seeds_name, short_kind_name
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import LAYER_SETTINGS, Summary, summarise
from lrlc.studies.claims import Cells

CAPTION = (
    "Difference in test accuracy from a plain convolution trained with the same seed: "
    "mean and 95% t interval over seeds, a faint dot each, or a faint bar for the middle 90% of many. "
    "Of several ranks the first seeds choose one on validation, and do not report it; the wide convolution is, where "
    "it was trained, that of as many parameters as the LRLC in the same place. "
    "Right: the rank and the parameters of the whole network. A star: the rank was chosen, and the seeds named above "
    "report."
)
REFERENCE, MATCHED, MATCHED_TO = "conv", "wide_conv", "lrlc"
MEASURES = ("test_accuracy", "validation_accuracy", "parameters", "test_images")
TRIAL_COLUMNS = (*PANEL, *LAYER_SETTINGS, "status", "seed", *MEASURES)


Line = tuple[str, str, str]
"""Kind, placement and options."""


@dataclass(frozen=True)
class _Contrast:
    line: Line
    rank: int | None
    parameters: float
    per_seed: "pd.Series[float]"
    """In points, ours minus convolution's."""
    is_chosen: bool
    """Whether other seeds chose the rank."""

    @property
    def difference(self) -> Summary:
        return summarise(self.per_seed)

    @property
    def shown(self) -> "pd.Series[float]":
        """Every seed, or of very many where their middle 90% begin and end."""
        return self.per_seed if len(self.per_seed) <= MOST_DOTS else self.per_seed.quantile([0.05, 0.95])


def draw(selection: Selection) -> Figure:
    """One panel per data set; raises NothingToDraw where nothing shares a seed with a convolution."""
    found = [(panel, _contrasts(panel)) for panel in panels(selection.trials)]
    found = [(panel, contrasts) for panel, contrasts in found if contrasts]
    if not found:
        raise NothingToDraw("no other layer shares a seed with a finished convolution")
    lines = _lines([contrast.line for _, contrasts in found for contrast in contrasts])
    figure, axes = style.grid(len(found), panel_height=0.75 + 0.2 * len(lines))
    for position, (ax, (panel, contrasts)) in enumerate(zip(axes, found, strict=True)):
        _draw_panel(ax, contrasts, lines, named=position % 3 == 0)
        style.title(ax, panel, _note(panel, contrasts))
    return figure


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


def _by_line(rows: pd.DataFrame) -> dict[Line, pd.DataFrame]:
    """Without rank 1, a convolution by another name, where there are others."""
    relaxed = rows["rank"] != 1
    kept = rows[relaxed] if (rows["rank"] > 1).any() else rows
    grouped = kept.groupby(["kind", "placement", "options"], sort=False, observed=True)
    return {(str(kind), str(place), str(options)): part for (kind, place, options), part in grouped}


def _choice(line: Line, rows: pd.DataFrame, finished: pd.DataFrame) -> tuple[Side, Choice]:
    """Of a line's ranks the one that its first seeds choose; of matched ones that of what they are matched to."""
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


def _lines(found: Collection[Line]) -> list[Line]:
    """Every line of the plot, kinds in a fixed order, LRLC last and so on top."""
    order = list(KIND_NAMES)
    places = style.placement_order([place for _, place, _ in found])
    return sorted(
        set(found),
        key=lambda line: (
            order.index(line[0]) if line[0] in order else -1, line[0], places.index(line[1]), line[2]
        ),
    )  # fmt: skip


def _name(line: Line, lines: Collection[Line]) -> str:
    """'LRLC (3)'; with its options where another line differs by them alone."""
    kind, place, options = line
    told = [place] if place else []
    if sum(other[:2] == line[:2] for other in lines) > 1:
        told += [f"{name} {value}" for name, value in json.loads(options).items()]
    return f"{short_kind_name(kind)} ({', '.join(told)})" if told else short_kind_name(kind)


def _draw_panel(ax: Axes, contrasts: list[_Contrast], lines: list[Line], named: bool) -> None:
    ax.axvline(0, color=style.GREY, linewidth=0.8, zorder=1)
    for contrast in contrasts:
        height = lines.index(contrast.line)
        colour, summary = style.kind_colour(contrast.line[0]), contrast.difference
        half = np.nan_to_num(summary.high - summary.mean)  # no interval at one seed
        seeds = contrast.shown
        if len(contrast.per_seed) > MOST_DOTS:
            ax.hlines(height, seeds.min(), seeds.max(), color=colour, lw=4, alpha=0.3, zorder=2)
        else:
            ax.scatter(
                seeds, np.full(len(seeds), height), s=5, color=colour, alpha=0.35, linewidths=0, zorder=2
            )
        ax.errorbar(
            summary.mean, height, xerr=half, color=colour, marker="o", markersize=3.6, linewidth=1.0, zorder=3
        )
        ax.annotate(
            _beside(contrast),
            (1.02, height),
            xycoords=("axes fraction", "data"),
            fontsize=5.5,
            color=style.GREY,
            va="center",
        )
    names = [_name(line, lines) if named else "" for line in lines]
    ax.set_yticks(range(len(lines)), names)
    ax.set_ylim(-0.6, len(lines) - 0.4)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlim(*_limits(contrasts))
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.set_xlabel("difference from conv (points)")


def _beside(contrast: _Contrast) -> str:
    """'rank 4*, 187 k'; the star where other seeds chose the rank."""
    rank = f"rank {contrast.rank}, " if contrast.rank else ""
    return f"{rank.replace(',', '*,') if contrast.is_chosen else rank}{_count(contrast.parameters)}"


def _note(panel: Panel, contrasts: list[_Contrast]) -> str:
    """'6 to 9 seeds, 1,000 test images; * seeds 3 to 8': how many, and which report where others chose."""
    counted = style.seeds_note(panel.rows, [len(each.per_seed) for each in contrasts])
    seeds = {int(seed) for each in contrasts if each.is_chosen for seed in each.per_seed.index}
    return f"{counted}; * seeds {seeds_name(seeds)}" if seeds and len(seeds) <= MOST_DOTS else counted


def _limits(contrasts: list[_Contrast]) -> tuple[float, float]:
    """Room for every seed and mean; intervals may run off, as they do at two seeds."""
    shown = np.concatenate([[0.0], *[contrast.shown.to_numpy() for contrast in contrasts]])
    low, high = float(shown.min()), float(shown.max())
    span = max(high - low, 0.2)
    ends = [end for c in contrasts for end in (c.difference.low, c.difference.high) if not np.isnan(end)]
    low, high = max(min([low, *ends]), low - 0.5 * span), min(max([high, *ends]), high + 0.5 * span)
    return low - 0.05 * span, high + 0.05 * span


def _count(number: float) -> str:
    """75466 as '75 k', 23500000 as '23.5 M'."""
    return f"{number / 1e6:.1f} M" if number >= 999_500 else f"{number / 1e3:.0f} k"
