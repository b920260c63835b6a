"""Output for papers: LaTeX tables that compile, with the best within noise in bold, and figures at a paper's width."""

import re
import shutil
import struct
from pathlib import Path

import pandas as pd
import pytest
from support.latex import compiled
from support.report_samples import judged, small_store
from support.results_samples import result

from lrlc.results.claims.cells import rank_of
from lrlc.results.errors import StoreError
from lrlc.results.figures import Selection, draw_all
from lrlc.results.figures.chosen_cells import with_cells
from lrlc.results.markup.latex import LatexTable, escaped, to_latex, unbroken
from lrlc.results.report import Format, write_report
from lrlc.results.report.paper import best
from lrlc.results.schema import to_tables
from lrlc.results.store import Store

NASTY = r"""50% & more_of $x^2 #1 {a} \b ~c <d> "e" |f| 16×16 ≤ −3"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return small_store(tmp_path_factory.mktemp("runs"))


def balanced(latex: str) -> bool:
    """Every environment and brace is closed in order, except escaped braces."""
    stack: list[str] = []
    for what, name in re.findall(r"\\(begin|end)\{(\w+\*?)\}", latex):
        if what == "begin":
            stack.append(name)
        elif not stack or stack.pop() != name:
            return False
    bare = re.sub(r"\\[{}\\]", "", latex)
    return not stack and bare.count("{") == bare.count("}")


def test_the_tables_compile_and_fit_the_page(store: Store, tmp_path: Path) -> None:
    out = write_report(store, tmp_path / "tables.tex", form=Format.LATEX, verdicts=judged())
    latex = out.read_text() + to_latex([LatexTable("n", NASTY, "l", ["x"], [[escaped(NASTY)]])], NASTY)
    assert balanced(latex)
    rows = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert len(rows) > 10
    assert not re.search(r"(?<!\\)[#_~]|[×≤−±]", "\n".join(rows))
    if shutil.which("pdflatex"):
        assert "Overfull" not in compiled(latex, tmp_path)


def test_a_table_has_a_line_for_each_layer_and_one_for_each_finding(store: Store, tmp_path: Path) -> None:
    latex = write_report(store, tmp_path / "t.tex", form=Format.LATEX, verdicts=judged()).read_text()
    accuracy, claims = latex.split(r"\begin{table*}")[1:]
    assert "Test accuracy on MNIST" in accuracy
    assert "Nothing is bold: a paired sign-flip test at 0.05 needs 6 seeds, and there are 3." in accuracy
    assert r"\textbf" not in accuracy
    assert accuracy.count("LRLC, fixed & ") == 3
    assert len(re.findall(r"convolution &  &  & 3 & \d\d\.\d\d \[\d\d\.\d\d, \d\d\.\d\d\] &", accuracy)) == 1
    findings = [finding for claim in judged() for finding in claim.findings]
    assert claims.count(r"\\") == len(findings) + 1
    assert (
        "C2 & MNIST & LRLC, fixed minus wide convolution & $-$0.31 [$-$0.48, $-$0.14] & 0.023 & contradicted"
        in claims
    )


def test_a_hyphenated_word_is_not_broken_in_a_narrow_column(tmp_path: Path) -> None:
    cell = unbroken(escaped("recipe cross-entropy, augment flip+crop"))
    assert cell == r"recipe \mbox{cross-entropy}, augment flip+crop"
    narrow = to_latex([LatexTable("n", "", [r"p{0.12\linewidth}"], ["training"], [[cell]])], "")
    if shutil.which("pdflatex"):
        assert "Overfull" not in compiled(narrow, tmp_path)


def finished(accuracies: list[float]) -> pd.DataFrame:
    """A cell's rows, with a seed for each accuracy."""
    rows = [result(str(seed), seed=seed, test_accuracy=value) for seed, value in enumerate(accuracies)]
    return to_tables(rows)["trials"].to_pandas()


def test_the_best_and_those_not_distinguishable_from_it_are_bold() -> None:
    luck = [0.00, 0.03, 0.01, 0.02, 0.05, 0.04]
    of_cells = {
        "best": [0.90 + shared for shared in luck],
        "alike": [0.90 + shared + (-1) ** seed * 0.001 - 0.0001 for seed, shared in enumerate(luck)],
        # Worse by less than seeds differ, but with every seed, so only a paired test can show it.
        "worse": [0.899 + shared for shared in luck],
        "short": [0.90, 0.93],
    }
    rows = [finished(accuracies) for accuracies in of_cells.values()]
    assert best(rows, 0.05) == {0, 1}
    assert best([part[:5] for part in rows], 0.05) == set()
    assert best([], 0.05) == set()


def test_figures_have_the_width_of_a_paper(store: Store, tmp_path: Path) -> None:
    for given, inches in (("column", 3.4), ("text", 7.0), ("4.5", 4.5)):
        drawn = draw_all(store, tmp_path / given, ["png", "pdf", "svg"], only=["pareto"], width=given)
        assert [path.suffix for path in drawn.paths] == [".png", ".pdf", ".svg"]
        (pixels,) = struct.unpack(">I", drawn.paths[0].read_bytes()[16:20])
        assert pixels == round(300 * inches)
        box = re.search(rb"/MediaBox\s*\[\s*0 0 ([\d.]+)", drawn.paths[1].read_bytes())
        assert box is not None
        assert float(box.group(1)) == pytest.approx(72 * inches, abs=0.1)
    for wrong in ("wide", "0.5", "nan"):
        with pytest.raises(
            StoreError, match=f"--width {wrong}: expected column, text or inches from 2 to 20"
        ):
            draw_all(store, tmp_path, ["png"], width=wrong)


@pytest.mark.parametrize(
    ("patterns", "ranks"),
    [
        (["kind=lrlc"], {1, 2, 4}),
        (["kind=lrlc,rank=2", "conv"], {2, None}),
        (["LRLC rank [24]*"], {2, 4}),
        (["train.ema=none,kind=lrlc", "optimizer=sgd,recipe=cross_entropy,kind=conv"], {1, 2, 4, None}),
        (["learning_rate=0.1,knd=lrlc"], None),
        ([], {1, 2, 4, None}),
    ],
)
def test_cells_are_chosen_by_name_or_by_setting(
    store: Store, patterns: list[str], ranks: set[int | None] | None
) -> None:
    whole = Selection.of(store, "smoke")
    if ranks is None:
        with pytest.raises(StoreError, match="unknown setting 'knd'; did you mean 'kind'"):
            with_cells(whole, patterns)
        return
    chosen = with_cells(whole, patterns)
    kept = chosen.trials[chosen.trials["kind"].isin(["lrlc", "conv"])]
    assert {rank_of(row) for row in kept.to_dict("records")} == ranks
    assert list(chosen.read_trials(["seed"]).columns) == ["seed"]


def test_missing_cells_are_refused_with_the_names_of_existing_ones(store: Store, tmp_path: Path) -> None:
    with pytest.raises(
        StoreError, match=r"--cells LRLC rank 9\*: no cell matches; there are .*LRLC rank 1, "
    ):
        draw_all(store, tmp_path, ["png"], cells=["LRLC rank 9*"])


@pytest.mark.parametrize(
    ("slip", "said"),
    [
        ("kind=cnv", r"did you mean kind=conv\?"),
        ("CNV", "there are CoordConv"),
        ("train.ema=0.9", "there are"),
    ],
)
def test_each_pattern_has_to_match_a_cell(store: Store, slip: str, said: str) -> None:
    with pytest.raises(StoreError, match=f"--cells {slip}: no cell matches; {said}"):
        assert len(with_cells(Selection.of(store, "smoke"), ["LRLC*", slip]).trials)
