"""The interval of an effect over seeds and test images, from each trial's correct classifications."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from lrlc.results.claims.evidence import POINTS, Compared, Evidence
from lrlc.results.claims.tables import OfTrials
from lrlc.results.correct import correct_matrix
from lrlc.results.statistics import Summary
from lrlc.results.statistics.crossed import image_half_width, widened
from lrlc.studies.claims import Change, Claim, Difference, Interaction

SPLIT = "test"


def over_images(claim: Claim, evidence: Evidence, correct: OfTrials) -> Summary | None:
    """The effect with its interval widened for the choice of test images; None if rows have no results per image.

    A data set and its translation share their images, so their difference is taken image by image; other data sets
    have different images, and each contributes separately.
    """
    effect = evidence.effect
    if not isinstance(claim, Difference | Change | Interaction) or effect is None or math.isnan(effect.low):
        return None
    if evidence.unit != POINTS:  # a metric, which has no values per image
        return None
    found = [_differences(compared, correct) for compared in evidence.compared]
    known = [each for each in found if each is not None and len(each) > 1]
    if len(known) < len(found):
        return None
    if len(known) == 2 and _share_images(evidence.compared) and known[0].shape == known[1].shape:
        known = [known[1] - known[0]]
    widths = [100 * image_half_width(each) for each in known]
    return widened(effect, *widths)


def _share_images(parts: Sequence[Compared]) -> bool:
    names = [str(each.ours["dataset_name"].iloc[0]) for each in parts]
    return len(set(names)) == 1


def _differences(compared: Compared, correct: OfTrials) -> npt.NDArray[np.float64] | None:
    """Ours minus theirs, (seeds, images), for seeds with both; None if there are none."""
    sides = [_by_seed(rows, correct) for rows in (compared.ours, compared.theirs) if rows is not None]
    if len(sides) < 2:
        return None
    seeds = sorted(set(sides[0]) & set(sides[1]))
    if not seeds or len({len(side[seed]) for side in sides for seed in seeds}) > 1:
        return None
    ours, theirs = (np.stack([side[seed] for seed in seeds]) for side in sides)
    return ours.astype(np.float64) - theirs


def _by_seed(rows: pd.DataFrame, correct: OfTrials) -> dict[int, npt.NDArray[np.bool_]]:
    """Which test images each seed's trial classified correctly."""
    found = correct(list(rows["trial_id"]))
    if found.empty:
        return {}
    found = found[found["split"] == SPLIT].drop_duplicates("trial_id")
    seeds = dict(zip(rows["trial_id"], rows["seed"], strict=True))
    matrix = correct_matrix(found)
    return {int(seeds[trial]): row for trial, row in zip(found["trial_id"], matrix, strict=True)}
