"""Claims: each kind of test gets the verdict of its rows."""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
from support.claims_samples import CONV, DIFFERENCE, LRLC, described, judged, only, pair, runs, table
from support.results_samples import study
from support.studies_samples import HEAD, parsed

from lrlc.harness.plan.catalogue import open_study
from lrlc.results.claims import Asked, Tables, Verdict, judge_tables, seed_order
from lrlc.results.claims.cells import CHOOSING_SEEDS, cells_name, of_cells
from lrlc.results.claims.tables import OfTrials
from lrlc.results.names import seeds_name
from lrlc.results.schema import TrialStatus, to_tables
from lrlc.results.statistics.crossed import crossed_interval
from lrlc.studies import StudyError, recorded_study
from lrlc.studies.claims import Cells


@pytest.mark.parametrize(
    ("gain", "direction", "margin", "verdict"),
    [
        (1.0, "higher", 0.3, Verdict.SUPPORTED),
        (1.0, "lower", 0.3, Verdict.CONTRADICTED),
        (-1.0, "higher", 0.3, Verdict.CONTRADICTED),
        (0.05, "higher", 0.3, Verdict.CONTRADICTED),  # practically equal
        (0.05, "higher", None, Verdict.UNDECIDED),
        (0.05, "equal", 0.3, Verdict.SUPPORTED),
        (1.0, "equal", 0.3, Verdict.CONTRADICTED),
        (0.05, "not_lower", 0.3, Verdict.SUPPORTED),
        (1.0, "not_lower", 0.3, Verdict.SUPPORTED),
        (-1.0, "not_lower", 0.3, Verdict.CONTRADICTED),
    ],
)
def test_a_difference_gets_the_verdict_of_its_rows(
    gain: float, direction: str, margin: float | None, verdict: Verdict
) -> None:
    finding = only(pair(gain), {**DIFFERENCE, "direction": direction, "margin": margin})
    assert finding.verdict == verdict, finding
    assert finding.effect is not None
    assert finding.effect.mean == pytest.approx(gain, abs=0.12)
    assert finding.seeds == 10 - CHOOSING_SEEDS  # the others chose the rank
    assert finding.chosen == "LRLC rank 4"
    assert (seeds_name(finding.chose), seeds_name(finding.reporting)) == ("0 to 2", "3 to 9")


def gains(*values: float) -> pd.DataFrame:
    """LRLC of rank 4 with these gains over convolution, one per seed."""
    conv = runs(90, len(values))
    return table({("mnist", "conv", None): conv, ("mnist", "lrlc", 4): conv + np.array(values)})


ONE = {"test": "difference", "ours": {"kind": "lrlc"}, "theirs": CONV}
SHORT = np.array([-0.7, -0.2, -0.6, -0.3, -0.8, -0.4, -0.1, -0.5, -0.55])
"""Shown to be below 0, but not beyond half a point."""


@pytest.mark.parametrize("direction", ["higher", "not_lower", "equal"])
def test_a_loss_within_the_margin_contradicts_nothing_and_one_beyond_it_does(direction: str) -> None:
    claim = {**ONE, "direction": direction, "margin": 0.5}
    assert only(gains(*SHORT), {**ONE, "direction": "lower"}, seeds=9).verdict == Verdict.SUPPORTED
    short = only(gains(*SHORT), claim, seeds=9)
    assert short.verdict == Verdict.UNDECIDED
    assert ("it lies below 0, but whether by more than the margin of 0.5 points is open" in short.note) == (
        direction == "higher"
    )
    beyond = only(gains(*(SHORT - 0.6)), claim, seeds=9)
    assert beyond.verdict == Verdict.CONTRADICTED
    assert beyond.p is not None
    assert beyond.p <= 0.05


def test_a_change_that_is_merely_below_zero_contradicts_nothing() -> None:
    flat = runs(90, 9)
    rows = pd.concat(
        [
            table({("utkface", "conv", None): flat, ("utkface", "lrlc", 4): flat + 1}),
            table({("utkface+t8", "conv", None): flat, ("utkface+t8", "lrlc", 4): flat + 1 + SHORT}),
        ]
    )
    claim = {**ONE, "test": "change", "before": ["utkface"], "after": ["utkface+t8"], "margin": 0.5}
    found = only(rows, {**claim, "direction": "not_lower"}, datasets=[{"name": "utkface"}], seeds=9)
    assert (found.verdict, found.effect and found.effect.high < 0) == (Verdict.UNDECIDED, True)


def test_p_belongs_to_the_deciding_test() -> None:
    claim = {**DIFFERENCE, "margin": 0.5}
    for gain, direction in ((1.0, "higher"), (-2.0, "higher"), (-2.0, "not_lower"), (0.05, "equal")):
        finding = only(pair(gain), {**claim, "direction": direction})
        assert finding.verdict != Verdict.UNDECIDED
        assert finding.p is not None
        assert finding.p <= 0.05
    for gain in (0.05, 0.3):
        finding = only(pair(gain), DIFFERENCE)
        assert (finding.verdict == Verdict.UNDECIDED) == (finding.p is not None and finding.p > 0.05)


def test_two_equal_seeds_show_no_equivalence() -> None:
    claim = {**ONE, "direction": "equal", "margin": 0.5}
    assert only(gains(0.1, 0.1), claim, seeds=2).verdict == Verdict.UNDECIDED
    assert only(gains(*[0.1] * 9), claim, seeds=9).verdict == Verdict.UNDECIDED


def test_an_interaction_is_paired_by_seed_with_the_best_ranks_beside_it() -> None:
    gained = {"utkface": (0, 1, 1.5, 2.0), "cifar10": (0, 1.2, 1.3, 1.1)}
    luck = runs(80, 9)
    rows = table(
        {
            (dataset, "lrlc", rank): luck + gain + runs(0, 9, 0.1, rank + at)
            for at, (dataset, by_rank) in enumerate(gained.items())
            for rank, gain in zip((1, 2, 4, 7), by_rank, strict=True)
        }
    )
    high, low = ({"kind": "lrlc", "rank": rank} for rank in (7, 2))
    claim = {"test": "interaction", "ours": high, "theirs": low, "higher_on": "utkface", "than_on": "cifar10"}
    names = {"datasets": [{"name": "utkface"}, {"name": "cifar10"}]}
    found = only(rows, claim, seeds=9, **names)
    assert (found.verdict, found.where) == (Verdict.SUPPORTED, "UTKFace against CIFAR-10")
    assert found.comparison == "gain of LRLC (rank 7) over LRLC (rank 2)"
    assert found.effect is not None
    assert found.effect.mean == pytest.approx(1.0 - -0.1, abs=0.15)
    assert "7 (7 to 7) on UTKFace, 4 (" in found.beside
    swapped = {**claim, "higher_on": "cifar10", "than_on": "utkface", "margin": 0.3}
    assert only(rows, swapped, seeds=9, **names).verdict == Verdict.CONTRADICTED


def test_the_rank_is_chosen_on_validation_by_seeds_that_do_not_report() -> None:
    rows = pair(1.0)
    better = rows["rank"] == 2  # only on the test set, which must not count
    rows.loc[better, "test_accuracy"] += 0.05
    finding = only(rows, DIFFERENCE)
    assert finding.effect is not None
    assert finding.effect.mean == pytest.approx(1.0, abs=0.12)


def test_a_test_says_what_it_claims_unless_that_ours_is_better() -> None:
    margin = {"margin": 0.5}
    claims = {
        "": DIFFERENCE,
        " (claimed: below 0)": {**DIFFERENCE, "direction": "lower"},
        " (claimed: not below -0.5)": {**DIFFERENCE, "direction": "not_lower", **margin},
        " (claimed: within ±0.5)": {**DIFFERENCE, "direction": "equal", **margin},
        " (claimed: at most 2 times)": {**DIFFERENCE, "test": "cost", "metric": "parameters", "at_most": 2},
        " (claimed: at least 3 times)": {**DIFFERENCE, "test": "cost", "metric": "parameters", "at_least": 3},
    }
    for said, claim in claims.items():
        found = only(pair(1.0), claim)
        assert found.statement == found.comparison + said


def test_too_few_seeds_are_refused_with_the_number_needed() -> None:
    finding = only(pair(3.0, seeds=5), DIFFERENCE, seeds=5)
    assert (finding.verdict, finding.p) == (Verdict.UNDECIDED, None)
    assert (
        "3 evaluation seeds cannot show a difference (smallest possible p 0.25, needed 0.05): 6 could show one"
        in finding.note
    )


def test_an_undecided_difference_says_how_many_seeds_would_settle_it() -> None:
    finding = only(pair(0.05), DIFFERENCE)
    assert "seeds would settle it, if the effect is as estimated" in finding.note
    assert finding.smallest_visible is not None
    assert 0.02 < finding.smallest_visible < 0.4


def test_a_single_seed_is_written_in_the_singular() -> None:
    assert only(pair(3.0, seeds=1), DIFFERENCE, seeds=1).note.startswith("1 evaluation seed cannot show")
    assert only(pair(3.0, seeds=0), DIFFERENCE, seeds=1).note.startswith("no finished trial of")
    two_planned = only(pair(3.0, seeds=1), {**DIFFERENCE, "ours": {"kind": "lrlc", "rank": [4]}}, seeds=2)
    assert two_planned.note == "judged at 2 seeds, of which rows are missing"


def test_a_study_that_still_runs_is_not_judged_yet() -> None:
    finding = only(pair(3.0, seeds=9), DIFFERENCE)
    assert finding.verdict == Verdict.UNDECIDED
    assert finding.note == "judged at 10 seeds, of which rows are missing"


def test_a_data_set_without_rows_is_undecided_and_a_foreign_one_is_ignored() -> None:
    claim = {**DIFFERENCE, "datasets": ["mnist", "cifar10", "celeba"]}
    study_of_two = described(claim, datasets=[{"name": "mnist"}, {"name": "cifar10"}])
    (claimed,) = judged(study_of_two, pair(3.0))
    assert [finding.where for finding in claimed.findings] == ["MNIST", "CIFAR-10"]
    assert [finding.verdict for finding in claimed.findings] == [Verdict.SUPPORTED, Verdict.UNDECIDED]
    assert claimed.findings[1].note == "no finished trial of LRLC (rank 2 or 4, layer 3)"
    assert claimed.verdict == Verdict.UNDECIDED


def test_a_claim_about_foreign_data_sets_alone_is_undecided() -> None:
    finding = only(pair(3.0), {**DIFFERENCE, "datasets": ["utkface", "celeba"]})
    assert (finding.where, finding.verdict, finding.effect) == ("UTKFace", Verdict.UNDECIDED, None)


def test_a_matched_layer_has_the_rank_chosen_for_ours() -> None:
    conv = runs(80)
    rows = table(
        {
            ("mnist", "lrlc", 2): conv + 1,
            ("mnist", "lrlc", 4): conv + 3,
            ("mnist", "wide_conv", 2): conv + 9,  # better than all, but with fewer parameters than ours
            ("mnist", "wide_conv", 4): conv + 2,
        }
    )
    claim = {**DIFFERENCE, "theirs": {"kind": "wide_conv"}}
    assert only(rows, {**claim, "matched": True}).verdict == Verdict.SUPPORTED
    assert only(rows, claim).verdict == Verdict.CONTRADICTED


def test_a_matched_layer_without_a_rank_has_the_placement_chosen_for_ours() -> None:
    conv = runs(80)
    ours = [
        table({("mnist", "lrlc", 2): conv + gain}).assign(placement=at) for at, gain in (("1", 1), ("3", 3))
    ]
    local = table({("mnist", "locally_connected", None): conv}).assign(kind="locally_connected")
    theirs = [
        local.assign(placement="1", test_accuracy=local["test_accuracy"] + 0.09),  # best, but elsewhere
        local.assign(placement="3", options='{"start": "keras"}'),
        local.assign(placement="3", test_accuracy=local["test_accuracy"] - 0.05),
    ]
    for part in theirs:
        part["validation_accuracy"] = part["test_accuracy"]
    rows = pd.concat([*ours, *theirs])
    claim = {**DIFFERENCE, "ours": {"kind": "lrlc"}, "theirs": {"kind": "locally_connected"}}
    found = only(rows, {**claim, "matched": True})
    assert found.verdict == Verdict.SUPPORTED
    assert found.effect is not None
    assert found.effect.mean == pytest.approx(3, abs=0.5)
    assert found.chosen == "LRLC layer 3; local start keras"
    assert only(rows, claim).verdict == Verdict.CONTRADICTED
    usual = rows["options"].isin(["{}", ""])
    rows.loc[usual & (rows["placement"] == "3"), ["validation_accuracy", "test_accuracy"]] += 0.1
    found = only(rows, {**claim, "matched": True})
    assert found.chosen == "LRLC layer 3; local with default options"
    assert (found.chose, found.left_out) == ((0, 1, 2), "")


def test_a_claim_can_name_cells_by_default_options() -> None:
    text = "grid: {kind: lrlc, rank: 2}\nclaims: {name: C, test: trend, ours: {kind: lrlc, layer: {share: both}}}"
    (claim,) = parsed(f"{HEAD}{text}").claims
    rows = table({("mnist", "lrlc", 2): runs(80)})
    rows["options"] = np.where(rows["seed"] < 4, '{"share": "rows"}', '{"normalize": "l2"}')
    assert set(of_cells(rows, claim.ours)["seed"]) == {4, 5, 6, 7, 8, 9}
    assert cells_name(claim.ours) == "LRLC (share both)"
    ours = Cells(kind="lrlc", layer={"share": "rows"})
    assert set(of_cells(rows, ours)["seed"]) == {0, 1, 2, 3}


def test_a_change_compares_a_difference_on_two_data_sets() -> None:
    flat, conv = runs(90), runs(97)
    rows = table(
        {
            ("utkface", "conv", None): conv,
            ("utkface", "lrlc", 4): conv + 2 + runs(0, sd=0.1, seed=1),
            ("utkface+t8", "conv", None): flat,
            ("utkface+t8", "lrlc", 4): flat + 0.5 + runs(0, sd=0.1, seed=2),
            ("cifar10", "conv", None): runs(70, 12, seed=3),
            ("cifar10", "lrlc", 4): runs(70, 12, seed=3) + 1 + runs(0, 12, 0.1, 4),
        }
    )
    claim = {"test": "change", "ours": LRLC, "theirs": CONV, "before": ["utkface"], "after": ["utkface+t8"]}
    names = {"datasets": [{"name": "utkface"}, {"name": "cifar10"}]}
    translated = only(rows, {**claim, "direction": "lower", "margin": 0.5}, **names)
    assert (translated.verdict, translated.where) == (
        Verdict.SUPPORTED,
        "UTKFace, shifted ≤ 8 px against UTKFace",
    )
    across = only(rows, {**claim, "before": ["cifar10"], "after": ["utkface"]}, **names)
    assert across.verdict == Verdict.SUPPORTED
    assert across.effect is not None
    assert across.effect.mean == pytest.approx(1.0, abs=0.15)


def test_a_trend_reports_only_the_seeds_that_finished_all_ranks() -> None:
    conv = runs(90, 8)
    rows = table({("mnist", "lrlc", rank): conv + rank for rank in (1, 2, 4)})
    rows.loc[(rows["seed"] == 4) & (rows["rank"] == 2), "status"] = TrialStatus.FAILED
    found = only(rows, {"test": "trend", "ours": {"kind": "lrlc"}}, seeds=8)
    assert (found.seeds, seeds_name(found.reporting)) == (7, "0 to 3, 5 to 7")
    assert found.left_out == "left out: seed 4, of which not all trials have a result"


def test_another_way_of_training_on_one_data_set_does_not_hinder_a_test_between_two() -> None:
    conv = runs(90)
    rows = table(
        {
            ("utkface", "conv", None): conv,
            ("utkface", "lrlc", 4): conv + 2 + runs(0, sd=0.1, seed=1),
            ("utkface+t4", "conv", None): conv - 5,
            ("utkface+t4", "lrlc", 4): conv - 5 + runs(0, sd=0.1, seed=2),
        }
    )
    more = rows[(rows["dataset"] == "utkface") & (rows["kind"] == "conv")].assign(
        epochs=99, network="resnet18"
    )
    change = {"test": "change", "ours": {"kind": "lrlc"}, "theirs": CONV, "direction": "lower"}
    claim = {**change, "before": "utkface", "after": "utkface+t4"}
    datasets = [{"name": "utkface"}, {"name": "utkface", "translate": 4}]
    alone = only(rows, claim, datasets=datasets)
    assert alone.verdict == Verdict.SUPPORTED
    beside = only(pd.concat([more, rows]), claim, datasets=datasets)
    assert (beside.verdict, beside.effect) == (alone.verdict, alone.effect)


def test_trends_and_best_ranks_are_read_along_rank() -> None:
    base = runs(90)
    peaks = {"utkface": (0, 1, 2, 3), "cifar10": (2, 3, 1, 0)}
    rows = table(
        {
            (dataset, "lrlc", rank): base + gain + runs(0, sd=0.2, seed=rank)
            for dataset, gains in peaks.items()
            for rank, gain in zip((1, 2, 4, 7), gains, strict=True)
        }
    )
    names = {"datasets": [{"name": "utkface"}, {"name": "cifar10"}]}
    ours = {"kind": "lrlc"}
    rising = only(rows, {"test": "trend", "ours": ours, "datasets": ["utkface"]}, **names)
    assert (rising.verdict, rising.seeds) == (Verdict.SUPPORTED, 10)
    falling = only(rows, {"test": "trend", "ours": ours, "datasets": ["cifar10"]}, **names)
    assert falling.verdict == Verdict.CONTRADICTED
    claim = {"test": "best_rank", "ours": ours, "higher_on": ["utkface"], "than_on": ["cifar10"]}
    best = only(rows, claim, **names)
    assert best.verdict == Verdict.SUPPORTED
    assert best.effect is not None
    assert best.effect.mean == 7 - 2


def test_the_interval_over_images_pairs_trials_image_by_image() -> None:
    """The choice of images determines the difference here: seeds agree on it, but other images would not."""
    rows = table({("mnist", "conv", None): runs(60, 6), ("mnist", "lrlc", 4): runs(70, 6)})
    chance = np.random.default_rng(3)
    easy = {"conv": chance.random(200) < 0.6, "lrlc": chance.random(200) < 0.7}
    right = {
        row.trial_id: np.where(chance.random(200) < 0.02, ~easy[row.kind], easy[row.kind])
        for row in rows.itertuples()
    }

    def correct(ids: Sequence[str]) -> pd.DataFrame:
        bits = [np.packbits(right[trial]).tobytes() for trial in ids]
        shuffled = np.random.default_rng(0).permutation(len(ids))
        told = pd.DataFrame({"trial_id": list(ids), "split": "test", "images": 200, "bits": bits})
        return told.iloc[shuffled]

    accuracy = rows["trial_id"].map(lambda trial: right[trial].mean())
    tables = replace(Tables.of_rows(rows.assign(test_accuracy=accuracy)), correct=correct)
    asked = Asked.of(recorded_study({"regime": "any", **described(ONE, seeds=6)}))
    ((found,),) = (claim.findings for claim in judge_tables(asked, tables))
    assert found.effect is not None
    assert found.over_images is not None
    stacked = [np.stack([right[f"mnist{kind}{seed}"] for seed in range(6)]) for kind in ("lrlc4", "convNone")]
    expected = crossed_interval(*stacked).scaled(100)
    assert (found.over_images.low, found.over_images.high) == pytest.approx((expected.low, expected.high))
    assert found.over_images.high - found.over_images.low > 2 * (found.effect.high - found.effect.low)


def test_costs_are_claims_too() -> None:
    rows = to_tables(study(("mnist",), seeds=10))["trials"].to_pandas()
    ours = {**LRLC, "placement": ["3"]}
    cost = {"test": "cost", "ours": ours, "theirs": CONV, "metric": "parameters"}
    dear, cheap = {**cost, "name": "dear", "at_most": 1.5}, {**cost, "at_most": 3}
    found = judged(described(cheap, dear), rows)
    assert [each.verdict for each in found] == [Verdict.SUPPORTED, Verdict.CONTRADICTED]
    assert found[0].findings[0].p is None  # counted, not measured


def test_a_cost_that_is_not_positive_has_no_ratio() -> None:
    rows = to_tables(study(("mnist",), seeds=10))["trials"].to_pandas()
    claim = {"test": "cost", "ours": {**LRLC, "placement": ["3"]}, "theirs": CONV, "metric": "shift"}
    for value in (0.0, -1.0):
        found = only(rows.assign(shift=value), {**claim, "at_most": 2.0})
        assert (found.verdict, found.effect) == (Verdict.UNDECIDED, None)
        assert found.note == "a ratio needs positive values of shift; some are not"


def maps_of(rows: pd.DataFrame, smooth: Collection[str]) -> OfTrials:
    """Stored maps of combining weights: a wave for these trials, noise for the others."""
    waves = np.sin(np.arange(12)[:, None] / 3) + np.cos(np.arange(12) / 4)

    def maps(ids: Sequence[str]) -> pd.DataFrame:
        told = [
            (waves if trial in smooth else 0)
            + np.random.default_rng(crc32(trial.encode())).normal(size=(12, 12))
            for trial in ids
        ]
        shape = {"layer": "layers.2.0", "bank": 0, "height": 12, "width": 12}
        return pd.DataFrame({"trial_id": list(ids), "values": [each.ravel() for each in told], **shape})

    return maps


def test_smooth_maps_are_smoother_than_those_of_shuffled_labels() -> None:
    ours = {"kind": "lrlc", "rank": 4, "placement": ["3"]}
    rows = table({("mnist", "lrlc", 4): runs(97), ("mnist+shuffled", "lrlc", 4): runs(10)})
    real = set(rows.loc[rows["dataset"] == "mnist", "trial_id"])
    claim = described({"test": "smooth", "ours": ours})
    ((found,),) = (each.findings for each in judged(claim, rows, maps_of(rows, real)))
    assert (found.verdict, found.where, found.seeds) == (Verdict.SUPPORTED, "MNIST", 10)
    ((same,),) = (each.findings for each in judged(claim, rows, maps_of(rows, set(rows["trial_id"]))))
    assert same.verdict == Verdict.UNDECIDED  # also smooth on shuffled labels
    ((alone,),) = (
        each.findings for each in judged(claim, rows[rows["dataset"] == "mnist"], maps_of(rows, real))
    )
    assert (alone.verdict, alone.p) == (Verdict.UNDECIDED, None)
    assert alone.note.startswith("no trials with shuffled labels")


def test_diverged_seeds_are_left_out_of_pairs_but_keep_a_study_complete() -> None:
    rows = pair(1.0, seeds=12)
    rows.loc[(rows["kind"] == "conv") & (rows["seed"] == 3), ["status", "test_accuracy"]] = [
        TrialStatus.DIVERGED,
        None,
    ]
    finding = only(rows, DIFFERENCE, seeds=12)
    assert (finding.seeds, finding.verdict) == (12 - CHOOSING_SEEDS - 1, Verdict.SUPPORTED)
    assert finding.left_out == "left out: seed 3, of which not all trials have a result"


def test_a_cell_of_which_a_choosing_seed_diverged_is_not_chosen() -> None:
    rows = pair(1.0)
    lost = (rows["kind"] == "lrlc") & (rows["rank"] == 4) & (rows["seed"] == 1)
    rows.loc[lost, ["status", "test_accuracy", "validation_accuracy"]] = [TrialStatus.DIVERGED, None, None]
    assert only(rows, DIFFERENCE).chosen == "LRLC rank 2"


def test_values_of_a_metric_that_are_not_finite_are_left_out() -> None:
    rows = pair(1.0).assign(score=1.0)
    ours = rows["kind"] == "lrlc"
    rows.loc[ours, "score"] = math.inf
    claim = {**DIFFERENCE, "metric": "score", "direction": "higher"}
    finding = only(rows, claim)
    assert (finding.verdict, finding.effect) == (Verdict.UNDECIDED, None)
    assert finding.note == "no seed has a finite score in both"
    rows.loc[ours & (rows["seed"] != 4), "score"] = 2.0 + rows["seed"] / 100
    finding = only(rows, claim)
    assert finding.left_out == "left out: seed 4, of which not all trials have a result"
    assert (finding.seeds, finding.verdict) == (10 - CHOOSING_SEEDS - 1, Verdict.SUPPORTED)


def test_seeds_are_added_after_the_study_s_own() -> None:
    assert seed_order([3, 1], 4) == [3, 1, 4, 5]
    assert seed_order([0, 1, 2], 2) == [0, 1]


def test_a_claim_may_name_a_place_of_any_network_in_the_grid() -> None:
    def placements(place: object) -> list[object]:
        deep = {"network": "resnet18", "kind": "lrlc", "rank": 2, "placement": [[4]]}
        grid = [{"network": "resnet18", "kind": "conv"}, deep]
        claim = {"name": "C", "says": "It helps.", "test": "difference", "theirs": "conv"}
        asked = {
            "name": "deep", "datasets": "digits", "grid": grid,
            "claims": [{**claim, "ours": {"kind": "lrlc", "placement": place}}],
        }  # fmt: skip
        return open_study(asked, profile=None, overrides=()).study.claims[0].sides["ours"].placement

    assert placements([4]) == ["4"]
    with pytest.raises(StudyError, match="5 is outside the network, which has places 1 to 3"):
        placements([5])
