"""Claims on the command line: adding seeds until they are decided, JSON, and one line for a wrong claim."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from support.claims_samples import DIFFERENCE, described, judged, pair
from support.processes import rows as rows_of

from lrlc.harness.cli.claims import as_json
from lrlc.harness.text import print_json
from lrlc.results.claims import judge
from lrlc.results.store import Store

Lrlc = Callable[..., subprocess.CompletedProcess[str]]

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
regime: any
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
    (hard,) = verdicts["hard"]["findings"]
    assert hard["seeds"] == 4
    assert hard["over_images"]["mean"] == hard["effect"]["mean"]
    assert hard["over_images"]["high"] >= hard["effect"]["high"]
    again = lrlc("run", path, "--serial", "--until-decided").stderr
    assert "1 of 2 tests of claims decided" in again
    pd.testing.assert_frame_equal(rows_of(tmp_path / "runs/sequential"), found)
    text = lrlc("claims", path).stdout
    assert "clear SUPPORTED: A clear one" in text
    assert "4 evaluation seeds cannot show a difference" in text
    assert "no row yet" not in text
    store = Store(tmp_path / "runs/sequential")
    store.write_plan(None, [*(store.plan() or ()), "f" * 16])
    assert lrlc("claims", path).stdout.splitlines()[-1] == (
        "sequential: 1 planned trial has no row yet, so choices of cells and verdicts may change"
    )


def test_a_verdict_of_one_seed_is_json_that_every_program_reads(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_json(as_json(judged(described(DIFFERENCE, seeds=1), pair(1.0, seeds=1))))
    told = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert told[0]["findings"][0]["effect"]["low"] is None


def test_claims_of_a_study_without_any(lrlc: Lrlc, tiny_study: Path, tmp_path: Path) -> None:
    lrlc("run", tiny_study, "--serial", "grid={kind: conv}", "seeds=1")
    assert "no claims to judge" in lrlc("claims", tiny_study).stdout
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
