"""Claims: each kind of test ends as its rows say, error rates hold, and the command line shows it."""

import json
import math
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
from processes import rows as rows_of
from results_samples import result, study
from studies_samples import HEAD, parsed

from harness.claims_cli import as_json
from harness.progress import print_json
from results.claims import COLUMNS, Finding, Verdict, judge, judge_rows, seed_order
from results.claims.cells import CHOOSING_SEEDS, cells_name, of_cells
from results.schema import TrialStatus, to_tables
from results.store import Store

Lrlc = Callable[..., subprocess.CompletedProcess[str]]

LRLC = {"kind": "lrlc", "rank": [2, 4], "placement": ["3"]}
CONV = {"kind": "conv"}
CHANGE = {"matched": False, "margin": None, "direction": "higher"}


def described(
    *claims: dict[str, Any], seeds: int = 10, looks: Sequence[int] = (), **more: Any
) -> dict[str, Any]:
    """A study as study.json has it."""
    defaults = {
        "name": "C",
        "says": "",
        "matched": False,
        "direction": "higher",
        "margin": None,
        "datasets": [],
    }
    return {
        "datasets": [{"name": "mnist"}],
        "seeds": list(range(seeds)),
        "decision": {"alpha": 0.05, "looks": list(looks)},
        "claims": [{**defaults, **claim} for claim in claims],
        **more,
    }


DIFFERENCE = {"test": "difference", "ours": LRLC, "theirs": CONV}
SAMPLE = to_tables([result(options="{}")])["trials"].to_pandas().loc[0, list(COLUMNS)].to_dict()


def table(accuracies: dict[tuple[str, str, int | None], np.ndarray]) -> pd.DataFrame:
    """Rows of (data set, kind, rank) with these accuracies in points, one a seed; validation is the same plus noise."""
    parts = []
    for (dataset, kind, rank), values in accuracies.items():
        noise = np.random.default_rng(crc32(repr((dataset, kind, rank)).encode())).normal(0, 0.2, len(values))
        changed = {
            "dataset": dataset, "dataset_name": dataset.partition("+")[0], "kind": kind, "rank": rank,
            "placement": "" if kind == "conv" else "3", "seed": range(len(values)),
            "test_accuracy": values / 100, "validation_accuracy": (values + noise) / 100,
            "trial_id": [f"{dataset}{kind}{rank}{seed}" for seed in range(len(values))],
        }  # fmt: skip
        parts.append(
            pd.DataFrame({**{name: [value] * len(values) for name, value in SAMPLE.items()}, **changed})
        )
    return pd.concat(parts, ignore_index=True)


def runs(mean: float, seeds: int = 10, sd: float = 0.3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, sd, seeds)


def no_maps(ids: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame()


def only(rows: pd.DataFrame, *claims: dict[str, Any], **settings: Any) -> Finding:
    ((finding,),) = (judged.findings for judged in judge_rows(described(*claims, **settings), rows, no_maps))
    return finding


def pair(gain: float, seeds: int = 10) -> pd.DataFrame:
    conv = runs(97, seeds)
    return table(
        {
            ("mnist", "conv", None): conv,
            ("mnist", "lrlc", 2): conv + gain - 1 + runs(0, seeds, 0.1, 1),
            ("mnist", "lrlc", 4): conv + gain + runs(0, seeds, 0.1, 2),
        }
    )


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
def test_a_difference_ends_as_its_rows_say(
    gain: float, direction: str, margin: float | None, verdict: Verdict
) -> None:
    finding = only(pair(gain), {**DIFFERENCE, "direction": direction, "margin": margin})
    assert finding.verdict == verdict, finding
    assert finding.effect is not None
    assert finding.effect.mean == pytest.approx(gain, abs=0.12)
    assert finding.seeds == 10 - CHOOSING_SEEDS  # the others chose the rank
    assert finding.chosen == "LRLC rank 4"


def test_the_rank_is_chosen_on_validation_by_seeds_that_do_not_report() -> None:
    rows = pair(1.0)
    better = rows["rank"] == 2  # in the test set alone: that must not count
    rows.loc[better, "test_accuracy"] += 0.05
    finding = only(rows, DIFFERENCE)
    assert finding.effect is not None
    assert finding.effect.mean == pytest.approx(1.0, abs=0.12)


def test_too_few_seeds_are_refused_with_the_number_that_would_do() -> None:
    finding = only(pair(3.0, seeds=5), DIFFERENCE, seeds=5)
    assert (finding.verdict, finding.p) == (Verdict.UNDECIDED, None)
    assert (
        "3 reporting seeds cannot show a difference (smallest possible p 0.25, needed 0.05): 6 could"
        in finding.note
    )


def test_an_undecided_difference_says_how_many_seeds_would_settle_it() -> None:
    finding = only(pair(0.05), DIFFERENCE)
    assert "seeds would settle it, if the effect is as it looks" in finding.note
    assert finding.smallest_visible is not None
    assert 0.02 < finding.smallest_visible < 0.4


def test_a_study_that_still_runs_is_not_judged_yet() -> None:
    finding = only(pair(3.0, seeds=9), DIFFERENCE)
    assert finding.verdict == Verdict.UNDECIDED
    assert finding.note == "judged at 10 seeds, of which rows are missing"


def test_a_data_set_that_the_study_has_no_rows_of_is_undecided_and_a_foreign_one_is_no_question() -> None:
    claim = {**DIFFERENCE, "datasets": ["mnist", "cifar10", "celeba"]}
    study_of_two = described(claim, datasets=[{"name": "mnist"}, {"name": "cifar10"}])
    (judged,) = judge_rows(study_of_two, pair(3.0), no_maps)
    assert [finding.where for finding in judged.findings] == ["MNIST", "CIFAR-10"]
    assert [finding.verdict for finding in judged.findings] == [Verdict.SUPPORTED, Verdict.UNDECIDED]
    assert judged.findings[1].note == "no finished trial of LRLC (rank 2 or 4, layer 3)"
    assert judged.verdict == Verdict.UNDECIDED


def test_a_claim_about_foreign_data_sets_alone_is_undecided() -> None:
    finding = only(pair(3.0), {**DIFFERENCE, "datasets": ["utkface", "celeba"]})
    assert (finding.where, finding.verdict, finding.effect) == ("UTKFace", Verdict.UNDECIDED, None)


def test_a_matched_layer_has_the_rank_that_was_chosen_for_ours() -> None:
    conv = runs(80)
    rows = table(
        {
            ("mnist", "lrlc", 2): conv + 1,
            ("mnist", "lrlc", 4): conv + 3,
            ("mnist", "wide_conv", 2): conv + 9,  # better than all, but of fewer parameters than ours
            ("mnist", "wide_conv", 4): conv + 2,
        }
    )
    claim = {**DIFFERENCE, "theirs": {"kind": "wide_conv"}}
    assert only(rows, {**claim, "matched": True}).verdict == Verdict.SUPPORTED
    assert only(rows, claim).verdict == Verdict.CONTRADICTED


def test_a_matched_layer_without_a_rank_stands_in_the_place_that_was_chosen_for_ours() -> None:
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


def test_a_claim_names_cells_by_options_at_their_default_too() -> None:
    text = "grid: {kind: lrlc, rank: 2}\nclaims: {name: C, test: trend, ours: {kind: lrlc, layer: {share: both}}}"
    (claim,) = parsed(f"{HEAD}{text}").claims
    rows = table({("mnist", "lrlc", 2): runs(80)})
    rows["options"] = np.where(rows["seed"] < 4, '{"share": "rows"}', '{"normalize": "l2"}')
    ours = claim.ours.model_dump()
    assert set(of_cells(rows, ours)["seed"]) == {4, 5, 6, 7, 8, 9}
    assert cells_name(ours) == "LRLC (share both)"
    ours = {"kind": "lrlc", "layer": {"share": "rows"}}
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


def test_smooth_weights_and_costs_are_claims_too() -> None:
    tables = {name: each.to_pandas() for name, each in to_tables(study(("mnist",), seeds=10)).items()}
    weights = tables["weights"]
    named = {**LRLC, "placement": ["3"]}
    smooth = {"test": "smooth", "ours": named}
    cost = {
        "test": "cost",
        "ours": named,
        "theirs": CONV,
        "metric": "parameters",
        "at_most": 3,
        "at_least": None,
    }
    claims = described(smooth, {**cost, "name": "cost"}, {**cost, "name": "cheap", "at_most": 1.5})
    found = judge_rows(claims, tables["trials"], lambda ids: weights[weights["trial_id"].isin(list(ids))])
    assert [judged.verdict for judged in found] == [
        Verdict.SUPPORTED,
        Verdict.SUPPORTED,
        Verdict.CONTRADICTED,
    ]
    assert found[0].findings[0].effect is not None
    assert found[0].findings[0].effect.mean > 0.2


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
    return [finding for judged in judge_rows(asked, rows, no_maps) for finding in judged.findings]


@pytest.mark.coverage
@pytest.mark.timeout(3600)
def test_a_study_of_equal_layers_shows_a_difference_in_at_most_5_percent_of_cases() -> None:
    """Three data sets, the rank chosen on validation."""
    assert rate(0.0, lambda finding: finding.verdict != Verdict.UNDECIDED) <= AT_MOST


@pytest.mark.coverage
@pytest.mark.timeout(3600)
def test_three_looks_show_no_more() -> None:
    def decided(finding: Finding) -> bool:
        return finding.verdict != Verdict.UNDECIDED

    assert rate(0.0, decided, seeds=14, looks=(12, 13, 14)) <= AT_MOST


@pytest.mark.coverage
@pytest.mark.timeout(3600)
def test_layers_that_differ_by_the_margin_are_called_equal_in_at_most_5_percent_of_cases() -> None:
    assert rate(0.5, lambda finding: "practically equal" in finding.note, margin=0.5) <= AT_MOST


@pytest.mark.coverage
@pytest.mark.timeout(3600)
def test_a_true_difference_is_found() -> None:
    assert rate(1.5, lambda finding: finding.verdict == Verdict.SUPPORTED) > 0.9


def test_diverged_seeds_are_left_out_of_pairs_but_keep_a_study_complete() -> None:
    rows = pair(1.0, seeds=12)
    rows.loc[(rows["kind"] == "conv") & (rows["seed"] == 3), ["status", "test_accuracy"]] = [
        TrialStatus.DIVERGED,
        None,
    ]
    finding = only(rows, DIFFERENCE, seeds=12)
    assert (finding.seeds, finding.verdict) == (12 - CHOOSING_SEEDS - 1, Verdict.SUPPORTED)


def test_seeds_are_added_after_the_study_s_own() -> None:
    assert seed_order([3, 1], 4) == [3, 1, 4, 5]
    assert seed_order([0, 1, 2], 2) == [0, 1]


SEQUENTIAL = """
name: sequential
datasets: digits
train_images: 200
evaluation_images: 200
seeds: 2
grid:
  - kind: [conv, locally_connected]
    placement: [3]
  - kind: lrlc
    rank: 2
    placement: [3]
claims:
  - {name: clear, says: A clear one, test: cost, ours: lrlc, theirs: conv, metric: parameters, at_least: 1.1}
  - {name: hard, says: A hard one, test: difference, ours: locally_connected, theirs: conv}
decision: {looks: [2, 3, 4]}
train: {epochs: 1, batch_size: 50, learning_rate: 0.05}
"""


def test_seeds_are_added_only_for_what_is_undecided(lrlc: Lrlc, tmp_path: Path) -> None:
    path = tmp_path / "sequential.yaml"
    path.write_text(SEQUENTIAL)
    said = lrlc("run", path, "--serial", "--until-decided").stderr
    assert "look at 2 seeds: 6 trials in all" in said
    assert "look at 4 seeds: 10 trials in all" in said
    found = rows_of(tmp_path / "runs/sequential")
    assert dict(found["kind"].value_counts()) == {"conv": 4, "locally_connected": 4, "lrlc": 2}
    verdicts = {claim["name"]: claim for claim in json.loads(lrlc("claims", path, "--json").stdout)}
    assert verdicts["clear"]["verdict"] == "supported"
    assert verdicts["hard"]["verdict"] == "undecided"
    assert verdicts["hard"]["findings"][0]["seeds"] == 4
    again = lrlc("run", path, "--serial", "--until-decided").stderr
    assert "1 of 2 tests of claims decided" in again
    pd.testing.assert_frame_equal(rows_of(tmp_path / "runs/sequential"), found)
    text = lrlc("claims", path).stdout
    assert "clear SUPPORTED: A clear one" in text
    assert "4 reporting seeds cannot show a difference" in text


def test_a_verdict_of_one_seed_is_json_that_every_program_reads(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_json(as_json(judge_rows(described(DIFFERENCE, seeds=1), pair(1.0, seeds=1), no_maps)))
    told = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert told[0]["findings"][0]["effect"]["low"] is None


def test_claims_of_a_study_without_any(lrlc: Lrlc, tiny_study: Path, tmp_path: Path) -> None:
    lrlc("run", tiny_study, "--serial", "grid={kind: conv}", "seeds=1")
    assert "names no claims" in lrlc("claims", tiny_study).stdout
    assert json.loads(lrlc("claims", tiny_study, "--json").stdout) == []
    assert judge(Store(tmp_path / "runs/tiny")) == []
    assert "needs claims" in lrlc("run", tiny_study, "--until-decided", "--serial", code=2).stderr


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (
            "{name: C, test: diference, ours: conv}",
            "claims[0].test: unknown value 'diference'; did you mean 'difference'?",
        ),
        ("{name: C, ours: conv}", "claims[0].test: missing, and it has no default"),
        (
            "{name: C, test: trend, ours: lrlx}",
            "claims[0].ours.kind: unknown layer kind 'lrlx'; did you mean 'lrlc'?",
        ),
        (
            "{name: C, test: trend, ours: lrlc, datasets: mnits}",
            "claims[0].datasets: unknown data set 'mnits'",
        ),
        (
            "{name: C, test: trend, ours: {kind: lrlc, placement: 4}}",
            "claims[0].ours.placement: 4 is outside the network",
        ),
        ("{name: C, test: difference, ours: lrlc, theirs: conv, direction: equal}", "'equal' needs a margin"),
        (
            "{name: C, test: trend, ours: {kind: lrlc, layer: {shar: rows}}}",
            "claims[0].ours.layer.shar: lrlc does not take it; did you mean 'share'?",
        ),
    ],
)
def test_a_wrong_claim_is_one_line(lrlc: Lrlc, tiny_study: Path, claim: str, said: str) -> None:
    (line,) = lrlc("plan", tiny_study, f"claims=[{claim}]", code=2).stderr.splitlines()
    assert said in line
