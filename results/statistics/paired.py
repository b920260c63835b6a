"""Tests of paired differences, seed by seed, and what they could have seen.

`differences` are n values, ours minus theirs with the same seed, in any unit; NaNs are not allowed. The exact test
is Fisher's sign flip (The Design of Experiments, 1935, section 21); equivalence is shown by two one-sided t tests
(Schuirmann 1987); several tests are corrected together by Holm's step-down (1979).
"""

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

POWER = 0.8
MOST_EXACT = 16
"""With more seeds signs are drawn at random: 65,536 ways to flip 16 are enough."""
MOST_SEEDS = 1000


def sign_flip_p(differences: npt.ArrayLike) -> float:
    """Two-sided p of a mean of zero: the share of sign flips with a mean at least as far from it; NaN for none."""
    from scipy.stats import permutation_test

    known = np.asarray(differences, dtype=np.float64)
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
    """What the sign-flip test gives at best: all n differences of one sign."""
    return min(1.0, 2.0 ** (1 - n))


def seeds_for_sign_flip(alpha: float) -> int:
    """The fewest seeds with which the sign-flip test can reach `alpha`."""
    return math.ceil(1 + math.log2(1 / alpha) - 1e-12)


def superiority(differences: npt.ArrayLike) -> float:
    """Probability that ours is better with the same seed; ties count half (Vargha and Delaney 2000, paired)."""
    known = np.asarray(differences, dtype=np.float64)
    return float((known > 0).mean() + (known == 0).mean() / 2) if len(known) else math.nan


def equivalence_p(differences: npt.ArrayLike, margin: float) -> float:
    """p of two one-sided t tests: small if the mean difference lies within -margin..margin."""
    return max(above_p(differences, -margin), above_p(-np.asarray(differences, dtype=np.float64), -margin))


def above_p(differences: npt.ArrayLike, bound: float) -> float:
    """p of a one-sided t test: small if the mean difference is over `bound` (non-inferiority: -margin)."""
    from scipy.stats import ttest_1samp

    known = np.asarray(differences, dtype=np.float64)
    if len(known) < 2:
        return math.nan
    if np.ptp(known) <= 1e-12 * max(1.0, float(np.abs(known).max())):  # no spread: t is infinite
        return 0.0 if known.mean() > bound else 1.0
    return float(ttest_1samp(known, bound, alternative="greater").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected p values, in the order given; a NaN counts as 1, a test that was not taken.

    Like statsmodels' multipletests, which collects garbage twice a call (0.6 s beside a large table).
    """
    known = np.array([1.0 if math.isnan(p) else p for p in p_values])
    order = np.argsort(known, kind="stable")
    stepped = np.maximum.accumulate(known[order] * np.arange(len(known), 0, -1))
    corrected = np.empty_like(known)
    corrected[order] = np.minimum(stepped, 1.0)
    return [float(p) for p in corrected]


def smallest_visible(sd: float, n: int, alpha: float = 0.05, power: float = POWER) -> float:
    """The true difference that a paired t test of n seeds finds with this power; NaN under 2 seeds.

    `sd` is the standard deviation of the differences.
    """
    from scipy.optimize import brentq

    if n < 2 or math.isnan(sd):
        return math.nan
    power_of = _power_of_t()
    highest = 1.0
    while power_of(highest, n, alpha) < power and highest < 1e6:
        highest *= 2
    return sd * float(brentq(lambda effect: power_of(effect, n, alpha) - power, 0.0, highest, xtol=1e-6))


def seeds_to_see(difference: float, sd: float, alpha: float = 0.05, power: float = POWER) -> int | None:
    """Seeds with which a paired t test finds such a true difference with this power; None beyond 1,000."""
    if math.isnan(sd) or difference == 0:
        return None
    power_of = _power_of_t()
    effect = abs(difference) / sd if sd else math.inf
    if effect > 100:
        return 2
    low, high = 2, MOST_SEEDS
    if power_of(effect, high, alpha) < power:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(effect, middle, alpha) >= power else (middle + 1, high)
    return low


def _power_of_t() -> Callable[[float, int, float], float]:
    """(effect in sd, n, alpha) -> power of a two-sided one-sample t test."""
    from statsmodels.stats.power import ttest_power

    def power_of(effect: float, n: int, alpha: float) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy's noncentral t says where it loses digits, far out
            found = float(ttest_power(effect, n, alpha, df=n - 1))
        return 1.0 if math.isnan(found) and effect > 1 else found

    return power_of
