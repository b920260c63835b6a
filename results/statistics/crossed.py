"""Intervals over seeds and test images: both are samples, and every seed is tested on the same images.

For differences D of S seeds x I images, the variance of their mean has a component of the seeds, which differences
between seeds show, and one of the images, which they do not, as all seeds share the images. The latter is estimated by
analysis of variance (two crossed random effects without replication; Searle, Casella and McCulloch, Variance
Components, 1992).
Both half-widths are added in quadrature, each with its own t quantile, so the interval is never narrower than that over
seeds.
"""

import math

import numpy as np
import numpy.typing as npt

from lrlc.results.statistics.groups import CONFIDENCE, Summary, summarise

Bools = npt.NDArray[np.bool_]


def crossed_interval(ours: Bools, theirs: Bools, confidence: float = CONFIDENCE) -> Summary:
    """Mean difference in accuracy, a fraction, of two (seeds, images) matrices of correct classifications.

    Its interval is for new seeds and new test images; NaN under 2 seeds. Rows and columns are paired.
    """
    differences = ours.astype(np.float64) - theirs
    return widened(summarise(differences.mean(axis=1), confidence), image_half_width(differences, confidence))


def widened(over_seeds: Summary, *image_half_widths: float) -> Summary:
    """The same mean, with the components of the test images added to the interval over seeds."""
    parts = [(over_seeds.high - over_seeds.low) / 2, *image_half_widths]
    half = math.sqrt(sum(part**2 for part in parts))
    return Summary(
        over_seeds.n, over_seeds.mean, over_seeds.sd, over_seeds.mean - half, over_seeds.mean + half
    )


def image_half_width(differences: npt.NDArray[np.float64], confidence: float = CONFIDENCE) -> float:
    """What the choice of images adds to half an interval of the mean of (seeds, images); NaN under 2 of either."""
    from scipy.special import stdtrit

    seeds, images = differences.shape
    if seeds < 2 or images < 2:
        return math.nan
    by_image, by_seed = differences.mean(axis=0), differences.mean(axis=1)
    rest = differences - by_image - by_seed[:, None] + differences.mean()
    between = seeds * by_image.var(ddof=1)
    within = (rest**2).sum() / ((seeds - 1) * (images - 1))
    variance = max(0.0, float(between - within)) / seeds
    return float(stdtrit(images - 1, (1 + confidence) / 2)) * math.sqrt(variance / images)
