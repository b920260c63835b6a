"""The regime: networks that are untrained, not fully trained, or effectively another kind decide nothing."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from support.claims_samples import CONV, described, runs, table
from support.results_samples import noted, study
from support.studies_samples import HEAD, parsed

from lrlc.harness.plan.catalogue import open_study
from lrlc.results.claims import (
    Asked,
    Finding,
    Judged,
    Tables,
    Verdict,
    claims_of,
    findings,
    judge,
    judge_tables,
)
from lrlc.results.claims.compare import Outcome, compare, known_regime
from lrlc.results.datasets import Baseline, DatasetSummary
from lrlc.results.schema import TrialStatus, to_tables
from lrlc.results.store import Store
from lrlc.studies import recorded_study, shipped_studies
from lrlc.studies.claims import Cost, Smooth
from lrlc.studies.regime import Regime

Lrlc = Callable[..., subprocess.CompletedProcess[str]]
EARLY = Path(__file__).parent / "early_tables"
"""Rows of networks that were hardly trained: 1,500 images, twice."""
FIXED = {"kind": "lrlc", "rank": 4, "placement": ["3"]}
CLAIM = {"test": "difference", "ours": FIXED, "theirs": CONV, "margin": 0.3}
CHECKED: dict[str, Any] = {"length_check": {"epochs": "half", "seeds": 3}}


def summary(title: str, linear: float | None) -> DatasetSummary:
    """A data set on which logistic regression reaches this accuracy with 1,000 training images."""
    baseline = Baseline(1000, 360, linear, 1000, 0.1, 0.5, 1000, 8, 8)
    return replace(noted(title, 0.1), baselines=(baseline,))


def trained(
    *,
    half: float = 1.0,
    linear: float | None = 0.9,
    spread: float = 0.2,
    over_images: float | None = None,
    kind: str = "lrlc",
    full: float = 1.0,
    epochs: int = 10,
) -> Tables:
    """LRLC gains `full` points over a convolution at 97%, and `half` points at half the epochs."""
    conv = runs(97)
    told = {"weights_spatial_std": np.nan, "weights_image_std": np.nan}
    moved = {"weights_spatial_std": spread, "weights_image_std": over_images}

    def rows(gain: float, epochs: int) -> pd.DataFrame:
        plain = table({("mnist", "conv", None): conv}).assign(**told)
        ours = table({("mnist", kind, 4): conv + gain + runs(0, sd=0.1, seed=2)}).assign(**moved)
        return pd.concat([plain, ours], ignore_index=True).assign(epochs=epochs)

    shorter = rows(half, epochs // 2)
    return Tables(
        rows(full, epochs),
        shorter[shorter["seed"] < 3],
        read_datasets=lambda: {"mnist": summary("mnist", linear)},
    )


def only(tables: Tables, claim: dict[str, Any] = CLAIM, **settings: Any) -> Finding:
    asked = Asked.of(recorded_study(described(claim, **{**CHECKED, **settings})))
    ((finding,),) = (each.findings for each in judge_tables(asked, tables))
    return finding


def test_a_comparison_of_trained_networks_is_decided_with_its_conditions() -> None:
    found = only(trained())
    assert found.verdict == Verdict.SUPPORTED
    told = {(each.name, each.what): each.holds for each in found.regime}
    assert told == {
        ("no seed diverged", "LRLC rank 4, layer 3"): True,
        ("no seed diverged", "conv"): True,
        ("beats a linear classifier", "LRLC rank 4, layer 3"): True,
        ("beats a linear classifier", "conv"): True,
        ("weights vary over positions", "LRLC rank 4, layer 3"): True,
        ("same effect with fewer epochs", "LRLC (rank 4, layer 3) minus conv"): True,
    }


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"linear": 0.975}, "on MNIST conv (97.0%) does not beat a linear classifier (97.5%)"),
        ({"linear": 0.99}, "on MNIST LRLC rank 4, layer 3 (98.0%) and conv (97.0%) do not beat"),
        ({"linear": None}, "no linear baseline was computed for MNIST: run the study again"),
        (
            {"half": 0.6},
            "fewer epochs changes the effect by 0.40 (0.40 to 0.40) points, which must be less than 0.30",
        ),
        (
            {"spread": 0.049},
            "on MNIST the weights of LRLC rank 4, layer 3 (0.049) hardly vary over positions",
        ),
    ],
)
def test_one_unmet_condition_is_enough_and_the_numbers_stay(tables: dict[str, Any], said: str) -> None:
    found = only(trained(**tables))
    assert found.verdict == Verdict.OUT_OF_REGIME
    assert said in found.note
    assert found.effect is not None
    assert found.effect.mean == pytest.approx(1.0, abs=0.1)
    assert only(trained(**tables), regime="any").verdict == Verdict.SUPPORTED


def test_the_length_check_gives_its_interval_over_its_seeds() -> None:
    tables = trained(half=0.2)
    moves = np.array([0.5, -0.3, 0.1])
    is_ours = tables.shorter["kind"] == "lrlc"
    moved = (
        tables.shorter["test_accuracy"] + tables.shorter["seed"].map(dict(enumerate(moves / 100))) * is_ours
    )
    found = only(replace(tables, shorter=tables.shorter.assign(test_accuracy=moved)))
    changes = 0.8 - moves
    (length,) = (each.over_seeds for each in found.regime if each.over_seeds)
    low, high = scipy.stats.t.interval(0.95, 2, changes.mean(), scipy.stats.sem(changes))
    assert (length.n, length.mean) == (3, pytest.approx(changes.mean()))
    assert (length.low, length.high) == (pytest.approx(low), pytest.approx(high))
    assert f"changes the effect by {changes.mean():.2f} ({low:.2f} to {high:.2f}) points" in found.note


def together(*studies: Tables, ranks: int | list[int] = 4) -> Judged:
    """The claim judged over studies named a, b and so on, which all make it."""
    told = {**CLAIM, "ours": {**FIXED, "rank": ranks}}
    asked = [Asked.of(recorded_study(described(told, **CHECKED, name=name))) for name in "abc"]
    (claim,) = claims_of(findings(list(zip(asked, studies, strict=False))))
    return claim


def longer_of(claim: Judged) -> list[str]:
    """The longer training that counts in place of each finding; '' for none."""
    return [str(each.longer or "") for each in claim.findings]


def test_of_a_comparison_trained_too_short_longer_training_decides() -> None:
    short, long = trained(half=0.2), trained(full=0.5, half=0.5, epochs=20)
    claim = together(short, long)
    assert [each.verdict for each in claim.findings] == [Verdict.OUT_OF_REGIME, Verdict.SUPPORTED]
    assert longer_of(claim) == ["20 epochs in b", ""]
    assert claim.findings[0].remarks[-1] == "the verdict of longer training counts instead: 20 epochs in b"
    assert claim.verdict == Verdict.SUPPORTED
    assert claim.by_dataset == {"MNIST": Verdict.SUPPORTED}
    alone = together(long).findings[0].p
    assert alone is not None
    assert claim.findings[1].p == pytest.approx(2 * alone), (
        "the test of the shorter training is corrected for"
    )


def test_longer_training_replaces_no_comparison_that_counts() -> None:
    """Whatever it says, and whatever the order of the studies."""
    longer = trained(half=0.2, full=2.0, epochs=20)
    for studies in ((trained(), longer), (longer, trained())):
        claim = together(*studies)
        assert set(longer_of(claim)) == {""}
        assert claim.verdict == Verdict.UNDECIDED, "supported and out of regime"


def test_only_complete_training_of_the_same_cells_is_longer_training_of_a_comparison() -> None:
    short, long = trained(half=0.2), trained(full=0.5, half=0.5, epochs=20)
    unfinished = replace(long, rows=long.rows[long.rows["seed"] < 6], is_whole=False)
    other_rate = replace(long, rows=long.rows.assign(learning_rate=0.7))
    more_ranks = replace(long, rows=long.rows.assign(rank=long.rows["rank"].replace(4, 3)))
    fewer_images = replace(long, rows=long.rows.assign(test_images=100))
    other_images = replace(long, rows=long.rows.assign(data_digest="e" * 16))
    for other in (unfinished, other_rate, more_ranks, fewer_images, other_images):
        claim = together(short, other, ranks=[3, 4])
        assert longer_of(claim) == ["", ""]
        assert claim.verdict != Verdict.SUPPORTED


def test_the_longest_of_several_trainings_counts() -> None:
    claim = together(trained(half=0.2), trained(full=2, epochs=40), trained(half=-1, full=0.5, epochs=20))
    assert longer_of(claim) == ["40 epochs in b", "", "40 epochs in b"]


def test_longer_training_may_be_another_block_of_the_same_study() -> None:
    short, long = trained(half=0.2), trained(full=0.5, half=0.5, epochs=20)
    frames = [(short.rows, long.rows), (short.shorter, long.shorter)]
    rows, shorter = (
        pd.concat([each.assign(trial_id=each["trial_id"] + str(at)) for at, each in enumerate(pair)])
        for pair in frames
    )
    claim = together(replace(short, rows=rows, shorter=shorter))
    assert [each.where for each in claim.findings] == ["MNIST, epochs 10", "MNIST, epochs 20"]
    assert longer_of(claim) == ["20 epochs in a", ""]
    assert claim.by_dataset == {"MNIST, epochs 20": Verdict.SUPPORTED}
    assert claim.verdict == Verdict.SUPPORTED


def test_without_a_length_check_the_note_says_how_to_add_one() -> None:
    found = only(trained(), length_check=None)
    assert found.verdict == Verdict.OUT_OF_REGIME
    assert found.note == "no length check: add one to the study, such as length_check: {seeds: 3}"
    assert only(trained(), length_check=None, regime={"length": False}).verdict == Verdict.SUPPORTED
    unrun = replace(trained(), shorter=trained().shorter[:0])
    assert only(unrun).note == "no finished trials of the length check: `lrlc run` trains them"


def test_an_effect_that_changes_by_less_than_its_interval_counts_as_settled() -> None:
    rough = trained()
    noise = pd.Series(runs(0, 20, 0.012, 5), index=rough.rows.index)
    rough = replace(rough, rows=rough.rows.assign(test_accuracy=rough.rows["test_accuracy"] + noise))
    no_margin = {**CLAIM, "margin": None}
    (length,) = (
        each for each in only(rough, no_margin).regime if each.name == "same effect with fewer epochs"
    )
    assert length.needed is not None
    assert length.needed > 0.3


def test_input_dependent_weights_must_also_vary_over_images() -> None:
    claim = {**CLAIM, "ours": {"kind": "lrlc_input_dependent"}}
    assert only(trained(kind="lrlc_input_dependent", over_images=0.1), claim).verdict == Verdict.SUPPORTED
    still = only(trained(kind="lrlc_input_dependent", over_images=0.01), claim)
    assert (
        "the weights of LRLC i.d. rank 4, layer 3 (0.010) hardly vary over images (needed 0.05)" in still.note
    )


def test_the_chosen_cells_are_those_whose_regime_counts() -> None:
    """Rank 2, which was not chosen, is below the linear classifier; the seeds that chose are those of the check."""
    tables = trained()
    worse = tables.rows[tables.rows["kind"] == "lrlc"].assign(rank=2, weights_spatial_std=0.0)
    worse = worse.assign(test_accuracy=0.5, validation_accuracy=0.5)
    both = replace(tables, rows=pd.concat([tables.rows, worse], ignore_index=True))
    found = only(both, {**CLAIM, "ours": {"kind": "lrlc"}})
    assert (found.verdict, found.chosen, found.seeds) == (Verdict.SUPPORTED, "LRLC rank 4", 7)


def test_the_seeds_that_did_not_diverge_decide_nothing() -> None:
    tables = trained()
    rows = tables.rows.copy()
    lost = (rows["kind"] == "lrlc") & rows["seed"].isin([3, 5])
    rows.loc[lost, ["status", "test_accuracy"]] = [TrialStatus.DIVERGED, None]
    found = only(replace(tables, rows=rows))
    assert found.verdict == Verdict.OUT_OF_REGIME
    assert found.note == (
        "on MNIST LRLC rank 4, layer 3 with 2 of 10 seeds diverged, and the others are not a fair sample"
    )
    assert found.left_out == "left out: seeds 3, 5, of which not all trials have a result"
    assert only(replace(tables, rows=rows), regime={"no_divergence": False}).verdict == Verdict.SUPPORTED


def test_a_regime_recorded_as_any_before_divergence_counted_is_still_any() -> None:
    former = recorded_study(described(CLAIM, regime={"linear": False, "length": False, "weights_std": 0.0}))
    assert former.regime == recorded_study(described(CLAIM, regime="any")).regime


def test_conditions_can_be_switched_off_one_by_one() -> None:
    off = {"linear": False, "length": False, "weights_std": 0}
    assert parsed(f"{HEAD}grid: {{kind: conv}}\nregime: {off}").regime.no_divergence


def test_a_first_look_at_one_seed_is_not_out_of_regime_for_good() -> None:
    """One seed chooses and one reports, whose effect has no interval that its change could be compared with."""
    tables = trained()
    worse = tables.rows[tables.rows["kind"] == "lrlc"].assign(rank=2)
    worse = worse.assign(trial_id="r" + worse["trial_id"], validation_accuracy=0.5)
    both = replace(tables, rows=pd.concat([tables.rows, worse], ignore_index=True))
    claim = {**CLAIM, "ours": {"kind": "lrlc"}, "margin": None}
    found = only(both, claim, seeds=10, decision={"alpha": 0.1, "looks": [2, 10]})
    assert (found.verdict, found.seeds) == (Verdict.SUPPORTED, 7)


def test_costs_have_no_regime() -> None:
    cost = {"test": "cost", "ours": FIXED, "theirs": CONV, "metric": "parameters", "at_most": 3}
    found = only(trained(linear=0.99, spread=0.0), cost, length_check=None)
    assert (found.verdict, found.regime) == (Verdict.SUPPORTED, ())


def test_maps_that_did_not_move_are_out_of_regime() -> None:
    def maps(ids: Any) -> pd.DataFrame:
        wave = np.sin(np.arange(12)[:, None] / 3) + np.cos(np.arange(12) / 4)
        shape = {"layer": "layers.2.0", "bank": 0, "height": 12, "width": 12, "image": None}
        return pd.DataFrame({"trial_id": list(ids), "values": [wave.ravel()] * len(ids), **shape})

    found = only(replace(trained(spread=0.01), maps=maps), {"test": "smooth", "ours": FIXED})
    assert found.verdict == Verdict.OUT_OF_REGIME
    assert {each.name for each in found.regime} == {
        "no seed diverged",
        "beats a linear classifier",
        "weights vary over positions",
    }


def test_nothing_is_decided_by_networks_that_were_hardly_trained() -> None:
    for name in ("rank_vs_accuracy", "baselines"):
        found = [finding for claim in judge(Store(EARLY / name)) for finding in claim.findings]
        compared = [finding for finding in found if "Moran" not in finding.comparison]
        assert compared
        assert {finding.verdict for finding in compared} == {Verdict.OUT_OF_REGIME}
        assert all(finding.effect is not None for finding in compared)


UNTRAINED = """
name: untrained
datasets: digits
train_images: 100
evaluation_images: 100
seeds: 2
grid:
  - {kind: conv}
  - {kind: lrlc, rank: 2, placement: [3]}
claims: {name: C, says: It helps., test: difference, ours: lrlc, theirs: conv}
decision: {looks: [2, 3]}
train: {epochs: 1, batch_size: 50, learning_rate: 0.001}
"""


def test_no_more_seeds_are_trained_out_of_regime(lrlc: Lrlc, tmp_path: Path) -> None:
    path = tmp_path / "untrained.yaml"
    path.write_text(UNTRAINED)
    said = lrlc("run", path, "--serial", "--until-decided").stderr
    assert "0 of 1 test of claims decided, 1 out of regime: more seeds do not help these" in said
    assert "look at 3 seeds" not in said
    (claim,) = json.loads(lrlc("claims", path, "--json").stdout)
    assert claim["verdict"] == "out of regime"
    assert {each["name"] for each in claim["findings"][0]["regime"]} >= {"beats a linear classifier"}
    text = lrlc("claims", path).stdout
    assert "C OUT OF REGIME: It helps." in text
    assert "do not beat a linear classifier" in text
    page = (tmp_path / lrlc("report", path).stdout.strip()).read_text()
    assert "– out of regime" in page
    assert "Conditions of the comparisons above" in page
    again = lrlc("run", path, "--serial", "regime=any").stderr
    assert "4 of 4 trials done" in again  # it is not part of a trial's identity
    assert "This study judges in any regime" in (tmp_path / lrlc("report", path).stdout.strip()).read_text()


def test_shipped_studies_with_claims_meet_the_requirements_of_their_regime() -> None:
    claiming = [
        study
        for name in shipped_studies()
        if (study := open_study(name, profile=None, overrides=()).study).claims
    ]
    assert {study.name for study in claiming} >= {"quickstart", "rank_vs_accuracy", "baselines"}
    for study in claiming:
        compares = any(not isinstance(claim, Smooth | Cost) for claim in study.claims)
        assert study.regime.is_any or study.length_check is not None or not compares, study.name
    assert open_study("quickstart", profile=None, overrides=()).study.regime.is_any


@pytest.mark.parametrize(
    ("regime", "said"),
    [
        ("{linar: false}", "regime.linar: unknown key; did you mean 'linear'?"),
        ("sometimes", "regime: expected 'any' or a mapping of conditions, got 'sometimes'"),
        ("{weights_std: -1}", "regime.weights_std: expected at least 0, got -1"),
    ],
)
def test_a_wrong_regime_is_one_line(lrlc: Lrlc, tiny_study: Path, regime: str, said: str) -> None:
    (line,) = lrlc("plan", tiny_study, f"regime={regime}", code=2).stderr.splitlines()
    assert said in line


def test_two_sets_are_not_compared_if_one_is_known_to_be_untrained() -> None:
    rows = to_tables(study(("mnist",), 10, (4,), ("3",), ("lrlc",), wide_ranks=()))["trials"].to_pandas()
    better = rows.assign(test_accuracy=rows["test_accuracy"].where(rows["kind"] == "conv", 0.995))
    tables = replace(Tables.of_rows(rows), read_datasets=lambda: {"mnist": _with_images(rows)})
    regimes = known_regime(tables, Regime())
    found = {each.cell["kind"]: each for each in compare(better, rows, regimes=(regimes, regimes))}
    assert found["conv"].outcome == Outcome.IDENTICAL
    assert found["lrlc"].outcome == Outcome.OUT_OF_REGIME
    assert "a linear classifier (99.9%)" in found["lrlc"].reason
    assert {each.outcome for each in compare(better, rows)} <= {Outcome.IDENTICAL, Outcome.BETTER}


def _with_images(rows: pd.DataFrame) -> DatasetSummary:
    images = {name: int(rows[name].iloc[0]) for name in ("train_images", "test_images")}
    baseline = replace(summary("mnist", 0.999).baselines[0], **images)
    return replace(noted("mnist", 0.1), baselines=(baseline,))
