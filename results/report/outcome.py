"""The results in numbers: a table for each data set, a line for each layer."""

import json
import math
from collections.abc import Sequence

import pandas as pd

from lrlc.results.figures import NothingToDraw
from lrlc.results.figures.selection import panels
from lrlc.results.markup.content import Cell, Column, Section, Table, Text
from lrlc.results.names import dataset_name, kind_name
from lrlc.results.report.cell_tables import CellTable, TableLine, cell_tables
from lrlc.results.report.text import count, estimate, number, words
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import Summary, binomial_sd, paired_difference, summarise, unfinished
from lrlc.studies.lines import counted

BEST = " ★"
SEEDS_TO_TEST = 6
"""The smallest number at which a two-sided sign-flip test can reach p < 0.05: 2 / 2**6 is 0.031."""

COLUMNS = (
    Column("layer"),
    Column("rank", "numbers"),
    Column("layers replaced"),
    Column("training"),
    Column("test accuracy, % (95% interval)", "estimates"),  # early, so that a phone shows it
    Column("minus conv, points (95% interval)", "estimates"),
    Column("sd", "numbers"),
    Column("seeds", "numbers"),
    Column("did not finish"),
    Column("on training images, %", "numbers"),
    Column("parameters", "numbers"),
    Column("FLOPs per image", "numbers"),
    Column("s per trial", "numbers"),
)
HOW_TO_READ = (
    "Means over seeds with Student's t intervals; sd is the standard deviation of a single run; differences are "
    "paired by seed, with the convolution that was trained alike. A difference whose interval contains 0 may be "
    "chance. The accuracy on training images is that of the last epoch's steps. ★ marks the best mean validation "
    "accuracy. Parameters and FLOPs are those of the whole network; one multiply-add is two FLOPs, and forming the "
    "filters of fixed combining weights, once per batch, is left out. s per trial is wall time, during which other "
    "trials may have run on the same device (see Provenance)."
)


def section(rows: pd.DataFrame) -> Section:
    try:
        found = cell_tables(panels(rows))
    except NothingToDraw as reason:
        return Section("Results", [Text(f"No table: {reason}.")])
    return Section("Results", [Text(HOW_TO_READ + _few_seeds(found)), *map(_table, found)])


def _few_seeds(found: Sequence[CellTable]) -> str:
    """A warning if no cell has the seeds that a test needs; '' otherwise."""
    most = max(len(finished_of(line.rows)) for table in found for line in table.lines)
    if most >= SEEDS_TO_TEST:
        return ""
    return (
        f" No cell here has more than {counted(most, 'seed')}: a paired sign-flip test cannot give p below "
        f"0.05 with fewer than {SEEDS_TO_TEST}, whatever the difference, so these are only first signs."
    )


def finished_of(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["status"] == TrialStatus.FINISHED]


def _table(table: CellTable) -> Table:
    """A line for each cell, including those that never finished; empty columns are left out."""
    validated = [_validated(line.rows) for line in table.lines]
    best = validated.index(max(validated)) if len(validated) > 1 else None
    lines = [_line(line, at == best) for at, line in enumerate(table.lines)]
    told = [at for at in range(len(COLUMNS)) if any(line[at].text for line in lines)]
    detail = f" ({table.detail})" if table.detail else ""
    return Table(
        dataset_name(table.dataset) + detail,
        [COLUMNS[at] for at in told],
        [[line[at] for at in told] for line in lines],
        _noise(finished_of(pd.concat([line.rows for line in table.lines]))),
    )


def _validated(rows: pd.DataFrame) -> float:
    mean = float(finished_of(rows)["validation_accuracy"].mean())
    return -math.inf if math.isnan(mean) else mean


def _line(line: TableLine, best: bool) -> list[Cell]:
    layer, rows = line.layer, line.rows
    finished = finished_of(rows)
    accuracy = summarise(finished["test_accuracy"]).scaled(100)
    ended = ", ".join(f"{count} {status}" for status, count in unfinished(rows).items())
    difference: Summary | None = None
    if line.compared_with is not None:
        difference = paired_difference(rows, line.compared_with).scaled(100)
    options = json.loads(str(layer["options"]))
    chosen = "".join(f", {name} {value}" for name, value in options.items())
    return [
        words(kind_name(str(layer["kind"])) + chosen + BEST * best),
        number(float(str(layer["rank"])), ".0f"),
        words(layer["placement"]),
        words(line.training),
        estimate(accuracy, "z.2f", "%"),
        estimate(difference, "+z.2f"),
        number(accuracy.sd, ".2f"),
        number(accuracy.n, "d"),
        words(ended),
        number(100 * finished["train_accuracy"].mean(), ".1f"),
        count(rows["parameters"].max()),
        count(rows["flops_per_image"].max()),
        number(finished["total_seconds"].mean(), ",.1f"),
    ]


def _noise(finished: pd.DataFrame) -> str:
    """The effect of the choice of test images, if all cells have the same number of them."""
    images = finished["test_images"].dropna().unique()
    if len(images) != 1:
        return ""
    accuracy = float(finished["test_accuracy"].mean())
    noise = 100 * binomial_sd(accuracy, int(images[0]))
    return (
        f"At an accuracy of {100 * accuracy:.1f}%, the choice of the {counted(int(images[0]), 'test image')} alone "
        f"causes a standard deviation of {noise:.2f} points (binomial), which more seeds neither show nor reduce."
    )
