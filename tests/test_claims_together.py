"""Claims of several studies at once: one correction over all their tests, one verdict per data set."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from statsmodels.stats.multitest import multipletests
from support.claims_samples import CONV, described, runs, table

from lrlc.harness.named_store import siblings, stores_of_each_study
from lrlc.results.claims import Asked, Tables, Verdict, as_lines, findings, judge_tables, out_of_reach
from lrlc.results.report.between import compared
from lrlc.results.schema import VERSION_KEY
from lrlc.results.statistics.paired import sign_flip_p
from lrlc.results.store import Store
from lrlc.studies import recorded_study

Lrlc = Callable[..., subprocess.CompletedProcess[str]]
REFERENCE = Path(__file__).parent.parent / "results/reference"


def study(name: str, gains: dict[str, float], seeds: int = 10, **settings: object) -> tuple[Asked, Tables]:
    """A study that claims C1: LRLC gains `gain` points over convolution on each of its data sets."""
    accuracies = {}
    for at, (dataset, gain) in enumerate(gains.items()):
        conv = runs(90, seeds, seed=at)
        accuracies[dataset, "conv", None] = conv
        accuracies[dataset, "lrlc", 4] = conv + gain + runs(0, seeds, 0.4, at + 50)
    claim = {"name": "C1", "test": "difference", "ours": {"kind": "lrlc"}, "theirs": CONV}
    datasets = [{"name": dataset} for dataset in gains]
    told = described(claim, name=name, seeds=seeds, datasets=datasets, regime="any", **settings)
    return Asked.of(recorded_study(told)), Tables.of_rows(table(accuracies))


def test_tests_of_several_studies_share_one_correction() -> None:
    studies = [study("a", {"mnist": 0.35, "cifar10": 0.3}), study("b", {"utkface": 0.33})]
    alone = [
        finding
        for asked, tables in studies
        for claim in judge_tables(asked, tables)
        for finding in claim.findings
    ]
    together = [finding for _, finding in findings(studies)]
    raw = []
    for _, tables in studies:
        for _, rows in tables.rows.groupby("dataset", sort=False):
            by_kind = [
                rows[rows["kind"] == kind].set_index("seed")["test_accuracy"] for kind in ("lrlc", "conv")
            ]
            raw.append(sign_flip_p(100 * np.asarray(by_kind[0] - by_kind[1])))
    assert [finding.p for finding in together] == pytest.approx(multipletests(raw, method="holm")[1])
    assert [finding.study for finding in together] == ["a", "a", "b"]
    assert all((joint.p or 0) >= (own.p or 0) for joint, own in zip(together, alone, strict=True))


def test_a_study_with_looks_pays_for_them_and_another_does_not() -> None:
    plain, looking = study("a", {"mnist": 0.5}), study("b", {"utkface": 0.5}, seeds=10, looks=(9, 10))
    ((own,),) = (claim.findings for claim in judge_tables(*looking))
    (one,) = (found for _, found in findings([looking]))
    assert one.p == own.p
    both = [found for _, found in findings([plain, looking])]
    assert [found.verdict for found in both] == [Verdict.SUPPORTED, Verdict.SUPPORTED]


def test_the_talk_s_table_is_printed_for_a_results_folder(lrlc: Lrlc) -> None:
    said = lrlc("claims", "--results", REFERENCE).stdout
    head, _, rest = said.partition("\n\n")
    assert (
        head == "Holm's correction over all 26 tests of trained_16px, longer_16px, shifted_16px, smooth_16px"
    )
    told = rest.partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in told if line[0] == "C"] == ["C1", "C2", "C3", "C4", "C5", "C6"]
    assert told[0].split() == ["C1", "MNIST", "14×14", "supported"]
    assert told[1].split() == ["CIFAR-10", "16×16", "supported"]
    assert told[-1] == "not claimed here: C7"
    claims = json.loads(lrlc("claims", "--results", REFERENCE, "--json").stdout)
    assert claims[0]["by_dataset"].keys() == {"MNIST 14×14", "CIFAR-10 16×16", "UTKFace 16×16"}
    assert {each["comparison"] for each in claims[0]["findings"]} == {"LRLC (rank 4, layer 3) minus conv"}
    assert [(each["where"][:5], each["study"]) for each in claims[0]["findings"]] == [
        ("MNIST", "trained_16px"),
        ("CIFAR", "trained_16px"),
        ("CIFAR", "longer_16px"),
        ("UTKFa", "trained_16px"),
    ]
    two = json.loads(lrlc("claims", "smooth_16px", "shifted_16px", "--results", REFERENCE, "--json").stdout)
    assert [claim["name"] for claim in two] == ["C5", "C6"]
    assert {finding["study"] for claim in two for finding in claim["findings"]} == {
        "shifted_16px",
        "smooth_16px",
    }


def test_a_study_named_twice_counts_once(lrlc: Lrlc) -> None:
    once = lrlc("claims", "smooth_16px", "--results", REFERENCE).stdout
    assert lrlc("claims", "smooth_16px", "smooth_16px", "--results", REFERENCE).stdout == once


def test_claims_of_an_unknown_profile_or_a_damaged_study_are_refused(lrlc: Lrlc, tmp_path: Path) -> None:
    shutil.copytree(REFERENCE / "smooth_16px", tmp_path / "runs/smooth_16px")
    assert "no plan of profile 'nope'" in lrlc("claims", "smooth_16px", "--profile", "nope", code=2).stderr
    (tmp_path / "runs/smooth_16px/study.json").write_text("{")
    assert "no record of the study here" in lrlc("claims", "smooth_16px", code=2).stderr


def test_a_folder_without_studies_is_refused_in_one_line(lrlc: Lrlc, tmp_path: Path) -> None:
    (line,) = lrlc("claims", "--results", tmp_path, code=2).stderr.splitlines()
    assert line.endswith("no results of any study there; `lrlc run` creates them")


def test_suggestions_of_a_search_add_no_tests_to_a_claim_about_the_grid() -> None:
    """Each suggested rate is a separate way of training, with one seed and one of the two kinds."""
    asked, tables = study("a", {"mnist": 0.5})
    (alone,) = judge_tables(asked, tables)
    assert alone.verdict is Verdict.SUPPORTED
    rates = {"search_number": range(6), "learning_rate": [0.01 * (n + 1) for n in range(6)]}
    suggested = tables.rows[tables.rows["seed"] == 0].iloc[[0, 1, 0, 1, 0, 1]].assign(**rates)
    of_ranks = tables.rows[tables.rows["seed"] == 0].iloc[[1]].assign(search_number=6, rank=7)
    for more in (suggested, of_ranks):
        rows = pd.concat([tables.rows, more], ignore_index=True)
        (judged,) = judge_tables(asked, Tables.of_rows(rows))
        assert (judged.verdict, len(judged.findings)) == (alone.verdict, len(alone.findings))
        assert judged.findings[0].p == alone.findings[0].p
    (only_searched,) = judge_tables(asked, Tables.of_rows(suggested))
    assert only_searched.verdict is Verdict.UNDECIDED


def with_a_side_alone(tables: Tables, *smoothings: float) -> Tables:
    """The tables with convolution also trained in other ways, but not LRLC."""
    rows = tables.rows.assign(label_smoothing=np.nan)
    conv = rows[rows["kind"] == "conv"]
    more = [conv.assign(label_smoothing=each, trial_id=conv["trial_id"] + str(each)) for each in smoothings]
    return Tables.of_rows(pd.concat([rows, *more], ignore_index=True))


def test_a_way_of_training_without_the_other_side_is_not_tested() -> None:
    asked, tables = study("a", {"mnist": 0.4}, seeds=8)
    more = with_a_side_alone(tables, 0.1, 0.2)
    ((own,),), ((found,),) = (
        [claim.findings for claim in judge_tables(asked, each)] for each in (tables, more)
    )
    assert own.p is not None
    assert (found.p, found.verdict, found.effect) == (own.p, own.verdict, own.effect)
    unfinished = replace(more, rows=more.rows[more.rows["seed"] < 3], is_whole=False)
    ((*awaited,),) = (claim.findings for claim in judge_tables(asked, unfinished))
    assert len(awaited) == 3, "until the plan has its rows, the other side may come"
    extended = replace(more, is_whole=False)
    ((*later,),) = (claim.findings for claim in judge_tables(asked, extended))
    assert len(later) == 1, "with rows of every seed of the first look, it comes no more"


def test_sides_without_a_common_way_of_training_give_one_undecided_test() -> None:
    asked, tables = study("a", {"mnist": 0.4}, seeds=8)
    apart = with_a_side_alone(tables, 0.1, 0.2).rows
    apart = apart[(apart["kind"] == "lrlc") | apart["label_smoothing"].notna()]
    ((found,),) = (claim.findings for claim in judge_tables(asked, Tables.of_rows(apart)))
    assert (found.verdict, found.effect) == (Verdict.UNDECIDED, None)
    assert found.note.startswith("no finished trial of")


def test_the_plan_and_the_report_compare_only_what_is_trained_alike() -> None:
    told = described({"test": "difference", "ours": {"kind": "lrlc"}, "theirs": CONV}, seeds=5)
    asked = recorded_study({**told, "regime": "any"})
    _, tables = study("a", {"mnist": 0.4}, seeds=5)
    more = with_a_side_alone(tables, 0.1, 0.2)
    alone, together = (out_of_reach(Asked.of(asked), each.rows) for each in (tables, more))
    assert [each.where for each in together] == ["MNIST, label smoothing 0"]
    assert together == [replace(each, where="MNIST, label smoothing 0") for each in alone]
    assert [each.where for each in compared(asked, more)] == ["MNIST, label smoothing 0"]
    coord = more.rows[more.rows["label_smoothing"] == 0.1].assign(kind="coord_conv", label_smoothing=0.3)
    plain = tables.rows.assign(label_smoothing=np.nan)
    apart = Tables.of_rows(pd.concat([plain, coord.assign(trial_id=coord["trial_id"] + "c")]))
    assert len(compared(asked, apart)) == 1


def test_the_plan_says_that_no_number_of_seeds_decides_between_sides_trained_apart() -> None:
    asked, tables = study("a", {"mnist": 0.4}, seeds=8)
    apart = with_a_side_alone(tables, 0.1, 0.2).rows
    apart = apart[(apart["kind"] == "lrlc") | apart["label_smoothing"].notna()]
    (line,) = as_lines(out_of_reach(asked, apart))
    assert line.startswith("C1 on MNIST")
    assert line.endswith("cannot be decided: no conv is trained like the other side")


def test_the_plan_says_once_what_several_tests_of_a_claim_lack() -> None:
    asked, tables = study("a", {"mnist": 0.4}, seeds=5)
    ways = [tables.rows.assign(label_smoothing=number / 10) for number in range(6)]
    (line,) = as_lines(out_of_reach(asked, pd.concat(ways)))
    assert line.startswith("C1 on MNIST, label smoothing 0; MNIST, label smoothing 0.1; ")
    assert line.endswith("label smoothing 0.3; and 2 more cannot be decided with 5 seeds; 6 could decide it")


def test_other_studies_bear_on_a_report_but_copies_and_unreadable_ones_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copies = (
        ("smooth_16px", "backup"),
        ("smooth_16px", "smooth_16px"),
        ("peers", "copy"),
        ("peers", "peers"),
    )
    for name, copy in copies:
        shutil.copytree(REFERENCE / name, tmp_path / copy)
    shutil.copytree(REFERENCE / "longer_16px", tmp_path / "later")
    part = next((tmp_path / "later/trials").glob("*.parquet"))
    table = pq.read_table(part)
    pq.write_table(table.replace_schema_metadata({VERSION_KEY: b"99"}), part)
    own = Store(tmp_path / "smooth_16px")
    assert [each.root.name for each in siblings(own, None)] == ["peers"]
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"{tmp_path}/later is left out: ")
    assert "version 99" in said
    assert siblings(own, "cpu") == [], "nothing was run with this profile"


def test_a_test_that_lacks_rows_eases_no_other_ones_correction() -> None:
    asked, tables = study("a", {"mnist": 0.28, "cifar10": 3.0}, seeds=10)
    rows = tables.rows
    by_kind = rows[rows["dataset"] == "mnist"].pivot(index="seed", columns="kind", values="test_accuracy")
    raw = sign_flip_p(100 * np.asarray(by_kind["lrlc"] - by_kind["conv"]))
    near, _ = (finding.p for _, finding in findings([(asked, tables)]))
    assert near == pytest.approx(raw), "after the other one, which is rejected first"
    of_last = (rows["dataset"] == "cifar10") & (rows["kind"] == "conv") & (rows["seed"] == 9)
    lacking = replace(tables, rows=rows[~of_last])
    near, far = (finding.p for _, finding in findings([(asked, lacking)]))
    assert near == pytest.approx(2 * raw)
    assert far is None


def test_a_copied_study_counts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, copy in (("smooth_16px", "backup"), ("smooth_16px", "smooth_16px"), ("peers", "renamed")):
        shutil.copytree(REFERENCE / name, tmp_path / copy)
    kept = stores_of_each_study(str(tmp_path), None)
    assert [each.root.name for each in kept] == ["smooth_16px", "renamed"]
    assert capsys.readouterr().err == (
        f"{tmp_path}/backup is left out: {tmp_path}/smooth_16px has the study smooth_16px too\n"
    )
