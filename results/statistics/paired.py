"""Tests of paired differences, seed by seed.

`differences` are n values, ours minus theirs with the same seed, in any unit; NaNs are not allowed. The exact test
is Fisher's sign flip (The Design of Experiments, 1935, section 21); equivalence is shown by two one-sided t tests
(Schuirmann 1987); several tests are corrected together by Holm's step-down (1979).
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

MOST_EXACT = 16
"""With more seeds, signs are drawn at random; the 65,536 flips of 16 seeds are enough."""
FEWEST_FOR_EQUIVALENCE = 5
"""Accuracies are counts of images, so differences of fewer seeds may coincide by chance and seem to have no spread."""


def sign_flip_p(differences: npt.ArrayLike, bound: float = 0.0) -> float:
    """Two-sided p of a mean of `bound`: the share of sign flips at least as far from it; NaN without values."""
    from scipy.stats import permutation_test

    known = np.asarray(differences, dtype=np.float64) - bound
    if len(known) < 2:
        return 1.0 if len(known) else math.nan
    found = permutation_test(
        (known,),
        lambda values, axis: values.mean(axis=axis),
        permutation_type="samples",
        n_resamples=2**MOST_EXACT - (len(known) > MOST_EXACT),
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def smallest_sign_flip_p(n: int) -> float:
    """The smallest p of the sign-flip test: all n differences have the same sign."""
    return min(1.0, 2.0 ** (1 - n))


def seeds_for_sign_flip(alpha: float) -> int:
    """The smallest number of seeds with which the sign-flip test can reach `alpha`."""
    return math.ceil(1 + math.log2(1 / alpha) - 1e-12)


def superiority(differences: npt.ArrayLike) -> float:
    """Probability that ours is better with the same seed; ties count half (Vargha and Delaney 2000, paired)."""
    known = np.asarray(differences, dtype=np.float64)
    return float((known > 0).mean() + (known == 0).mean() / 2) if len(known) else math.nan


def equivalence_p(differences: npt.ArrayLike, margin: float) -> float:
    """p of two one-sided t tests: small if the mean difference lies within -margin..margin; NaN if not computable."""
    return max(
        not_lower_p(differences, margin), not_lower_p(-np.asarray(differences, dtype=np.float64), margin)
    )


def not_lower_p(differences: npt.ArrayLike, margin: float) -> float:
    """p of a one-sided t test: small if the mean difference is over -margin.

    NaN (no test) with fewer than FEWEST_FOR_EQUIVALENCE seeds or if the differences have no spread.
    """
    known = np.asarray(differences, dtype=np.float64)
    if len(known) < FEWEST_FOR_EQUIVALENCE or has_no_spread(known):
        return math.nan
    return above_p(known, -margin)


def above_p(differences: npt.ArrayLike, bound: float) -> float:
    """p of a one-sided t test: small if the mean difference is over `bound`."""
    from scipy.stats import ttest_1samp

    known = np.asarray(differences, dtype=np.float64)
    if len(known) < 2:
        return math.nan
    if has_no_spread(known):  # t is infinite
        return 0.0 if known.mean() > bound else 1.0
    return float(ttest_1samp(known, bound, alternative="greater").pvalue)


def has_no_spread(values: npt.NDArray[np.float64]) -> bool:
    """Whether values coincide up to rounding."""
    return bool(np.ptp(values) <= 1e-12 * max(1.0, float(np.abs(values).max())))


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected p values, in the given order; a NaN (no test) counts as 1.

    Like statsmodels' multipletests, which runs garbage collection twice per call (0.6 s beside a large table).
    """
    known = np.array([1.0 if math.isnan(p) else p for p in p_values])
    order = np.argsort(known, kind="stable")
    stepped = np.maximum.accumulate(known[order] * np.arange(len(known), 0, -1))
    corrected = np.empty_like(known)
    corrected[order] = np.minimum(stepped, 1.0)
    return [float(p) for p in corrected]
