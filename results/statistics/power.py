"""What a given number of seeds can show: the power of the paired t test, and quantities derived from it."""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

POWER = 0.8
MOST_SEEDS = 1000
_NODES = 200


def t_power(effect: float, n: int, alpha: float = 0.05) -> float:
    """Power of a two-sided one-sample t test of n values whose true mean is `effect` standard deviations.

    The normal distribution function is averaged over the distribution of the sample's standard deviation. scipy's
    noncentral t, which would give the same, is NaN for many effects over .3 (seen in scipy 1.15 to 1.17).
    """
    from scipy.special import ndtr, stdtrit

    spreads, shares = _spread_of_samples(n)
    shift, needed = effect * math.sqrt(n), float(stdtrit(n - 1, 1 - alpha / 2))
    return float(shares @ (ndtr(shift - needed * spreads) + ndtr(-shift - needed * spreads)))


def smallest_visible(sd: float, n: int, alpha: float = 0.05, power: float = POWER) -> float:
    """The true difference that a paired t test of n seeds detects with this power; NaN under 2 seeds.

    `sd` is the standard deviation of the differences.
    """
    from scipy.optimize import brentq

    if n < 2 or math.isnan(sd):
        return math.nan
    highest = 1.0
    while t_power(highest, n, alpha) < power:
        highest *= 2
    return sd * float(brentq(lambda effect: t_power(effect, n, alpha) - power, 0.0, highest, xtol=1e-6))


def seeds_to_see(difference: float, sd: float, alpha: float = 0.05, power: float = POWER) -> int | None:
    """Seeds with which a paired t test detects this true difference with this power; None beyond 1,000."""
    if math.isnan(sd) or difference == 0:
        return None
    if sd == 0:
        return 2
    effect = abs(difference) / sd
    if t_power(effect, MOST_SEEDS, alpha) < power:
        return None
    low, high = 2, MOST_SEEDS
    while low < high:  # power grows with the number of seeds
        middle = (low + high) // 2
        low, high = (low, middle) if t_power(effect, middle, alpha) >= power else (middle + 1, high)
    return low


@lru_cache(maxsize=1)
def _nodes() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Gauss-Legendre nodes and weights on -1..1."""
    places, shares = np.polynomial.legendre.leggauss(_NODES)
    return places, shares


@lru_cache(maxsize=256)
def _spread_of_samples(n: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Standard deviations of samples of n standard normal values, and the share of each."""
    from scipy.special import gammaincinv

    places, shares = _nodes()
    freedom = n - 1
    spreads = np.sqrt(2 / freedom * gammaincinv(freedom / 2, (places + 1) / 2))
    return spreads, shares / 2
