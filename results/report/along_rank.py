"""The effect of rank within a data set, and whether a layer's gain depends on the data set."""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from lrlc.results.claims.cells import Side, chosen
from lrlc.results.claims.ranks import rank_table
from lrlc.results.figures import NothingToDraw
from lrlc.results.figures.selection import Panel, panels
from lrlc.results.markup.content import Cell, Column, Section, Table
from lrlc.results.names import dataset_name, kind_name, placement_key
from lrlc.results.report.text import chance, estimate, number, words
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import binomial_sd
from lrlc.results.statistics.interaction import difference_of_gains, interaction_p
from lrlc.results.statistics.paired import holm
from lrlc.results.statistics.ranks import RankSummary, summarise_ranks
from lrlc.studies.claims import Cells

REFERENCE = "conv"
RANKS = (
    Column("data set"),
    Column("layer"),
    Column("layers replaced"),
    Column("ranks"),
    Column("seeds", "numbers"),
    Column("best rank", "numbers"),
    Column("smallest sufficient", "numbers"),
    Column("bootstrap frequencies", "long"),
    Column("p, rising", "numbers"),
)
RANKS_NOTE = (
    "The best rank of a layer has the best mean validation accuracy over all seeds; the frequencies tell how often "
    "each rank is best when seeds are resampled. Figures that choose among places too, or with the first seeds "
    "only, may show another rank. The smallest sufficient rank is not inferior to it on the test set by more than "
    "the test set's own noise (one-sided paired t tests, Holm). The p is of Page's test that accuracy rises with "
    "rank, not corrected."
)
GAINS = (
    Column("layer"),
    Column("layers replaced"),
    Column("data sets"),
    Column("difference of gains, points (95% interval)", "estimates"),
    Column("p", "numbers"),
    Column("p, all data sets", "numbers"),
)
GAINS_NOTE = (
    "A layer's gain is its test accuracy minus convolution's with the same seed; its rank is chosen on "
    "validation by the first seeds, which are left out of the result. Differences between data sets are tested "
    "by Welch's method, with p Holm-corrected within this table; the last column asks whether all data sets "
    "share one gain (Welch's analysis of variance: the layer x data set interaction)."
)


def section(rows: pd.DataFrame) -> list[Section]:
    """One section; none if no layer has two ranks and no two data sets share a layer."""
    try:
        found = panels(rows)
    except NothingToDraw:
        return []
    along, across = _along(found), _across(found)
    tables = []
    if along:
        tables.append(Table("Along rank", RANKS, along, RANKS_NOTE))
    if across:
        tables.append(Table("Across data sets", GAINS, across, GAINS_NOTE))
    return [Section("Ranks and data sets", tables)] if tables else []


def _layers(found: Sequence[Panel]) -> Iterator[tuple[str, str]]:
    """Kind and placement of every ranked layer: kinds in order of first occurrence, places in theirs."""
    ranked = pd.concat([panel.rows for panel in found])
    ranked = ranked[ranked["rank"].notna() & (ranked["status"] == TrialStatus.FINISHED)]
    for kind, of_kind in ranked.groupby("kind", sort=False, observed=True):
        for placement in sorted(map(str, of_kind["placement"].unique()), key=placement_key):
            yield str(kind), placement


def _along(found: Sequence[Panel]) -> list[list[Cell]]:
    lines = []
    for kind, placement in _layers(found):
        for panel in found:
            cells = Cells(kind=kind, placement=[placement])
            ranks, validation = rank_table(panel.rows, cells, "validation")
            _, test = rank_table(panel.rows, cells, "test")
            if len(ranks) > 1 and len(test) > 1 and len(test) == len(validation):
                told = summarise_ranks(ranks, validation, test, _noise(panel.rows))
                lines.append(_rank_line(panel, kind, placement, ranks, len(test), told))
    return lines


def _rank_line(
    panel: Panel, kind: str, placement: str, ranks: Sequence[int], seeds: int, told: RankSummary
) -> list[Cell]:
    likely = sorted(told.shares.items(), key=lambda entry: -entry[1])
    shares = ", ".join(f"rank {rank} {100 * share:.0f}%" for rank, share in likely if share >= 0.05)
    detail = f", {panel.detail}" if panel.detail else ""
    return [
        words(dataset_name(panel.dataset) + detail),
        words(kind_name(kind)),
        words(placement),
        words(", ".join(map(str, ranks))),
        number(seeds, "d"),
        number(told.best, "d"),
        number(told.sufficient, "d"),
        words(shares),
        chance(None if math.isnan(told.p_rising) else told.p_rising),
    ]


def _noise(rows: pd.DataFrame) -> float:
    finished = rows[rows["status"] == TrialStatus.FINISHED]
    images = finished["test_images"].dropna()
    return 100 * binomial_sd(
        float(finished["test_accuracy"].mean()), int(images.iloc[0]) if len(images) else 0
    )


def _across(found: Sequence[Panel]) -> list[list[Cell]]:
    """Pairs of panels that were trained alike, on two data sets."""
    compared = []
    for kind, placement in _layers(found):
        gains = {panel.dataset: _gains(panel.rows, kind, placement) for panel in found if not panel.detail}
        gains = {dataset: values for dataset, values in gains.items() if len(values) > 1}
        overall = interaction_p(list(gains.values())) if len(gains) > 2 else math.nan
        for first, second in combinations(gains, 2):
            compared.append(
                (kind, placement, first, second, *difference_of_gains(gains[first], gains[second]), overall)
            )
    corrected = holm([entry[5] for entry in compared])
    return [
        [
            words(kind_name(kind)),
            words(placement),
            words(f"{dataset_name(first)} minus {dataset_name(second)}"),
            estimate(difference, "+z.2f"),
            chance(p),
            chance(None if math.isnan(overall) else overall),
        ]
        for (kind, placement, first, second, difference, _, overall), p in zip(
            compared, corrected, strict=True
        )
    ]


def _gains(rows: pd.DataFrame, kind: str, placement: str) -> npt.NDArray[np.float64]:
    ours = chosen(Side.of(rows, Cells(kind=kind, placement=[placement])))
    theirs = chosen(Side.of(rows, Cells(kind=REFERENCE)))
    return np.asarray((ours - theirs).dropna(), dtype=np.float64)
