"""Groups of rows: means, spreads and differences by seed.

Intervals are Student's t: at 5 seeds a nominal 95% percentile bootstrap (seaborn's default error bar) covers
83%, the t interval 95%.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from lrlc.results.schema import TrialStatus
from lrlc.studies.training import LATER_KEYS

CONFIDENCE = 0.95
LAYER_SETTINGS = ("kind", "rank", "placement", "options")
TRAINING_SETTINGS = (
    "train_images",
    "draw",
    "epochs",
    "batch_size",
    "learning_rate",
    "momentum",
    "warmup_epochs",
    "precision",
    *LATER_KEYS,
)
CELL = ("dataset", "network", *LAYER_SETTINGS, *TRAINING_SETTINGS)
"""The columns that distinguish cells; rows of one cell differ only by seed."""


@dataclass(frozen=True)
class Summary:
    """Mean of `n` values with a t interval; sd and interval are NaN if n < 2, the mean if n = 0."""

    n: int
    mean: float
    sd: float
    low: float
    high: float

    def scaled(self, factor: float) -> "Summary":
        """In other units: fractions times 100 are percent."""
        return Summary(self.n, factor * self.mean, factor * self.sd, factor * self.low, factor * self.high)

    def within(self, least: float, most: float) -> "Summary":
        """The summary with its interval cut to possible means: a t interval of two seeds may span -44 to 222%."""
        if math.isnan(self.low):
            return self
        return Summary(self.n, self.mean, self.sd, max(self.low, least), min(self.high, most))


POSSIBLE = {"points": (-100.0, 100.0), "%": (0.0, 100.0)}
"""The range of possible numbers in a unit."""


def digits(unit: str) -> str:
    """The format of a number in this unit: hundredths of a point, or three digits of a unit of any size."""
    return ".2f" if unit in ("points", "times", "ranks", "") else ".3g"


def possible(summary: Summary, unit: str) -> Summary:
    """The summary for display: its interval cut to possible numbers in this unit."""
    return summary.within(*POSSIBLE[unit]) if unit in POSSIBLE else summary


def summarise(values: npt.ArrayLike, confidence: float = CONFIDENCE) -> Summary:
    """Mean, sample standard deviation (n - 1) and t interval of a group's values; NaNs are left out."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    n = len(known)
    mean = float(known.mean()) if n else math.nan
    if n < 2:
        return Summary(n, mean, math.nan, math.nan, math.nan)
    from scipy.special import stdtrit  # scipy.stats would take a second to import

    sd = float(known.std(ddof=1))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * sd / math.sqrt(n)
    return Summary(n, mean, sd, mean - half, mean + half)


def unfinished(rows: pd.DataFrame) -> dict[str, int]:
    """How many trials did not finish, by status in words: {'diverged': 2, 'out of memory': 1}."""
    counts = rows["status"].value_counts()
    endings = [status for status in TrialStatus if status is not TrialStatus.FINISHED]
    return {status.replace("_", " "): int(counts[status]) for status in endings if counts.get(status, 0)}


def paired_difference(
    ours: pd.DataFrame,
    theirs: pd.DataFrame,
    value: str = "test_accuracy",
    confidence: float = CONFIDENCE,
) -> Summary:
    """The differences `ours - theirs` of runs that share a seed; seeds that did not finish in both are left out.

    Raises ValueError if a seed appears twice in a cell, which then has more than one setting.
    """
    pairs = pd.concat([_by_seed(ours, value), _by_seed(theirs, value)], axis=1, join="inner").dropna()
    left, right = (pairs.iloc[:, side].to_numpy(dtype=np.float64) for side in (0, 1))
    return summarise(left - right, confidence)


def binomial_sd(accuracy: float, images: int) -> float:
    """Standard deviation of an accuracy measured on `images` test images: the test set's own noise."""
    return math.sqrt(accuracy * (1 - accuracy) / images) if images else math.nan


def _by_seed(cell: pd.DataFrame, value: str) -> "pd.Series[float]":
    finished = cell[cell["status"] == TrialStatus.FINISHED].set_index("seed")[value]
    if not finished.index.is_unique:
        repeated = finished.index[finished.index.duplicated()][0]
        raise ValueError(f"seed {repeated} appears twice in one cell: it mixes trials of different settings")
    return finished
