"""Whether the first rows of a split are a fair sample of it, which is needed if only they are used.

Rows are sorted by class, in blocks, or by folder surprisingly often, and the first tenth then has only a few classes.
"""

import math

import numpy as np
from scipy.special import chdtrc, ndtr

from lrlc.harness.data.dataset import Labels

BY_CHANCE = 1e-3
"""Rows with each class in one block count as sorted, unless shuffling gives this with at least this probability."""

UNLIKE, TOGETHER = 1e-2, 1e-9
"""Upper bounds on the probability by chance of a class's share in the first rows, and of that times the rows' order.

The order counts too: eight rows of one class are no proof, but they are where classes hardly ever alternate.
"""


def unlike_the_rest(labels: Labels, count: int) -> str | None:
    """Why the first `count` rows of `labels` (N,) do not represent the others; None if they may."""
    _, classes = np.unique(labels, return_inverse=True)
    sizes, total = np.bincount(classes), len(labels)
    if not 0 < count < total or len(sizes) < 2:
        return None
    changes = int(np.count_nonzero(np.diff(classes)))
    if changes == len(sizes) - 1 and (_is_rising(classes) or _chance_of_blocks(sizes) < BY_CHANCE):
        return f"are sorted by label, so the first {count:,} would be of a few classes only"
    by_share = _chance_of_shares(np.bincount(classes[:count], minlength=len(sizes)), sizes)
    if by_share < UNLIKE and by_share * _chance_of_order(sizes, changes) < TOGETHER:
        return f"are not mixed: {_most_unlike(labels, count)}"
    return None


def _is_rising(classes: Labels) -> bool:
    return bool(np.all(np.diff(classes) >= 0))


def _chance_of_blocks(sizes: Labels) -> float:
    """The probability that a shuffle leaves each class in one block."""
    arrangements = math.lgamma(sizes.sum() + 1) - sum(math.lgamma(size + 1) for size in sizes)
    return math.exp(math.lgamma(len(sizes) + 1) - arrangements)


def _chance_of_shares(first: Labels, sizes: Labels) -> float:
    """The probability of classes this unequal in the first rows and the others: chi-squared test of homogeneity."""
    taken, total = first.sum(), sizes.sum()
    expected = sizes * (taken / total)
    statistic = float((((first - expected) ** 2) / (expected * (1 - taken / total))).sum())
    return float(chdtrc(len(sizes) - 1, statistic))


def _chance_of_order(sizes: Labels, changes: int) -> float:
    """The probability of this few changes of class: runs test for several classes (Mood 1940), normal approximation."""
    n = float(sizes.sum())
    squares, cubes = float((sizes.astype(float) ** 2).sum()), float((sizes.astype(float) ** 3).sum())
    mean = n - squares / n
    variance = (squares * (squares + n * (n + 1)) - 2 * n * cubes - n**3) / (n**2 * (n - 1))
    return float(ndtr((changes - mean) / math.sqrt(variance))) if variance > 0 else 1.0


def _most_unlike(labels: Labels, count: int) -> str:
    values = np.unique(labels)
    first, rest = labels[:count], labels[count:]
    shares = [(float(np.mean(first == value)), float(np.mean(rest == value)), value) for value in values]
    here, there, value = max(shares, key=lambda each: abs(each[0] - each[1]))
    return f"class {value} is {here:.0%} of the first {count:,} and {there:.0%} of the others"
