"""Error rates of verdicts in simulated studies with a known truth; `make coverage` takes 2,000 of each."""

import math
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr
from support.claims_samples import DIFFERENCE, described, judged, table
from support.results_samples import noted

from lrlc.results.claims import Asked, Finding, Tables, Verdict, judge_tables
from lrlc.results.datasets import Baseline
from lrlc.results.statistics import summarise
from lrlc.results.statistics.crossed import crossed_interval
from lrlc.studies import recorded_study

pytestmark = [pytest.mark.coverage, pytest.mark.timeout(3600)]

NAMES = ("mnist", "cifar10", "utkface")
STUDIES = int(os.environ.get("LRLC_SIMULATED_STUDIES", "6"))
"""Simulated studies; `make coverage` uses 2,000."""
AT_MOST = 0.05 + 3 * math.sqrt(0.05 * 0.95 / STUDIES)
"""Three binomial standard deviations above 5%."""


def simulated(truth: float, seed: int, seeds: int = 10) -> pd.DataFrame:
    """Three data sets; conv, and two ranks of LRLC that are truly better by `truth` points."""
    chance = np.random.default_rng(seed)
    accuracies: dict[tuple[str, str, int | None], np.ndarray] = {}
    for dataset in NAMES:
        luck = chance.normal(90, 0.4, seeds)
        accuracies[dataset, "conv", None] = luck + chance.normal(0, 0.4, seeds)
        for rank in (2, 4):
            accuracies[dataset, "lrlc", rank] = luck + truth + chance.normal(0, 0.4, seeds)
    return table(accuracies)


THREE = {"datasets": [{"name": name} for name in NAMES]}


def rate(truth: float, wrong: Callable[[Finding], bool], **settings: Any) -> float:
    """The share of studies in which one of the findings is wrong."""
    asked = described({**DIFFERENCE, "margin": settings.pop("margin", None)}, **THREE, **settings)
    seeds = len(asked["seeds"])
    share = np.mean(
        [any(map(wrong, _found(asked, simulated(truth, seed, seeds)))) for seed in range(STUDIES)]
    )
    print(
        f"\n{share:.3f} of {STUDIES} studies: truth {truth} points, margin {asked['claims'][0]['margin']}, {settings}"
    )
    return float(share)


def _found(asked: dict[str, Any], rows: pd.DataFrame) -> list[Finding]:
    return [finding for each in judged(asked, rows) for finding in each.findings]


def test_a_study_of_equal_layers_shows_a_difference_in_at_most_5_percent_of_cases() -> None:
    """Three data sets, the rank chosen on validation."""
    assert rate(0.0, lambda finding: finding.verdict != Verdict.UNDECIDED) <= AT_MOST


def test_three_looks_show_no_more() -> None:
    def decided(finding: Finding) -> bool:
        return finding.verdict != Verdict.UNDECIDED

    assert rate(0.0, decided, seeds=14, looks=(12, 13, 14)) <= AT_MOST


def test_layers_that_differ_by_the_margin_are_called_equal_in_at_most_5_percent_of_cases() -> None:
    assert rate(0.5, lambda finding: "practically equal" in finding.note, margin=0.5) <= AT_MOST


def test_a_true_difference_is_found() -> None:
    assert rate(1.5, lambda finding: finding.verdict == Verdict.SUPPORTED) > 0.9


def test_a_study_of_trained_networks_that_are_equal_shows_a_difference_in_at_most_5_percent_of_cases() -> (
    None
):
    """As above, with a linear baseline, a length check of three seeds and weights that moved."""

    def wrong(finding: Finding) -> bool:
        return finding.verdict == Verdict.SUPPORTED or (
            finding.verdict == Verdict.CONTRADICTED and "practically equal" not in finding.note
        )

    assert share_of_studies(in_regime(0.0, 0.0), wrong, "wrong in regime, no difference") <= AT_MOST


def test_a_true_difference_of_fully_trained_networks_is_detected_in_regime() -> None:
    found = in_regime(1.5, 1.5)
    outside = share_of_comparisons(found, Verdict.OUT_OF_REGIME, "out of regime though trained to the end")
    supported = share_of_comparisons(found, Verdict.SUPPORTED, "supported, a difference of 1.5 points")
    assert outside < 0.4
    assert supported > 0.9 - outside


def test_an_effect_that_still_moves_with_training_is_out_of_regime() -> None:
    found = in_regime(1.5, 0.0)
    assert (
        share_of_comparisons(found, Verdict.OUT_OF_REGIME, "out of regime, half the epochs show none") > 0.8
    )


def in_regime(truth: float, half: float) -> list[list[Finding]]:
    """Studies in which LRLC is better by `truth` points, and with half the epochs by `half`; all else is in regime."""
    asked = described({**DIFFERENCE, "margin": 0.5}, **THREE, length_check={"epochs": "half", "seeds": 3})
    baseline = Baseline(1000, 360, 0.8, 1000, 0.1, 0.5, 1000, 8, 8)
    datasets = {name: replace(noted(name, 0.1), baselines=(baseline,)) for name in NAMES}
    studies = []
    for seed in range(STUDIES):
        shorter = simulated(half, seed + STUDIES).assign(epochs=1, weights_spatial_std=0.2)
        rows = simulated(truth, seed).assign(epochs=2, weights_spatial_std=0.2)
        tables = Tables(rows, shorter[shorter["seed"] < 3], read_datasets=lambda: datasets)
        judged = judge_tables(Asked.of(recorded_study(asked)), tables)
        studies.append([each for claim in judged for each in claim.findings])
    return studies


def share_of_studies(studies: list[list[Finding]], wrong: Callable[[Finding], bool], what: str) -> float:
    share = float(np.mean([any(map(wrong, found)) for found in studies]))
    print(f"\n{share:.3f} of {len(studies)} studies: {what}")
    return share


def share_of_comparisons(studies: list[list[Finding]], verdict: Verdict, what: str) -> float:
    share = float(np.mean([each.verdict == verdict for found in studies for each in found]))
    print(f"\n{share:.3f} of the comparisons of {len(studies)} studies: {what}")
    return share


def test_the_interval_over_seeds_and_images_holds_the_truth_of_all_images() -> None:
    """Nine seeds, 500 images of varying difficulty; the interval over seeds alone is for these images."""
    crossed, seeds = [], []
    for number in range(10 * STUDIES):
        chance = np.random.default_rng(number)
        hard, harder = chance.normal(
            0, 1, (2, 500)
        )  # difficulty of an image for both, and additionally for theirs
        luck = chance.normal(0, 0.05, (2, 9, 1))
        ours = hard + luck[0] + chance.normal(0, 0.5, (9, 500)) + 1.2 > 0
        theirs = hard + 0.7 * harder + luck[1] + chance.normal(0, 0.5, (9, 500)) + 1.1 > 0
        spreads = math.sqrt(1 + 0.5**2 + 0.05**2), math.sqrt(1 + 0.7**2 + 0.5**2 + 0.05**2)
        truth = float(ndtr(1.2 / spreads[0]) - ndtr(1.1 / spreads[1]))
        for found, held in (
            (crossed_interval(ours, theirs), crossed),
            (summarise(ours.mean(axis=1) - theirs.mean(axis=1)), seeds),
        ):
            held.append(found.low <= truth <= found.high)
    print(f"\n{np.mean(crossed):.3f} over seeds and images, {np.mean(seeds):.3f} over seeds alone")
    assert np.mean(crossed) >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / len(crossed))
    assert np.mean(seeds) < 0.9
