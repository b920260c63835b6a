"""What the two figures of combining weights share: choosing trials, and drawing rows of maps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from lrlc.results.datasets import DatasetSummary
from lrlc.results.figures import style
from lrlc.results.figures.selection import PANEL, NothingToDraw, Panel, Selection, cells, panels
from lrlc.results.figures.words import shortened
from lrlc.results.names import dataset_name, short_kind_name
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import LAYER_SETTINGS
from lrlc.studies.titles import Title

__all__ = ["TRIAL_COLUMNS", "Figure", "draw_maps"]

TRIAL_COLUMNS = (*PANEL, *LAYER_SETTINGS, "trial_id", "status", "seed", "validation_accuracy")
LRLC = ("lrlc", "lrlc_input_dependent")
"""Kinds whose maps need no label with the kind."""
COLOURS = "PuOr"
"""Purple above, orange below, which are distinguishable with any colour blindness; white is an equal share."""
LABEL_POINTS = 6.5
MOST_BANKS = 8
MOST_ROWS = 12
FOLDED_ROWS, SMALLEST_MAP = 4, 0.5
"""More rows than this are set side by side, as long as their maps keep this many inches."""
BESIDE = 1.5
"""Inches for the name of a row and its colour bar."""
IMAGES = 3
"""Upper bound on the test images of a data set."""

LEAST_FOR_WORDS = 0.45
"""Inches of a map from which its title is 'bank 1'; smaller ones only have the number."""


@dataclass(frozen=True)
class _Row:
    label: str
    banks: list["np.ndarray[tuple[int, int], np.dtype[np.float64]]"]
    """Weights times the rank: 1 means that all banks count equally."""
    image: npt.NDArray[np.uint8] | None
    """(H, W, C): the mean image, or the one that the maps were made for."""


def draw_maps(selection: Selection, *, by_image: bool) -> Figure:
    """Rows of maps, one column per bank; `by_image` chooses the maps that were made for an image."""
    found = panels(selection.trials)
    images = max(
        1, min(IMAGES, MOST_ROWS // len(found))
    )  # fewer images of each rather than leaving data sets out
    rows = [row for panel in found for row in _rows(panel, selection, images if by_image else None)]
    if by_image and any(row.image is not None for row in rows):
        # A map means little without its image; tables have no images of people, whose outline a map might show.
        rows = [row for row in rows if row.image is not None]
    rows = rows[:MOST_ROWS]
    if not rows:
        raise NothingToDraw(
            f"no trial left {'input-dependent' if by_image else 'fixed'} combining weights of rank 2 to 8"
        )
    first = int(any(row.image is not None for row in rows))  # the first bank's column
    across = first + max(len(row.banks) for row in rows)
    blocks = 2 if len(rows) > FOLDED_ROWS and _side(across, 2) >= SMALLEST_MAP else 1
    down = -(-len(rows) // blocks)
    side = min(_side(across, blocks), style.MOST_INCHES / down - 0.07)
    wide = style.width(max(blocks * (BESIDE + side * across), style.COLUMN_INCHES))
    figure = Figure(figsize=(wide, 0.75 + (side + 0.07) * down), layout="constrained")
    axes = figure.subplots(down, across * blocks, squeeze=False)
    for ax in axes.ravel():
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
    scale = _scale(rows)
    for number, row in enumerate(rows):
        block, below = divmod(number, down)
        _draw_row(axes[below][block * across : (block + 1) * across], row, first, scale)
    brief = side < LEAST_FOR_WORDS
    titles = ["image" if by_image else "mean" if brief else "mean image"] * first
    titles += [f"{'' if brief else 'bank '}{bank + 1}" for bank in range(across - first)]
    for ax, title in zip(axes[0], titles * blocks, strict=True):
        ax.set_title(title, fontsize=7, fontweight="normal", loc="center", pad=3)
    _draw_scale(figure, axes, scale)
    return figure


def _scale(rows: Sequence[_Row]) -> TwoSlopeNorm:
    """One scale for all maps: 1, an equal share, in the middle, and 0 and 2, or values beyond, at the ends."""
    values = np.concatenate([bank.ravel() for row in rows for bank in row.banks])
    return TwoSlopeNorm(1.0, min(0.0, float(values.min())), max(2.0, float(values.max())))


def _draw_scale(figure: Figure, axes: "npt.NDArray[np.object_]", scale: TwoSlopeNorm) -> None:
    bar = figure.colorbar(
        ScalarMappable(scale, COLOURS), ax=axes, location="bottom", shrink=0.5, aspect=30, pad=0.02
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=6, length=1.5)
    low, high = float(scale.vmin or 0.0), float(scale.vmax or 2.0)
    bar.set_ticks([low, 1.0, high], labels=[f"{low:.3g}", "1: all banks alike", f"{high:.3g}"])
    bar.set_label("weight times rank", fontsize=6.5)


def _side(across: int, blocks: int) -> float:
    """The side of a map in inches."""
    return min(0.8, (style.width(style.PAGE_INCHES) / blocks - BESIDE) / across)


def _draw_row(line: Sequence[Axes], row: _Row, first: int, scale: TwoSlopeNorm) -> None:
    if row.image is not None:
        line[0].imshow(row.image.squeeze(), cmap="gray", vmin=0, vmax=255)
    for bank, ax in zip(row.banks, line[first:], strict=False):
        ax.imshow(bank, cmap=COLOURS, norm=scale)
    height, width = row.banks[0].shape
    for ax in [ax for ax in line if not ax.images]:
        ax.set_box_aspect(height / width)  # so that the text above is as high as over the others
    lines = [shortened(text, BESIDE - 0.15, LABEL_POINTS) for text in row.label.splitlines()]
    line[0].set_ylabel("\n".join(lines), rotation=0, ha="right", va="center", fontsize=LABEL_POINTS)


def _rows(panel: Panel, selection: Selection, images: int | None) -> Iterator[_Row]:
    """Rows of maps for this many images, or None for fixed weights."""
    finished = panel.rows[panel.rows["status"] == TrialStatus.FINISHED]
    ranked = finished[finished["rank"].between(2, MOST_BANKS)]
    best_first = sorted(
        (rows for _, rows in cells(ranked)), key=lambda rows: -rows["validation_accuracy"].mean()
    )
    for rows in best_first:
        first = rows.sort_values("seed").iloc[0]
        maps = selection.weights([first["trial_id"]])
        maps = maps[maps["image"].notna() == (images is not None)]
        if maps.empty:
            continue
        told = [dataset_name(panel.dataset), *([panel.detail] if panel.detail else [])]
        told += [] if first["kind"] in LRLC else [short_kind_name(str(first["kind"]))]
        name, noted = ", ".join(told).replace(", ", "\n"), selection.datasets.get(panel.dataset)
        which = f"rank {first['rank']:.0f}, seed {first['seed']}"
        mean = None if noted is None else noted.mean_image.round().astype(np.uint8)
        if images is not None:
            last = maps[maps["layer"] == maps["layer"].iloc[-1]]
            for image, of_image in list(last.groupby("image"))[:images]:
                number = int(str(image).split(".")[0])
                shown = _example(noted, number, int(first["seed"]))
                yield _Row(f"{name}\n{which}\nimage {number + 1}", _banks(of_image), shown)
        else:
            of_layers = [(str(layer), of_layer) for layer, of_layer in maps.groupby("layer", sort=False)]
            for said, (_, of_layer) in zip(
                _layers(first, [layer for layer, _ in of_layers]), of_layers, strict=True
            ):
                yield _Row(f"{name}\n{which}\n{said}", _banks(of_layer), mean)
        return


def _layers(trial: "pd.Series[Any]", modules: Sequence[str]) -> list[str]:
    """'layer 3' for each module with maps; the module's own name if a place has several modules."""
    places = str(trial["placement"]).split("+")
    return [f"layer {place}" for place in places] if len(places) == len(modules) else list(modules)


def _example(noted: DatasetSummary | None, number: int, seed: int) -> npt.NDArray[np.uint8] | None:
    """The image as seen by this seed's trials, if it is known."""
    if (
        noted is None
        or number >= len(noted.examples)
        or (noted.seed != seed and Title.parse(noted.dataset).translate)
    ):
        return None
    shown: npt.NDArray[np.uint8] = noted.examples[number]
    return shown


def _banks(maps: pd.DataFrame) -> list["np.ndarray[tuple[int, int], np.dtype[np.float64]]"]:
    """Each bank's weights times the number of banks."""
    ordered = maps.sort_values("bank")
    return [
        len(ordered) * np.asarray(values, dtype=np.float64).reshape(int(height), int(width))
        for values, height, width in zip(ordered["values"], ordered["height"], ordered["width"], strict=True)
    ]
