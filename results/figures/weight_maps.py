"""What the two figures of combining weights share: choosing trials, and drawing rows of maps."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from results.figures import style
from results.figures.naming import dataset_name
from results.figures.selection import PANEL, NothingToDraw, Panel, Selection, cells, panels
from results.schema import TrialStatus
from results.statistics import LAYER_SETTINGS

__all__ = ["TRIAL_COLUMNS", "Figure", "draw_maps"]

TRIAL_COLUMNS = (*PANEL, *LAYER_SETTINGS, "trial_id", "status", "seed", "validation_accuracy")
COLOURS = "cividis"
MOST_BANKS = 8
MOST_ROWS = 12
IMAGES = 3


@dataclass(frozen=True)
class _Row:
    label: str
    banks: list["np.ndarray[tuple[int, int], np.dtype[np.float64]]"]


def draw_maps(selection: Selection, *, by_image: bool) -> Figure:
    """Rows of maps, one column per bank; `by_image` chooses the maps that were made for an image."""
    rows = [row for panel in panels(selection.trials) for row in _rows(panel, selection, by_image)][
        :MOST_ROWS
    ]
    if not rows:
        raise NothingToDraw(
            f"no trial left {'input-dependent' if by_image else 'fixed'} combining weights of rank 2 to 8"
        )
    across = max(len(row.banks) for row in rows)
    side = min(0.8, (style.PAGE_INCHES - 1.5) / across)
    figure = Figure(figsize=(1.5 + side * across, 0.35 + (side + 0.07) * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), across, squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        values = np.concatenate([bank.ravel() for bank in row.banks])
        for bank, ax in enumerate(line):
            if bank >= len(row.banks):
                ax.axis("off")
                continue
            ax.imshow(row.banks[bank], cmap=COLOURS, vmin=values.min(), vmax=values.max())
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_visible(False)
        line[0].set_ylabel(row.label, rotation=0, ha="right", va="center", fontsize=6.5)
        scale = ScalarMappable(Normalize(values.min(), values.max()), COLOURS)
        bar = figure.colorbar(scale, ax=list(line), fraction=0.03, pad=0.01, aspect=12)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=6, length=1.5)
        bar.locator = MaxNLocator(3)
        if row is rows[0]:
            bar.ax.set_title("weight", fontsize=6, fontweight="normal", loc="left", pad=3)
    for bank in range(across):
        axes[0][bank].set_title(f"bank {bank + 1}", fontsize=7, fontweight="normal", loc="center", pad=3)
    return figure


def _rows(panel: Panel, selection: Selection, by_image: bool) -> Iterator[_Row]:
    finished = panel.rows[panel.rows["status"] == TrialStatus.FINISHED]
    ranked = finished[finished["rank"].between(2, MOST_BANKS)]
    best_first = sorted(
        (rows for _, rows in cells(ranked)), key=lambda rows: -rows["validation_accuracy"].mean()
    )
    for rows in best_first:
        first = rows.sort_values("seed").iloc[0]
        maps = selection.weights([first["trial_id"]])
        maps = maps[maps["image"].notna() == by_image]
        if maps.empty:
            continue
        name = dataset_name(panel.dataset)
        if by_image:
            last = maps[maps["layer"] == maps["layer"].iloc[-1]]
            for image, of_image in list(last.groupby("image"))[:IMAGES]:
                yield _Row(f"{name}\nimage {int(str(image).split('.')[0]) + 1}", _banks(of_image))
        else:
            places = str(first["placement"]).split("+")
            for place, (_, of_layer) in zip(places, maps.groupby("layer", sort=False), strict=False):
                yield _Row(f"{name}\nlayer {place}", _banks(of_layer))
        return


def _banks(maps: pd.DataFrame) -> list["np.ndarray[tuple[int, int], np.dtype[np.float64]]"]:
    ordered = maps.sort_values("bank")
    return [
        np.asarray(values, dtype=np.float64).reshape(int(height), int(width))
        for values, height, width in zip(ordered["values"], ordered["height"], ordered["width"], strict=True)
    ]
