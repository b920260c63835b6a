"""Error rates of verdicts in simulated studies with a known truth; `make coverage` takes 2,000 of each."""

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from claims_samples import DIFFERENCE, described, judged, table

from results.claims import Finding, Verdict

pytestmark = [pytest.mark.coverage, pytest.mark.timeout(3600)]

STUDIES = int(os.environ.get("LRLC_SIMULATED_STUDIES", "30"))
"""`make coverage` takes 2,000."""
AT_MOST = 0.05 + 3 * math.sqrt(0.05 * 0.95 / STUDIES)
"""Three standard deviations of chance over 5%."""


def simulated(truth: float, seed: int, seeds: int = 10) -> pd.DataFrame:
    """Three data sets; conv, and two ranks of LRLC that are truly better by `truth` points."""
    chance = np.random.default_rng(seed)
    accuracies: dict[tuple[str, str, int | None], np.ndarray] = {}
    for dataset in ("mnist", "cifar10", "utkface"):
        luck = chance.normal(90, 0.4, seeds)
        accuracies[dataset, "conv", None] = luck + chance.normal(0, 0.4, seeds)
        for rank in (2, 4):
            accuracies[dataset, "lrlc", rank] = luck + truth + chance.normal(0, 0.4, seeds)
    return table(accuracies)


THREE = {"datasets": [{"name": "mnist"}, {"name": "cifar10"}, {"name": "utkface"}]}


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
