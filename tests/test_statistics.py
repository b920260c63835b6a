"""Statistics against scipy, statsmodels and published examples, and against simulations with a known truth."""

import math
import warnings
from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from lrlc.results.statistics.crossed import crossed_interval
from lrlc.results.statistics.interaction import difference_of_gains, interaction_p
from lrlc.results.statistics.paired import (
    above_p,
    equivalence_p,
    holm,
    not_lower_p,
    seeds_for_sign_flip,
    sign_flip_p,
    smallest_sign_flip_p,
    superiority,
)
from lrlc.results.statistics.power import seeds_to_see, smallest_visible, t_power
from lrlc.results.statistics.ranks import best_columns, page_p, sufficient_rank, summarise_ranks
from lrlc.results.statistics.smoothness import morans_i, smoothness

# Darwin's maize, cross- minus self-fertilised, in eighths of an inch (Fisher, The Design of Experiments, 1935, 21).
MAIZE = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=float)


def test_the_sign_flip_test_gives_fisher_s_own_number_for_darwin_s_maize() -> None:
    assert sign_flip_p(MAIZE) == pytest.approx(2 * 863 / 32_768)


def test_the_sign_flip_test_counts_every_flip() -> None:
    values = np.array([0.3, -0.1, 0.8, 0.4, 0.9])
    flips = np.array(list(product([1, -1], repeat=5)))
    means = np.abs((flips * values).mean(axis=1))
    assert sign_flip_p(values) == pytest.approx((means >= abs(values.mean()) - 1e-12).mean())


@pytest.mark.parametrize(("seeds", "smallest"), [(3, 0.25), (5, 0.0625), (8, 0.0078125), (10, 0.001953125)])
def test_few_seeds_bound_the_p_value(seeds: int, smallest: float) -> None:
    assert smallest_sign_flip_p(seeds) == smallest
    assert sign_flip_p(np.linspace(1, 2, seeds)) == pytest.approx(smallest)


def test_the_number_of_seeds_for_a_level() -> None:
    assert seeds_for_sign_flip(0.05) == 6
    assert seeds_for_sign_flip(0.05 / 4) == 8  # Holm over four comparisons
    for alpha in (0.05, 0.0125, 0.001):
        needed = seeds_for_sign_flip(alpha)
        assert smallest_sign_flip_p(needed) <= alpha < smallest_sign_flip_p(needed - 1)


def test_equivalence_agrees_with_statsmodels() -> None:
    ours, theirs = np.random.default_rng(0).normal(size=(2, 9))
    expected, *_ = ttost_paired(ours, theirs, -0.8, 0.8)
    assert equivalence_p(ours - theirs, 0.8) == pytest.approx(expected)


def test_one_sided_tests_agree_with_scipy_and_handle_no_spread() -> None:
    values = np.random.default_rng(1).normal(0.4, 1, 7)
    assert above_p(values, 0.1) == pytest.approx(stats.ttest_1samp(values, 0.1, alternative="greater").pvalue)
    assert (above_p([2.0, 2.0, 2.0], 1.0), above_p([2.0, 2.0, 2.0], 2.0)) == (0.0, 1.0)


def test_holm_s_correction_of_a_worked_example() -> None:
    """Four tests: .005 x 4, .01 x 3, then .03 x 2, below which the last may not fall."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, math.nan]) == pytest.approx([0.02, 1.0])


@pytest.mark.parametrize("tests", [1, 2, 9])
def test_holm_s_correction_agrees_with_statsmodels(tests: int) -> None:
    p_values = np.random.default_rng(tests).uniform(0, 0.2, tests)
    assert holm(list(p_values)) == pytest.approx(multipletests(p_values, method="holm")[1])


@pytest.mark.parametrize(("seeds", "standard_deviations"), [(3, 3.26), (5, 1.68), (8, 1.16), (10, 1.0)])
def test_the_smallest_visible_difference_is_that_of_a_power_of_80_percent(
    seeds: int, standard_deviations: float
) -> None:
    found = smallest_visible(1.0, seeds)
    assert found == pytest.approx(standard_deviations, abs=0.01)
    assert TTestPower().power(found, seeds, 0.05) == pytest.approx(0.8, abs=1e-4)


def test_seeds_to_detect_a_difference_are_minimal() -> None:
    needed = seeds_to_see(0.5, 1.0)
    assert needed is not None
    power = TTestPower().power
    assert power(0.5, needed, 0.05) >= 0.8 > power(0.5, needed - 1, 0.05)
    assert seeds_to_see(0.01, 1.0) is None


@pytest.mark.parametrize(
    ("effect", "alpha", "needed"), [(1.0, 0.05, 10), (0.59, 0.05 / 12, 44), (0.05, 0.05, None)]
)
def test_seeds_to_see_a_difference_follow_a_power_that_always_exists(
    effect: float, alpha: float, needed: int | None
) -> None:
    """With scipy's noncentral t, which may be NaN, a search over numbers of seeds failed: 888 for 23, 814 for 40."""
    powers = np.array([t_power(effect, n, alpha) for n in range(2, 1001)])
    assert np.isfinite(powers).all()
    assert (np.diff(powers) > -1e-9).all()
    enough = np.flatnonzero(powers >= 0.8)
    assert seeds_to_see(effect, 1.0, alpha) == (int(enough[0]) + 2 if len(enough) else None) == needed


def test_power_agrees_with_statsmodels_if_that_has_a_number() -> None:
    theirs = TTestPower().power
    for effect, n, alpha in product((0.1, 0.5, 1.5), (2, 5, 12, 60), (0.05, 0.004)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = float(theirs(effect, n, alpha))
        assert math.isnan(expected) or t_power(effect, n, alpha) == pytest.approx(expected, abs=1e-5)


def test_equivalence_is_refused_for_few_seeds_and_without_a_spread() -> None:
    assert math.isnan(equivalence_p([0.1, 0.1], 0.5))
    assert math.isnan(not_lower_p([0.1, 0.2, 0.1, 0.2], 0.5))
    assert math.isnan(equivalence_p([0.1] * 9, 0.5))
    assert equivalence_p([0.1, 0.2, 0.1, 0.2, 0.1], 0.5) < 0.001


def test_ties_count_half_for_superiority() -> None:
    assert superiority([1.0, 0.0, -1.0, 2.0]) == 0.625


def test_page_s_trend_test_gives_a_published_number() -> None:
    """Page 1963, as worked in scipy's documentation: lectures, tutorials and seminars rated by ten students."""
    ratings = [
        [3, 4, 3], [2, 2, 4], [3, 3, 5], [1, 3, 2], [2, 3, 2], [2, 4, 5], [1, 2, 4], [3, 4, 4], [2, 4, 5], [1, 3, 4],
    ]  # fmt: skip
    assert page_p(np.array(ratings, dtype=float)) == pytest.approx(0.0018191, abs=2e-6)


def test_the_sufficient_rank_is_the_smallest_that_is_not_inferior() -> None:
    noise = np.random.default_rng(2).normal(0, 0.05, (8, 4))
    table = np.array([0.0, 2.0, 3.0, 3.1]) + noise
    assert sufficient_rank([1, 2, 4, 7], table, 3, margin=0.5, alpha=0.05) == 4
    assert sufficient_rank([1, 2, 4, 7], table, 3, margin=2.0, alpha=0.05) == 2
    found = summarise_ranks([1, 2, 4, 7], table, table, margin=0.5)
    assert (found.best, found.sufficient) == (7, 4)
    assert found.shares[1] == found.shares[2] == 0
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.p_rising < 0.001


def test_gains_on_two_data_sets_are_compared_by_welchs_method() -> None:
    chance = np.random.default_rng(3)
    ours, theirs = chance.normal(1, 1, 8), chance.normal(0, 3, 10)
    found, p = difference_of_gains(ours, theirs)
    expected = stats.ttest_ind(ours, theirs, equal_var=False)
    assert p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert interaction_p([ours, theirs]) == pytest.approx(expected.pvalue)  # Welch's t is his F of two groups


def test_moran_s_i_of_a_worked_example() -> None:
    """A chessboard has only unlike neighbours: -1. Two halves of 4x4: 20 like pairs less 4 unlike, of 24."""
    chessboard = np.indices((4, 4)).sum(axis=0) % 2
    halves = np.repeat([[0.0, 0.0, 1.0, 1.0]], 4, axis=0)
    assert morans_i(np.stack([chessboard, halves])) == pytest.approx([-1, 16 / 24])
    assert math.isnan(morans_i(np.ones((4, 4))))


def test_a_map_that_is_only_a_sum_of_rows_and_columns_is_not_smooth() -> None:
    chance = np.random.default_rng(4)
    rough = [chance.normal(size=(16, 1)) + chance.normal(size=(1, 16)) for _ in range(60)]
    excess = np.array([np.subtract(*smoothness(each)) for each in rough])
    assert abs(excess.mean()) < 3 * excess.std() / math.sqrt(len(excess))
    rows, columns = np.mgrid[:16, :16]
    moran, shuffled = smoothness(np.sin(rows / 4) + np.cos(columns / 5))
    assert moran > 0.9 > 0.6 > shuffled


def test_the_bootstrapped_best_rank_has_the_right_certainty() -> None:
    """Two equally good ranks, 8 seeds: a share of 97.5% for either occurs in about 5% of studies."""
    chance = np.random.default_rng(5)
    sure = [(best_columns(chance.normal(size=(8, 2)), draws=1000) == 0).mean() for _ in range(600)]
    wrong = np.mean([share > 0.975 or share < 0.025 for share in sure])
    assert 0.02 < wrong < 0.09


def test_the_interval_over_seeds_and_images_is_that_of_crossed_random_effects() -> None:
    """Variance components by sums of squares, as in a two-way analysis of variance without replication."""
    chance = np.random.default_rng(8)
    ours, theirs = chance.random((4, 30)) < 0.8, chance.random((4, 30)) < chance.random(30)
    differences = ours.astype(float) - theirs
    grand, seeds, images = differences.mean(), differences.mean(axis=1), differences.mean(axis=0)
    mean_squares = [
        30 * ((seeds - grand) ** 2).sum() / 3,
        4 * ((images - grand) ** 2).sum() / 29,
        sum((differences[s, i] - seeds[s] - images[i] + grand) ** 2 for s, i in product(range(4), range(30)))
        / (3 * 29),
    ]
    found = crossed_interval(ours, theirs)
    half = math.sqrt(
        stats.t.ppf(0.975, 3) ** 2 * mean_squares[0] / 120
        + stats.t.ppf(0.975, 29) ** 2 * (mean_squares[1] - mean_squares[2]) / 120
    )
    assert (found.mean, found.high - found.mean) == (pytest.approx(grand), pytest.approx(half))
    assert math.isnan(crossed_interval(ours[:1], theirs[:1]).low)


def test_images_that_all_agree_add_nothing_to_the_interval_over_seeds() -> None:
    ours = np.repeat([[True], [False], [True], [True]], 50, axis=1)
    found, seeds = crossed_interval(ours, np.zeros_like(ours)), stats.ttest_1samp([1, 0, 1, 1], 0)
    assert (found.low, found.high) == pytest.approx(tuple(seeds.confidence_interval()))
