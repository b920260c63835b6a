"""Which cells share a table: those of one data set, with all ways of training, as far as they fit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lrlc.results.figures.selection import PANEL, Panel, cells
from lrlc.results.names import placement_key, setting_name

REFERENCE = "conv"
APART = ("network", "train_images", "draw", "epochs")
"""Settings in which the cells of a table agree, as more images or epochs should not compete with fewer."""
MOST_LINES = 24
"""Upper bound on the lines of a table with several ways of training."""


@dataclass(frozen=True)
class TableLine:
    """A cell, its rows with any status, and those of the convolution that was trained alike, if there is one."""

    layer: dict[str, object]
    training: str
    """'augment flip+crop': how its training differs from other lines; '' if it does not."""
    rows: pd.DataFrame
    reference: pd.DataFrame | None

    @property
    def compared_with(self) -> pd.DataFrame | None:
        """The convolution's rows, for a cell of another kind."""
        return None if self.layer["kind"] == REFERENCE else self.reference


@dataclass(frozen=True)
class CellTable:
    """Cells of one data set."""

    dataset: str
    detail: str
    """What distinguishes it from other tables of its data set."""
    lines: tuple[TableLine, ...]


def cell_tables(panels: Sequence[Panel]) -> list[CellTable]:
    """A table for each data set; several if cells differ in APART, or are too many for one table."""
    found: list[CellTable] = []
    for dataset in dict.fromkeys(panel.dataset for panel in panels):
        of_dataset = [panel for panel in panels if panel.dataset == dataset]
        groups: dict[str, list[tuple[str, Panel]]] = {}
        for panel, (apart, together) in zip(of_dataset, _details(of_dataset), strict=True):
            groups.setdefault(apart, []).append((together, panel))
        for detail, group in groups.items():
            found += _tables(dataset, detail, group)
    return found


def _tables(dataset: str, detail: str, group: Sequence[tuple[str, Panel]]) -> list[CellTable]:
    lines = [line for training, panel in group for line in _lines(panel, training)]
    if len(group) == 1 or len(lines) > MOST_LINES:
        return [CellTable(dataset, panel.detail, tuple(_lines(panel, ""))) for _, panel in group]
    return [CellTable(dataset, detail, tuple(lines))]


def _details(panels: Sequence[Panel]) -> list[tuple[str, str]]:
    """What separates each panel of a data set, and the text for its lines; both only name settings that vary."""
    firsts = pd.concat([panel.rows[list(PANEL[1:])].head(1).astype(object) for panel in panels])
    varying = [name for name in PANEL[1:] if firsts[name].nunique(dropna=False) > 1]
    told = [
        [(name in APART, setting_name(name, value)) for name, value in zip(varying, values, strict=True)]
        for values in firsts[varying].to_numpy().tolist()  # gives a list for each panel even without columns
    ]
    return [
        (
            ", ".join(text for is_apart, text in settings if is_apart),
            ", ".join(text for is_apart, text in settings if not is_apart),
        )
        for settings in told
    ]


def _lines(panel: Panel, training: str) -> list[TableLine]:
    """The panel's cells, convolution first, then by kind, place, options and rank."""
    found = sorted(cells(panel.rows), key=lambda cell: _order(cell[0]))
    reference = next((rows for layer, rows in found if layer["kind"] == REFERENCE), None)
    return [TableLine(layer, training, rows, reference) for layer, rows in found]


def _order(layer: dict[str, object]) -> tuple[object, ...]:
    rank = layer["rank"] if isinstance(layer["rank"], float) and not math.isnan(layer["rank"]) else -1.0
    place = placement_key(str(layer["placement"]))
    return (layer["kind"] != REFERENCE, layer["kind"], place, layer["options"], rank)
