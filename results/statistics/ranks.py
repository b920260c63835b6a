"""Analysis along rank: a trend, the smallest sufficient rank, and the certainty of the best rank.

Tables are seeds x ranks, of accuracies, without NaNs; columns are in the order of rank.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lrlc.results.statistics.paired import holm, not_lower_p

DRAWS = 10_000
Table = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RankSummary:
    """Results for a table of seeds x ranks; `p_rising` is NaN under 3 ranks or 2 seeds."""

    best: int
    """The rank with the best mean validation accuracy."""
    sufficient: int
    """The smallest rank whose test accuracy is not inferior to the best's."""
    shares: dict[int, float]
    """How often each rank is best when seeds are resampled."""
    p_rising: float


def summarise_ranks(
    ranks: Sequence[int], validation: Table, test: Table, margin: float, alpha: float = 0.05
) -> RankSummary:
    """`margin` is in the tables' unit; a rank is sufficient if it is not inferior by more."""
    best = int(np.argmax(validation.mean(axis=0)))
    sufficient = sufficient_rank(ranks, test, best, margin, alpha)
    drawn = np.bincount(best_columns(validation), minlength=len(ranks)) / DRAWS
    shares = {rank: float(share) for rank, share in zip(ranks, drawn, strict=True)}
    return RankSummary(ranks[best], sufficient, shares, page_p(test))


def page_p(table: Table) -> float:
    """p of Page's trend test (1963), one-sided: small if columns rise within seeds."""
    from scipy.stats import page_trend_test

    seeds, ranks = table.shape
    if seeds < 2 or ranks < 3:
        return math.nan
    return float(page_trend_test(table).pvalue)


def sufficient_rank(ranks: Sequence[int], test: Table, best: int, margin: float, alpha: float) -> int:
    """The smallest rank shown to be less than `margin` below the best column, by Holm-corrected paired t tests.

    The best rank itself if there are too few seeds to show it for another.
    """
    if best == 0:
        return ranks[0]
    p_values = holm([not_lower_p(test[:, column] - test[:, best], margin) for column in range(best)])
    return next((rank for rank, p in zip(ranks, p_values, strict=False) if p <= alpha), ranks[best])


def best_columns(table: Table, draws: int = DRAWS) -> npt.NDArray[np.int64]:
    """The best column of each of `draws` bootstrap samples of the seeds (rows); deterministic.

    The spread of means of n drawn rows is too small by sqrt((n - 1) / n), much with few seeds, so they are rescaled.
    """
    seeds = len(table)
    chance = np.random.default_rng(0)
    counts = chance.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)
    means, centre = counts @ table / seeds, table.mean(axis=0)
    widened = centre + math.sqrt(seeds / (seeds - 1)) * (means - centre) if seeds > 1 else means
    best: npt.NDArray[np.int64] = np.argmax(widened, axis=1)
    return best
