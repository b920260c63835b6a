"""The results in numbers: a table for each data set, a line for each layer."""

import json
import math
from collections.abc import Sequence

import pandas as pd

from lrlc.results.figures import NothingToDraw
from lrlc.results.figures.selection import Panel, cells, panels
from lrlc.results.markup.content import Cell, Column, Section, Table, Text
from lrlc.results.names import dataset_name, kind_name
from lrlc.results.report.text import count, estimate, number, words
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import Summary, binomial_sd, paired_difference, summarise, unfinished
from lrlc.studies.lines import counted

REFERENCE = "conv"
BEST = " ★"
SEEDS_TO_TEST = 6
"""The fewest at which a two-sided sign-flip test can reach p < 0.05: 2 / 2**6 is 0.031."""

COLUMNS = (
    Column("layer"),
    Column("rank", "numbers"),
    Column("layers replaced"),
    Column("seeds", "numbers"),
    Column("did not finish"),
    Column("test accuracy, % (95% interval)", "estimates"),
    Column("sd", "numbers"),
    Column("minus conv, points (95% interval)", "estimates"),
    Column("parameters", "numbers"),
    Column("FLOPs per image", "numbers"),
    Column("s per trial", "numbers"),
)
HOW_TO_READ = (
    "Means over seeds with Student's t intervals; sd is the standard deviation of a single run; differences are "
    "paired by seed. A difference whose interval contains 0 may be chance. ★ marks the best mean validation "
    "accuracy. Parameters and FLOPs are those of the whole network; one multiply-add is two FLOPs."
)


def section(rows: pd.DataFrame) -> Section:
    try:
        found = panels(rows)
    except NothingToDraw as reason:
        return Section("Results", [Text(f"No table: {reason}.")])
    return Section("Results", [Text(HOW_TO_READ + _few_seeds(found)), *map(_table, found)])


def _few_seeds(found: Sequence[Panel]) -> str:
    """A warning where no cell has the seeds that a test needs; '' otherwise."""
    most = max(len(rows) for panel in found for _, rows in cells(finished_of(panel.rows)))
    if most >= SEEDS_TO_TEST:
        return ""
    return (
        f" No cell here has more than {counted(most, 'seed')}: a paired sign-flip test cannot come out under "
        f"0.05 before {SEEDS_TO_TEST}, whatever the difference, so read these as first signs."
    )


def finished_of(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["status"] == TrialStatus.FINISHED]


def _table(panel: Panel) -> Table:
    """A line for each cell, also of one that never finished; a column that says nothing is left out."""
    found = in_order(panel)
    reference = next((rows for layer, rows in found if layer["kind"] == REFERENCE), None)
    validated = [_validated(rows) for _, rows in found]
    best = validated.index(max(validated)) if len(found) > 1 else None
    lines = [_line(layer, rows, reference, at == best) for at, (layer, rows) in enumerate(found)]
    told = [at for at in range(len(COLUMNS)) if any(line[at].text for line in lines)]
    detail = f" ({panel.detail})" if panel.detail else ""
    return Table(
        dataset_name(panel.dataset) + detail,
        [COLUMNS[at] for at in told],
        [[line[at] for at in told] for line in lines],
        _noise(finished_of(panel.rows)),
    )


def in_order(panel: Panel) -> list[tuple[dict[str, object], pd.DataFrame]]:
    """Its cells, convolution first, then by kind, place, options and rank."""
    return sorted(cells(panel.rows), key=lambda cell: _order(cell[0]))


def _validated(rows: pd.DataFrame) -> float:
    mean = float(finished_of(rows)["validation_accuracy"].mean())
    return -math.inf if math.isnan(mean) else mean


def _order(layer: dict[str, object]) -> tuple[object, ...]:
    rank = layer["rank"] if isinstance(layer["rank"], float) and not math.isnan(layer["rank"]) else -1.0
    return (layer["kind"] != REFERENCE, layer["kind"], layer["placement"], layer["options"], rank)


def _line(
    layer: dict[str, object], rows: pd.DataFrame, reference: pd.DataFrame | None, best: bool
) -> list[Cell]:
    finished = finished_of(rows)
    accuracy = summarise(finished["test_accuracy"]).scaled(100)
    ended = ", ".join(f"{count} {status}" for status, count in unfinished(rows).items())
    difference: Summary | None = None
    if reference is not None and layer["kind"] != REFERENCE:
        difference = paired_difference(rows, reference).scaled(100)
    options = json.loads(str(layer["options"]))
    chosen = "".join(f", {name} {value}" for name, value in options.items())
    return [
        words(kind_name(str(layer["kind"])) + chosen + BEST * best),
        number(float(str(layer["rank"])), ".0f"),
        words(layer["placement"]),
        number(accuracy.n, "d"),
        words(ended),
        estimate(accuracy, "z.2f", "%"),
        number(accuracy.sd, ".2f"),
        estimate(difference, "+z.2f"),
        count(rows["parameters"].max()),
        count(rows["flops_per_image"].max()),
        number(finished["total_seconds"].mean(), ",.1f"),
    ]


def _noise(finished: pd.DataFrame) -> str:
    """What the test images' own choice does, where all cells share one number of them."""
    images = finished["test_images"].dropna().unique()
    if len(images) != 1:
        return ""
    accuracy = float(finished["test_accuracy"].mean())
    noise = 100 * binomial_sd(accuracy, int(images[0]))
    return (
        f"Tested on {counted(int(images[0]), 'image')}: as a sample of all images they alone make an accuracy of "
        f"{100 * accuracy:.1f}% uncertain by ±{noise:.2f} points (a binomial standard deviation), "
        "which no number of seeds shows or removes."
    )
