"""The committed results: the docs tell their verdicts as the tables give them, and figures come back to the byte."""

from functools import cache
from pathlib import Path

import pytest

from lrlc.results.claims import Judged, judge
from lrlc.results.figures import draw_all
from lrlc.results.store import Store

pytestmark = pytest.mark.xdist_group("reference")  # what they share is made once

TOP = Path(__file__).parent.parent
REFERENCE = TOP / "results/reference"
CLAIMING = ("rank_vs_accuracy", "baselines", "alignment", "translated")
MOST_BYTES = 10_000_000
VERDICT = "supported|contradicted|undecided|out of regime"


@cache
def judged() -> list[Judged]:
    return [claim for study in CLAIMING for claim in judge(Store(REFERENCE / study))]


def stores() -> list[Store]:
    return [Store(folder) for folder in sorted(REFERENCE.iterdir()) if folder.is_dir()]


def test_each_claim_is_judged_on_each_data_set_it_speaks_of() -> None:
    where = {claim.name: {finding.where for finding in claim.findings} for claim in judged()}
    every = {"MNIST", "CIFAR-10", "UTKFace"}
    assert where.keys() == {"C1", "C2", "C3", "C4", "C5", "C6"}
    assert where["C1"] == where["C2"] == where["C6"] == every
    assert all(finding.effect is not None for claim in judged() for finding in claim.findings)


def test_the_findings_give_each_test_of_the_tables() -> None:
    lines = (TOP / "docs/findings.md").read_text().splitlines()
    for claim in judged():
        for finding in claim.findings:
            assert finding.effect is not None
            effect = f"{finding.effect.mean:+.2f} ({finding.effect.low:+.2f} to {finding.effect.high:+.2f})"
            begin = f"| {claim.name} | {finding.comparison} | {finding.where} | {effect}"
            (line,) = [line for line in lines if line.startswith(begin)]
            assert line.endswith(f"| {finding.verdict} |")


def test_a_figure_of_the_docs_comes_from_the_tables_to_the_byte(tmp_path: Path) -> None:
    name = "rank_vs_accuracy"
    draw_all(Store(REFERENCE / name), tmp_path, ["png"], only=[name])
    assert (tmp_path / f"{name}.png").read_bytes() == (TOP / f"docs/images/{name}/{name}.png").read_bytes()


def test_the_reference_is_small_and_shows_nobody() -> None:
    files = [path for path in REFERENCE.rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in files) < MOST_BYTES
    noted = [noted for store in stores() for noted in store.datasets().values()]
    assert all(len(each.examples) == 0 for each in noted if each.dataset.startswith("utkface"))


def test_rows_say_where_they_come_from() -> None:
    for store in stores():
        trials = store.trials(["git_commit", "git_dirty", "versions", "device", "status"])
        assert trials["git_commit"].str.fullmatch("[0-9a-f]{40}").all()
        assert not trials["git_dirty"].any()
        assert (trials["status"] == "finished").all()
