"""Each layer kind against convolution, seed by seed: a forest plot of paired differences."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from results.figures import style
from results.figures.naming import KIND_NAMES, short_kind_name
from results.figures.selection import MOST_DOTS, PANEL, NothingToDraw, Panel, Selection, cells, panels
from results.schema import TrialStatus
from results.statistics import LAYER_SETTINGS, Summary, paired_difference

CAPTION = (
    "Difference in test accuracy from a plain convolution trained with the same seed: "
    "mean and 95% t interval over seeds, a faint dot each, or a faint bar for the middle 90% of many. "
    "Of several ranks the one with the best mean validation accuracy is shown. "
    "Right: the rank, and the parameters of the whole network."
)
REFERENCE = "conv"
MEASURES = ("test_accuracy", "validation_accuracy", "parameters", "test_images")
TRIAL_COLUMNS = (*PANEL, *LAYER_SETTINGS, "status", "seed", *MEASURES)


@dataclass(frozen=True)
class _Contrast:
    kind: str
    placement: str
    rank: int | None
    parameters: float
    per_seed: "pd.Series[float]"
    difference: Summary

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
    lines = _lines([contrast for _, contrasts in found for contrast in contrasts])
    figure, axes = style.grid(len(found), panel_height=0.75 + 0.2 * len(lines))
    for position, (ax, (panel, contrasts)) in enumerate(zip(axes, found, strict=True)):
        _draw_panel(ax, contrasts, lines, named=position % 3 == 0)
        style.title(ax, panel)
    return figure


def _contrasts(panel: Panel) -> list[_Contrast]:
    finished = panel.rows[panel.rows["status"] == TrialStatus.FINISHED]
    references = [rows for layer, rows in cells(finished) if layer["kind"] == REFERENCE]
    if not references:
        return []
    best: dict[tuple[str, str, str], pd.DataFrame] = {}
    for layer, rows in cells(finished[finished["kind"] != REFERENCE]):
        if layer["rank"] == 1 and (finished["rank"] > 1).any():
            continue  # a convolution by another name
        key = (str(layer["kind"]), str(layer["placement"]), str(layer["options"]))
        if key not in best or _validation(rows) > _validation(best[key]):
            best[key] = rows
    contrasts = [_contrast(rows, references[0]) for rows in best.values()]
    return [contrast for contrast in contrasts if contrast.difference.n]


def _validation(rows: pd.DataFrame) -> float:
    return float(rows["validation_accuracy"].mean())


def _contrast(rows: pd.DataFrame, reference: pd.DataFrame) -> _Contrast:
    first = rows.iloc[0]
    per_seed = (
        rows.set_index("seed")["test_accuracy"] - reference.set_index("seed")["test_accuracy"]
    ).dropna()
    rank = None if pd.isna(first["rank"]) else int(first["rank"])
    summary = paired_difference(rows, reference).difference.scaled(100)
    return _Contrast(first["kind"], first["placement"], rank, first["parameters"], 100 * per_seed, summary)


def _lines(contrasts: list[_Contrast]) -> list[tuple[str, str]]:
    """(kind, placement) of every line of the plot, kinds in a fixed order, LRLC last and so on top."""
    order = list(KIND_NAMES)
    found = {(contrast.kind, contrast.placement) for contrast in contrasts}
    places = style.placement_order([placement for _, placement in found])
    return sorted(
        found,
        key=lambda line: (order.index(line[0]) if line[0] in order else -1, line[0], places.index(line[1])),
    )


def _draw_panel(ax: Axes, contrasts: list[_Contrast], lines: list[tuple[str, str]], named: bool) -> None:
    ax.axvline(0, color=style.GREY, linewidth=0.8, zorder=1)
    for contrast in contrasts:
        height = lines.index((contrast.kind, contrast.placement))
        colour, summary = style.kind_colour(contrast.kind), contrast.difference
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
        rank = f"rank {contrast.rank}, " if contrast.rank else ""
        ax.annotate(
            rank + _count(contrast.parameters),
            (1.02, height),
            xycoords=("axes fraction", "data"),
            fontsize=5.5,
            color=style.GREY,
            va="center",
        )
    names = [
        f"{short_kind_name(kind)} ({place})" if place else short_kind_name(kind) for kind, place in lines
    ]
    ax.set_yticks(range(len(lines)), names if named else [""] * len(lines))
    ax.set_ylim(-0.6, len(lines) - 0.4)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlim(*_limits(contrasts))
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.set_xlabel("difference from conv (points)")


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
