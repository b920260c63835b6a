"""Claims along rank: where accuracy is best (best_rank), and whether it rises (trend)."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from lrlc.results.claims.cells import Side, cells_name, of_cells, rank_of
from lrlc.results.claims.evidence import (
    Compared,
    Evidence,
    PValues,
    nobody,
    noise_of,
)
from lrlc.results.names import dataset_name
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import Summary, summarise
from lrlc.results.statistics.ranks import best_columns, page_p
from lrlc.studies.claims import BestRank, Cells, Trend


def best_rank(claim: BestRank, parts: Sequence[pd.DataFrame]) -> Evidence:
    """The best rank on validation of the first data set minus that of the second; seeds are resampled for both."""
    said = f"best rank of {cells_name(claim.ours)}"
    drawn, means, seeds, compared = [], [], [], []
    for rows in parts:
        ranks, by_seed = _by_rank(rows, claim.ours, "validation")
        table = by_seed.to_numpy(dtype=np.float64)
        if len(ranks) < 2 or len(table) < 2:
            return Evidence(said, "ranks", missing=nobody(claim, rows) or "fewer than 2 ranks or seeds")
        compared.append(_compared(rows, claim.ours, by_seed.index))
        drawn.append(np.array(ranks)[best_columns(table)])
        means.append(ranks[int(np.argmax(table.mean(axis=0)))])
        seeds.append(len(table))
    # Both draws start with the same random numbers, but the data sets' seeds must be drawn independently.
    apart = drawn[0] - np.random.default_rng(1).permutation(drawn[1])
    low, high = (float(np.quantile(apart, q)) for q in (0.025, 0.975))
    effect = Summary(min(seeds), float(means[0] - means[1]), float(apart.std()), low, high)
    p = PValues(_twice(apart <= 0), _twice(apart >= 0), smallest=2 / len(apart))
    return Evidence(said, "ranks", effect, p, compared=tuple(compared))


def trend(claim: Trend, parts: Sequence[pd.DataFrame]) -> Evidence:
    """Page's test along rank; the effect is the highest rank's accuracy minus the lowest's."""
    (rows,) = parts
    said = f"trend along rank, {cells_name(claim.ours)}"
    ranks, by_seed = _by_rank(rows, claim.ours, "test")
    table = by_seed.to_numpy(dtype=np.float64)
    if len(ranks) < 3 or len(table) < 2:
        return Evidence(said, missing=nobody(claim, rows) or "fewer than 3 ranks or 2 seeds")
    rising, falling = (min(1.0, 2 * page_p(each)) for each in (table, table[:, ::-1]))
    p = PValues(rising, falling, smallest=2 / math.factorial(len(ranks)) ** len(table))
    return Evidence(
        said,
        effect=summarise(table[:, -1] - table[:, 0]),
        p=p,
        test_noise=noise_of(rows),
        compared=(_compared(rows, claim.ours, by_seed.index),),
    )


def best_ranks(parts: Sequence[pd.DataFrame], cells: Cells) -> str:
    """'best rank on validation ...: 7 (2 to 7) on UTKFace, 2 (2 to 7) on CIFAR-10'; '' for too few ranks or seeds."""
    told = []
    for rows in parts:
        ranks, table = rank_table(rows, cells.model_copy(update={"rank": []}), "validation")
        if len(ranks) < 2 or len(table) < 2:
            return ""
        drawn = np.array(ranks)[best_columns(table)]
        low, high = (np.quantile(drawn, q, method="nearest") for q in (0.025, 0.975))
        best = ranks[int(np.argmax(table.mean(axis=0)))]
        told.append(f"{best} ({low} to {high}) on {dataset_name(rows['dataset'].iloc[0])}")
    return f"best rank on validation, with its 95% bootstrap interval: {', '.join(told)}"


def rank_table(rows: pd.DataFrame, cells: Cells, split: str) -> tuple[list[int], npt.NDArray[np.float64]]:
    """Ranks in order, and accuracies in points, seeds x ranks, for the seeds that finished all of them.

    If a rank has several placements or options, the best one on validation is used.
    """
    ranks, table = _by_rank(rows, cells, split)
    return ranks, table.to_numpy(dtype=np.float64)


def _by_rank(rows: pd.DataFrame, cells: Cells, split: str) -> tuple[list[int], pd.DataFrame]:
    """`rank_table` with its seeds."""
    side = Side.of(rows, cells)
    by_rank: dict[int, list[int]] = {}
    for column, settings in enumerate(side.settings):
        if (rank := rank_of(settings)) is not None:
            by_rank.setdefault(rank, []).append(column)
    means = side.validation.mean()
    columns = [max(of_rank, key=lambda column: means[column]) for _, of_rank in sorted(by_rank.items())]
    table = (side.test if split == "test" else side.validation)[columns].dropna()
    return sorted(by_rank), table


def _compared(rows: pd.DataFrame, cells: Cells, seeds: "pd.Index[int]") -> Compared:
    found = of_cells(rows, cells)
    return Compared(found[(found["status"] == TrialStatus.FINISHED) & found["seed"].isin(seeds)])


def _twice(which: npt.NDArray[np.bool_]) -> float:
    """Two-sided p from one side's share of draws; never zero, due to the finite number of draws."""
    return min(1.0, 2 * (1 + int(which.sum())) / (1 + len(which)))
