"""The evidence of a claim's test: an effect with its interval, and p values. Nothing is decided here."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from lrlc.results.claims.cells import cells_name, has_finished, of_cells
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import Summary, binomial_sd
from lrlc.results.statistics.paired import equivalence_p, not_lower_p, sign_flip_p
from lrlc.studies.claims import Claim, Direction

POINTS = "points"


@dataclass(frozen=True)
class PValues:
    """p values of an effect's tests, before any correction.

    `above` and `below` are two-sided, and small if the effect lies above or below the range of no difference; 1 on the
    other side. `within` is small if it lies within the claim's margin (direction not_lower: not below it); NaN without
    a margin or a test. `smallest` is the smallest possible value of `above` or `below`.
    """

    above: float = 1.0
    below: float = 1.0
    within: float = math.nan
    smallest: float = 0.0

    @property
    def different(self) -> float:
        return min(self.above, self.below)


@dataclass(frozen=True)
class Compared:
    """The rows behind an effect on one data set: finished rows of the evaluation seeds and the chosen cells."""

    ours: pd.DataFrame
    theirs: pd.DataFrame | None = None
    """None if the test uses one side only."""


@dataclass(frozen=True)
class Evidence:
    """The evidence of one test on its data sets."""

    comparison: str
    """'LRLC (rank 2 to 7) minus conv'."""
    unit: str = POINTS
    effect: Summary | None = None
    """None if it cannot be computed; `missing` then says why."""
    p: PValues = PValues()
    missing: str = ""
    refused: str = ""
    """Why the effect cannot decide anything; '' if it can."""
    is_counted: bool = False
    """Whether the effect is deterministic (counted, not measured), so it needs no test."""
    test_noise: float | None = None
    correlation: float | None = None
    superiority: float | None = None
    chosen: str = ""
    """The choice of the first seeds among several cells."""
    chose: tuple[int, ...] = ()
    """The first seeds, which chose and do not report."""
    beside: str = ""
    """Additional untested information about the claim."""
    compared: tuple[Compared, ...] = field(default=(), repr=False)
    """The compared rows, by data set."""
    by_seed: "pd.Series[float] | None" = field(default=None, repr=False)
    """The effect of each evaluation seed; None if it is not a mean over seeds."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The evaluation seeds."""
        frames = [each.ours for each in self.compared]
        return tuple(sorted({int(seed) for frame in frames for seed in frame["seed"].unique()}))


def no_difference(expects: Direction, margin: float) -> tuple[float, float]:
    """The range in which an effect counts as no difference, for a claim's direction.

    That ours is higher is supported above 0, and contradicted below minus the margin, by a relevant loss.
    """
    match expects:
        case "higher":
            return -margin, 0.0
        case "lower":
            return 0.0, margin
        case "not_lower":
            return -margin, math.inf
        case "equal":
            return -margin, margin


def sided(
    mean: float, bounds: tuple[float, float], p_about: Callable[[float], float], smallest: float = 0.0
) -> PValues:
    """p of an effect above and below the bounds; `p_about` gives the two-sided p of the effect being at a bound."""
    low, high = bounds
    above = p_about(high) if mean > high else 1.0
    return PValues(above, p_about(low) if mean < low else 1.0, smallest=smallest)


def within_p(claim: Claim, differences: npt.NDArray[np.float64]) -> float:
    """p of paired differences within the claim's margin (direction not_lower: not below it); NaN without a margin."""
    if not claim.tolerance:
        return math.nan
    if claim.expects == "not_lower":
        return not_lower_p(differences, claim.tolerance)
    return equivalence_p(differences, claim.tolerance)


def flips(claim: Claim, differences: npt.NDArray[np.float64], smallest: float) -> PValues:
    """p of paired differences by sign flips; `within` is left open."""
    bounds = no_difference(claim.expects, claim.tolerance)
    return sided(float(differences.mean()), bounds, lambda bound: sign_flip_p(differences, bound), smallest)


def noise_of(rows: pd.DataFrame) -> float | None:
    """The standard deviation of an accuracy due to the choice of test images, in points; None without finished rows."""
    finished = rows[rows["status"] == TrialStatus.FINISHED]
    images = finished["test_images"].dropna()
    if finished.empty or images.empty:
        return None
    return 100 * binomial_sd(float(finished["test_accuracy"].mean()), int(images.iloc[0]))


def nobody(claim: Claim, rows: pd.DataFrame) -> str:
    """The side without a finished trial; '' if both have one."""
    for cells in claim.sides.values():
        if not has_finished(of_cells(rows, cells)):
            return f"no finished trial of {cells_name(cells)}"
    return ""
