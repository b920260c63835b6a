"""Properties of the data sets before training any network: alignment, a linear classifier, the value of position."""

from collections.abc import Iterator

import pandas as pd

from lrlc.results.datasets import Baseline, DatasetSummary
from lrlc.results.figures import Selection
from lrlc.results.markup.content import Cell, Column, Section, Table, Text
from lrlc.results.names import dataset_name, label_name
from lrlc.results.report.text import number, words

COLUMNS = (
    Column("data set"),
    Column("label"),
    Column("training images", "numbers"),
    Column("test images", "numbers"),
    Column("alignment", "numbers"),
    Column("linear classifier, %", "numbers"),
    Column("probe, %", "numbers"),
    Column("value of position, points", "numbers"),
    Column("fitted to (linear / probe)", "numbers"),
)
HOW_TO_READ = (
    "Alignment is the mean correlation of two training images. The linear classifier is logistic regression on "
    "the pixels that the networks see: comparing networks that do not beat it says little. The probe is logistic "
    "regression on pooled features of frozen random convolutions, which see what is in an image but not where; "
    "the value of position is the linear classifier's accuracy minus the probe's. The column 'fitted to' gives "
    "the number of training images of each, if a limit left some out: the one with fewer is slightly "
    "underestimated. Anything that differs between seeds, "
    "such as shifts or which images are drawn, is as for the first seed."
)


def section(selection: Selection) -> list[Section]:
    """One section; none if the study's runs recorded no summaries of its data sets."""
    lines = list(_lines(selection))
    if not lines:
        return []
    told = [at for at in range(len(COLUMNS)) if any(line[at].text for line in lines)]
    table = Table(
        "Before training", [COLUMNS[at] for at in told], [[line[at] for at in told] for line in lines]
    )
    return [Section("Data sets", [Text(HOW_TO_READ), table])]


def _lines(selection: Selection) -> Iterator[list[Cell]]:
    """One line for each subset that trials used, with data sets in the order of the rows."""
    rows = selection.trials.dropna(subset=["train_images", "test_images"])
    for dataset, of_dataset in rows.groupby("dataset", sort=False, observed=True):
        if (noted := selection.datasets.get(str(dataset))) is None:
            continue
        for _, of_subset in of_dataset.groupby(["train_images", "test_images"]):
            yield _line(noted, selection.baseline(str(dataset), of_subset), of_subset)


def _line(noted: DatasetSummary, baseline: Baseline | None, rows: pd.DataFrame) -> list[Cell]:
    known = [
        words(dataset_name(noted.dataset)),
        words(label_name(noted.dataset)),
        *(_whole(rows[each]) for each in ("train_images", "test_images")),
    ]
    known.append(number(noted.alignment, ".3f"))
    if baseline is None:
        return [*known, *[words("")] * 4]
    return [
        *known,
        number(_hundredfold(baseline.linear_accuracy), ".1f"),
        number(_hundredfold(baseline.probe_accuracy), ".1f"),
        number(_hundredfold(baseline.value_of_position), "+z.1f"),
        _fitted(baseline),
    ]


def _whole(values: "pd.Series[float]") -> Cell:
    return number(float(values.iloc[0]), ",.0f")


def _hundredfold(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _fitted(baseline: Baseline) -> Cell:
    """The numbers of images, if a limit left some out for one of the two."""
    if min(baseline.linear_images, baseline.probe_images) == baseline.train_images:
        return words("")
    return Cell(f"{baseline.linear_images:,} / {baseline.probe_images:,}", baseline.linear_images)
