"""A study's tables for a paper: its accuracies by data set, the best within noise in bold, and its verdicts."""

import math
from collections.abc import Sequence

import pandas as pd

from lrlc.results.claims import Judged
from lrlc.results.figures import Selection
from lrlc.results.figures.selection import panels
from lrlc.results.markup.latex import LatexTable, bold, escaped, to_latex, unbroken
from lrlc.results.names import dataset_name, kind_name, options_name
from lrlc.results.report.cell_tables import CellTable, TableLine, cell_tables
from lrlc.results.report.outcome import finished_of
from lrlc.results.report.text import count
from lrlc.results.statistics import Summary, paired_difference, possible, summarise
from lrlc.results.statistics.paired import seeds_for_sign_flip, sign_flip_p
from lrlc.results.store import Store
from lrlc.studies.claims import Decision

HEADS = (
    "layer",
    "rank",
    "places",
    "training",
    "seeds",
    r"test accuracy, \%",
    "minus convolution",
    "parameters",
    "FLOPs",
)
COLUMNS = ("l", "r", "l", r"p{0.12\linewidth}", "r", "l", "l", "r", "r")
ALWAYS = (0, 5)
"""Columns that are kept even if they are empty."""


def paper_tables(store: Store, profile: str | None, judged: Sequence[Judged]) -> str:
    """The tables of the rows of a profile's plan, as LaTeX; raises NothingToDraw if none has finished."""
    record = store.study(profile)
    decision = record.study.decision if record else Decision()
    name = record.study.name if record else store.root.name
    tables = [
        accuracies(table, name, decision.alpha)
        for table in cell_tables(panels(Selection.of(store, profile).trials))
    ]
    if findings := [claim for claim in judged if claim.findings]:
        tables.append(verdicts(findings, name))
    return to_latex(tables, f"Tables of the study {name}, written by lrlc report --format latex.")


def accuracies(table: CellTable, study: str, alpha: float) -> LatexTable:
    """A line for each cell that has finished; those not distinguishable from the best are bold (see `best`)."""
    found = [line for line in table.lines if len(finished_of(line.rows))]
    of_cells = [finished_of(line.rows) for line in found]
    marked = best(of_cells, alpha)
    lines = [_line(line, at in marked) for at, line in enumerate(found)]
    told = [at for at in range(len(HEADS)) if at in ALWAYS or any(line[at] for line in lines)]
    return LatexTable(
        f"{study}-{table.dataset}" + (f"-{table.detail}" if table.detail else ""),
        _caption(table, of_cells, alpha, bool(marked)),
        [COLUMNS[at] for at in told],
        [HEADS[at] for at in told],
        [[line[at] for at in told] for line in lines],
    )


def best(of_cells: Sequence[pd.DataFrame], alpha: float) -> set[int]:
    """Which cells have the highest mean test accuracy, or one that a paired test does not distinguish from it.

    The test is that of claims: the two-sided sign-flip test of differences with the same seed, at `alpha` for each
    cell. A cell that shares too few seeds with the best for the test to reach `alpha` is never marked, and if this
    applies to all other cells, none is marked.
    """
    by_seed = [rows.set_index("seed")["test_accuracy"] for rows in of_cells]
    top = max(range(len(by_seed)), key=lambda at: float(by_seed[at].mean()), default=None)
    if top is None:
        return set()
    behind = {at: (by_seed[top] - each).dropna() for at, each in enumerate(by_seed) if at != top}
    enough = seeds_for_sign_flip(alpha)
    tested = {at: differences for at, differences in behind.items() if len(differences) >= enough}
    alike = {at for at, differences in tested.items() if sign_flip_p(differences) > alpha}
    return {top, *alike} if tested else set()


def _caption(table: CellTable, of_cells: Sequence[pd.DataFrame], alpha: float, is_marked: bool) -> str:
    detail = f" ({table.detail})" if table.detail else ""
    alike = " and taken within one way of training" if any(line.training for line in table.lines) else ""
    means = (
        f"Test accuracy on {dataset_name(table.dataset)}{detail}: mean over seeds and its 95% Student t interval; "
        f"differences are paired by seed{alike}."
    )
    if is_marked:
        return (
            f"{means} Bold: the highest mean, and those that a two-sided sign-flip test of differences paired by seed "
            f"does not tell from it at {alpha:g}."
        )
    most = max((len(rows) for rows in of_cells), default=0)
    needed = seeds_for_sign_flip(alpha)
    there = f"there {'is' if most == 1 else 'are'} {most}"
    return f"{means} Nothing is bold: a paired sign-flip test at {alpha:g} needs {needed} seeds, and {there}."


def _line(line: TableLine, is_best: bool) -> list[str]:
    layer, rows = line.layer, finished_of(line.rows)
    rank = float(str(layer["rank"]))
    accuracy = summarise(rows["test_accuracy"]).scaled(100)
    difference = None
    if line.compared_with is not None:
        difference = paired_difference(rows, line.compared_with).scaled(100)
    return [
        escaped(kind_name(str(layer["kind"])) + _options(layer)),
        "" if math.isnan(rank) else f"{rank:.0f}",
        escaped(str(layer["placement"])),
        unbroken(escaped(line.training)),
        f"{accuracy.n}",
        _interval(accuracy, "z.2f", "%", is_best),
        _interval(difference, "+z.2f", "points"),
        escaped(count(rows["parameters"].max()).text),
        escaped(count(rows["flops_per_image"].max()).text),
    ]


def _options(layer: dict[str, object]) -> str:
    """', share rows' for a layer with non-default options."""
    said = options_name(str(layer["options"]))
    return f", {said}" if said else ""


def _interval(summary: Summary | None, form: str, unit: str, is_best: bool = False) -> str:
    """'98.64 [98.57, 98.71]', with a bold mean if it is the best; no interval for one seed."""
    if summary is None or not summary.n:
        return ""
    cut = possible(summary, unit)
    mean, low, high = (
        escaped(f"{value:{form}}".replace("-", "−")) for value in (summary.mean, cut.low, cut.high)
    )
    said = bold(mean) if is_best else mean
    return said if math.isnan(summary.low) else f"{said} [{low}, {high}]"


def verdicts(judged: Sequence[Judged], study: str) -> LatexTable:
    """A line for each finding of each claim."""
    rows = [
        [
            escaped(claim.name),
            escaped(finding.where),
            unbroken(escaped(finding.statement)),
            _interval(finding.effect, "+z.2f" if finding.unit == "points" else "+z.3g", finding.unit),
            "" if finding.p is None or math.isnan(finding.p) else escaped(f"{finding.p:.2g}"),
            escaped(str(finding.verdict)),
        ]
        for claim in judged
        for finding in claim.findings
    ]
    caption = (
        "The study's claims. Effects are means over seeds, ours minus theirs with the same seed, with 95% Student t "
        "intervals, in points of accuracy unless they say otherwise; p is corrected for the number of comparisons "
        "(Holm)."
    )
    columns = ("l", r"p{0.17\linewidth}", r"p{0.26\linewidth}", "l", "r", "l")
    return LatexTable(f"{study}-claims", caption, columns, _CLAIM_HEADS, rows)


_CLAIM_HEADS = ("claim", "data", "comparison", "effect", "$p$", "verdict")
