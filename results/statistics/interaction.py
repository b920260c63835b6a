"""Does a layer's gain depend on the data set? Gains are paired by seed within a data set, and compared across."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lrlc.results.statistics.groups import CONFIDENCE, Summary


def difference_of_gains(
    ours: npt.ArrayLike, theirs: npt.ArrayLike, confidence: float = CONFIDENCE
) -> tuple[Summary, float]:
    """Mean gain on one data set minus that on another, with Welch's interval (1947) and two-sided p.

    The Summary's n is the smaller number of seeds; sd is the standard error times its root. NaN under 2 seeds.
    """
    from scipy.stats import ttest_ind

    left, right = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    n = min(len(left), len(right))
    if n < 2:
        mean = float(left.mean() - right.mean()) if n else math.nan
        return Summary(n, mean, math.nan, math.nan, math.nan), math.nan
    mean = float(left.mean() - right.mean())
    error = math.sqrt(left.var(ddof=1) / len(left) + right.var(ddof=1) / len(right))
    if error == 0:
        return Summary(n, mean, 0.0, mean, mean), float(mean == 0)
    found = ttest_ind(left, right, equal_var=False)
    interval = found.confidence_interval(confidence)
    summary = Summary(n, mean, error * math.sqrt(n), float(interval.low), float(interval.high))
    return summary, float(found.pvalue)


def welch_p(ours: npt.ArrayLike, theirs: npt.ArrayLike, bound: float = 0.0) -> float:
    """Two-sided p that the means of two independent samples differ by `bound`, by Welch's t (1947)."""
    from scipy.stats import ttest_ind

    left, right = np.asarray(ours, dtype=np.float64) - bound, np.asarray(theirs, dtype=np.float64)
    if np.ptp(left) == np.ptp(right) == 0:  # no spread: t is infinite
        return float(left.mean() == right.mean())
    return float(ttest_ind(left, right, equal_var=False).pvalue)


def welch_above_p(ours: npt.ArrayLike, theirs: npt.ArrayLike, bound: float) -> float:
    """One-sided p of Welch's t: small if the mean of ours exceeds that of theirs by more than `bound`.

    NaN (no test) if neither sample has a spread.
    """
    from scipy.stats import ttest_ind

    left, right = np.asarray(ours, dtype=np.float64) - bound, np.asarray(theirs, dtype=np.float64)
    if np.ptp(left) == np.ptp(right) == 0:
        return math.nan
    return float(ttest_ind(left, right, equal_var=False, alternative="greater").pvalue)


def interaction_p(gains: Sequence[npt.ArrayLike]) -> float:
    """p that the mean gains of several data sets are equal: Welch's analysis of variance (1951) of gains.

    With gains paired by seed this is the layer x data set interaction. NaN under 2 data sets or seeds.
    """
    from scipy.stats import f_oneway

    known = [np.asarray(each, dtype=np.float64) for each in gains]
    if len(known) < 2 or min(map(len, known)) < 2 or any(np.ptp(each) == 0 for each in known):
        return math.nan
    return float(f_oneway(*known, equal_var=False).pvalue)
