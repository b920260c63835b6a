"""`lrlc compare`: two result sets side by side, from stores and from CSV files."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats
from support.results_samples import study

from lrlc.results.claims.compare import ComparedCell, Outcome, compare, read_csv
from lrlc.results.export import export_tables
from lrlc.results.files import locate
from lrlc.results.schema import TrialResult, to_tables
from lrlc.results.store import Store, StoreError

Lrlc = Callable[..., subprocess.CompletedProcess[str]]
SMALL = {"datasets": ("mnist",), "seeds": 10, "ranks": (2, 4), "placements": ("3",), "kinds": ("lrlc",)}


def trials(change: float = 0.0, kind: str = "lrlc") -> list[TrialResult]:
    """A small study; accuracies of `kind` changed, a little more with each seed."""
    return [
        replace(each, test_accuracy=(each.test_accuracy or 0) + change * (1 + each.seed / 50))
        if each.kind == kind
        else each
        for each in study(**SMALL)  # type: ignore[arg-type]
    ]


def frame(results: list[TrialResult]) -> pd.DataFrame:
    return to_tables(results)["trials"].to_pandas()


def by_layer(compared: list[ComparedCell]) -> dict[tuple[str, str], ComparedCell]:
    return {(each.cell["kind"], each.cell["rank"]): each for each in compared}


def test_the_same_numbers_are_identical_and_changed_ones_better_or_worse() -> None:
    found = by_layer(compare(frame(trials(0.004)), frame(trials())))
    assert found["conv", ""].outcome == Outcome.IDENTICAL
    assert found["lrlc", "2"].outcome == Outcome.BETTER
    assert found["lrlc", "2"].difference.mean == pytest.approx(0.4 * 1.09)
    assert found["lrlc", "2"].how == "paired by seed"
    assert by_layer(compare(frame(trials()), frame(trials(0.004))))["lrlc", "4"].outcome == Outcome.WORSE


def test_differences_within_the_margin_are_practically_equal() -> None:
    found = by_layer(compare(frame(trials(0.004)), frame(trials()), margin=1.0))
    assert found["lrlc", "2"].outcome == Outcome.EQUAL


def test_two_equal_seeds_are_not_practically_equal() -> None:
    two = [each for each in trials() if each.seed < 2]
    moved = [replace(each, test_accuracy=(each.test_accuracy or 0) + 0.001) for each in two]
    found = by_layer(compare(frame(moved), frame(two), margin=1.0))
    assert {cell.outcome for cell in found.values()} == {Outcome.UNDECIDED}


def test_five_seeds_are_undecided_without_a_p() -> None:
    few = [each for each in trials(0.004) if each.seed < 5]
    found = by_layer(compare(frame(few), frame(trials())))["lrlc", "2"]
    assert (found.outcome, found.p, found.difference.n) == (Outcome.UNDECIDED, None, 5)


def test_other_seeds_are_compared_as_independent_samples() -> None:
    ours, theirs = frame(trials(0.004)), frame(trials())
    theirs["seed"] += 100
    found = by_layer(compare(ours, theirs))["lrlc", "2"]
    mine, other = (
        each[(each["kind"] == "lrlc") & (each["rank"] == 2)]["test_accuracy"] for each in (ours, theirs)
    )
    expected = stats.ttest_ind(100 * mine, 100 * other, equal_var=False).confidence_interval()
    assert found.how == "unpaired"
    assert (found.difference.low, found.difference.high) == pytest.approx(tuple(expected))


def test_published_means_with_and_without_a_spread(tmp_path: Path) -> None:
    path = tmp_path / "paper.csv"
    path.write_text(
        "dataset,kind,rank,placement,test_accuracy,sd,seeds\n"
        "mnist,conv,,,0.9,0.002,5\nmnist,lrlc,2,3,0.95,,\nmnist,lrlc,9,3,0.95,,\n"
    )
    rows = frame(trials())
    found = by_layer(compare(rows, read_csv(locate(path))))
    assert set(found) == {("conv", ""), ("lrlc", "2")}
    conv = 100 * rows[rows["kind"] == "conv"]["test_accuracy"]
    welch = stats.ttest_ind_from_stats(conv.mean(), conv.std(), 10, 90, 0.2, 5, equal_var=False)
    assert found["conv", ""].p == pytest.approx(welch.pvalue)  # the larger one, which Holm leaves
    ours = 100 * rows[(rows["kind"] == "lrlc") & (rows["rank"] == 2)]["test_accuracy"]
    interval = stats.ttest_1samp(ours, 95).confidence_interval()
    against = found["lrlc", "2"]
    assert against.how == "against one number"
    assert (against.difference.low, against.difference.high) == pytest.approx(
        (interval.low - 95, interval.high - 95)
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dataset,kind\nmnist,conv\n", "no column 'test_accuracy'"),
        (
            "dataset,kind,test_accuracy\nmnist,conv,98.5\n",
            "paper.csv, line 2: test_accuracy must be a number from 0",
        ),
        ("dataset,kind,test_accuracy\nmnist,conv,nan\n", "test_accuracy must be a number from 0 to 1"),
        ("dataset,kind,test_accuracy\nmnist,conv,0.9,9\n", "a row has more fields than the header"),
        ("dataset,kind,test_accuracy\n", "no rows below the header"),
        ("dataset,kind,test_accuracy,sd,seeds\nmnist,conv,0.9,-1,3\n", "line 2: sd must be a number"),
        ("dataset,kind,test_accuracy,sd\nmnist,conv,0.9,0.1\n", "line 2: an sd needs the number of seeds"),
        ("dataset,kind,test_accuracy,seeds\ncelebrities,conv,0.9,1\n", "no cell in common"),
        (
            "dataset,kind,test_accuracy,sd,seeds\nmnist,conv,0.9,0.1,\n",
            "line 2: an sd needs the number of seeds",
        ),
        ("dataset,kind,test_accuracy,seeds\nmnist,conv,0.9,2.5\n", "line 2: seeds must be a whole number"),
        ("dataset,kind,rank,test_accuracy\nmnist,lrlc,two,0.9\n", "line 2: rank must be a whole number"),
        (
            "dataset,kind,test_accuracy\nmnist,conv,0.9\nmnist,conv,0.8\n",
            "line 3: the cell stands in an earlier",
        ),
        (
            "dataset,kind,seed,test_accuracy\nmnist,conv,0,0.9\nmnist,conv,0,0.8\n",
            "line 3: this seed of the cell",
        ),
        ("dataset,kind,seed,test_accuracy\nmnist,conv,,0.9\n", "line 2: seed must be given, but is blank"),
        ("dataset,kind,test_accuracy\nmnist,conv,0.9\n\nmnist,lrlc,\n", "line 4: test_accuracy must be a"),
        ('dataset,kind,test_accuracy\nmnist,conv,"0,7"\n', "a number from 0 to 1, got 0,7"),
        ("dataset,kind,test_accuracy,sd,seeds\nmnist,conv,0.9,0.1,0\n", "seeds must be a whole number"),
        ("dataset,kind,test_accuracy,sd,seeds\nmnist,conv,0.9,inf,3\n", "sd must be a number"),
        ("dataset,kind,test_accuracy\nmnist,convv,0.9\n", "lrlc, wide_conv on mnist and convv on mnist"),
        ("dataset,kind,test_accuracy\ncelebrities,conv,0.98\n", "no cell in common"),
        ("", "not a readable CSV file"),
    ],
)
def test_a_set_that_cannot_be_compared_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "paper.csv").write_text(text)
    with pytest.raises(StoreError, match=said):
        compare(frame(trials()), read_csv(locate(tmp_path / "paper.csv")))


def test_cells_that_the_other_set_cannot_distinguish_are_refused(lrlc: Lrlc, tmp_path: Path) -> None:
    (tmp_path / "ours.csv").write_text(
        "dataset,kind,epochs,test_accuracy\nmnist,conv,1,0.8\nmnist,conv,2,0.9\n"
    )
    (tmp_path / "theirs.csv").write_text("dataset,kind,test_accuracy\nmnist,conv,0.9\n")
    assert "the other set lacks epochs" in lrlc("compare", "ours.csv", "theirs.csv", code=2).stderr


def test_a_set_without_finished_trials_is_said_to_have_none(lrlc: Lrlc, tmp_path: Path) -> None:
    Store(tmp_path / "runs/ended").commit([replace(trials()[0], status="failed", test_accuracy=None)])
    (line,) = lrlc("compare", "ended", "ended", code=2).stderr.splitlines()
    assert "the two sets have no finished trial and no finished trial" in line


def test_the_command_takes_stores_exports_and_published_numbers(lrlc: Lrlc, tmp_path: Path) -> None:
    for place, change in (("ours", 0.004), ("theirs", 0.0)):
        Store(tmp_path / place / "rank_vs_accuracy").commit(trials(change))
    exported = export_tables(Store(tmp_path / "theirs/rank_vs_accuracy"), tmp_path / "export")[0]
    told = lrlc("compare", "ours/rank_vs_accuracy", "theirs/rank_vs_accuracy").stdout
    assert "better (paired by seed)" in told
    same = lrlc("compare", "rank_vs_accuracy", exported, "--results", "theirs", "--json").stdout
    assert {cell["outcome"] for cell in json.loads(same)} == {"identical"}
    refused = lrlc("compare", "ours/rank_vs_accuracy", "nowhere", code=2).stderr
    assert "nowhere: neither a study's folder of tables" in refused
