"""Verdicts: each claim with its statement and verdict, then a line for each test."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from lrlc.results.claims import TALK, Finding, Judged
from lrlc.results.markup.content import Block, Bullets, Cell, Column, Definitions, Section, Table, Text
from lrlc.results.names import named_seeds, seeds_name
from lrlc.results.report.text import chance, estimate, number, words
from lrlc.results.statistics import Summary, possible

SYMBOLS = {"supported": "✓", "contradicted": "✗", "undecided": "?", "out of regime": "–"}
MARKS = {"out of regime": "regime"}
"""Styles of cells whose names differ from the verdict's."""
CLAIMS = (Column("claim"), Column("verdict"), Column("statement", "long"), Column("its tests", "long"))
HOW_THEY_ARE_DECIDED = (
    "A test that one layer beats another is supported if its effect is shown to be above 0, however small it is. It is "
    "contradicted if the effect is shown to be below 0 by more than the margin, or to lie within the margin; a smaller "
    "loss leaves it undecided. Tests of other statements say what is claimed. Some tests are out of regime (see "
    "Regime). A claim is contradicted if one of its tests is, supported or out of regime if all are, "
    "and undecided otherwise."
)
OF_THE_TALK = (
    f"{TALK[0]} to {TALK[-1]} are statements of a talk about Elsayed, Ramachandran, Shlens and Kornblith, Revisiting "
    "Spatial Invariance with Low-Rank Local Connectivity, ICML 2020 (arXiv 2002.02959)."
)
TRAINED_LONGER = (
    "Comparisons that were trained for too few epochs here, and for longer in another study of the results folder. The "
    "verdict of the longer training counts. It is corrected over the tests of all these studies, as by lrlc claims:"
)
HOW_TO_READ = {
    "chosen": "of several ranks or places, the one that the first seeds chose on validation; the result is over the "
    "other seeds",
    "effect": "its mean over seeds, with Student's t interval: for new seeds, on these test images",
    "new images too": "the 95% interval for new seeds and new test images: all seeds share these images, so more seeds "
    "cannot make it arbitrarily narrow",
    "seeds": "the evaluation seeds: how many the result is over, and which",
    "p": "of the test that decided, or came closest (two-sided if it is of a difference), corrected for the number of "
    "comparisons (Holm) and of interim looks; none where so few seeds could not have reached the study's level, or "
    "where no test was needed",
    "margin": "differences within it do not matter in practice; support does not require more than the margin",
    "detectable": "the smallest true effect that this number of seeds detects with 80% power",
    "test noise": "the effect of the choice of test images on an accuracy, as a standard deviation; more seeds do not "
    "reduce it",
    "P(better)": "the chance that the layer named first wins with the same seed",
    "r": "the correlation of the two over seeds: the higher, the more is gained by pairing them",
}


def sections(judged: Sequence[Judged], longer: Sequence[str] = ()) -> list[Section]:
    """The one section, or none if the study makes no claims; `longer` are lines of other studies' longer training."""
    if not judged:
        return []
    lines = [
        [words(claim.name), verdict_cell(claim.verdict), words(claim.says), words(_endings(claim))]
        for claim in judged
    ]
    blocks: list[Block] = [Table("Claims", CLAIMS, lines, HOW_THEY_ARE_DECIDED)]
    if any(claim.name in TALK for claim in judged):
        blocks.append(Text(OF_THE_TALK))
    if longer:
        blocks += [Text(TRAINED_LONGER), Bullets(longer)]
    for claim in judged:
        if claim.findings:
            blocks.append(evidence(f"Evidence for {claim.name}", claim.findings, _ending))
        if notes := notes_of(claim.findings):
            blocks.append(Bullets(notes))
    return [
        Section("Verdicts", [*blocks, *how_to_read([each for each in blocks if isinstance(each, Table)])])
    ]


def _endings(claim: Judged) -> str:
    """'2 supported, 1 undecided'."""
    counts = Counter(str(finding.verdict) for finding in claim.findings)
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def how_to_read(tables: Sequence[Table]) -> list[Block]:
    """The meaning of the columns of such tables."""
    names = [column.name for table in tables for column in table.columns]
    told = {term: text for term, text in HOW_TO_READ.items() if any(name.startswith(term) for name in names)}
    return [Text("How to read the evidence:"), Definitions(told)] if told else []


def notes_of(findings: Sequence[Finding]) -> list[str]:
    """'MNIST, CIFAR-10; LRLC minus conv: ...': notes shared by several data sets are combined."""
    places: dict[tuple[str, str], list[str]] = {}
    for one in findings:
        for note in one.remarks:
            places.setdefault((one.comparison, note), []).append(one.where)
    return [f"{', '.join(where)}; {comparison}: {note}" for (comparison, note), where in places.items()]


def verdict_cell(verdict: str) -> Cell:
    """A verdict's cell, distinguished by symbol, word and colour."""
    return Cell(f"{SYMBOLS[verdict]} {verdict}", mark=MARKS.get(verdict, str(verdict)))


def _ending(finding: Finding) -> Cell:
    return verdict_cell(finding.verdict)


def evidence(caption: str, findings: Sequence[Finding], ending: Callable[[Finding], Cell]) -> Table:
    """A line for each finding; empty columns are left out."""
    units = {finding.unit for finding in findings}
    unit = "".join(f", {unit}" for unit in units if unit) if len(units) == 1 else ""
    columns = (
        Column("verdict"),
        Column("where"),
        Column(f"effect{unit} (95% interval)", "estimates"),  # early, so that a phone shows it
        Column("unit"),
        Column("comparison", "long"),
        Column("chosen"),
        Column("new images too", "estimates"),
        Column("seeds", "numbers"),
        Column("p", "numbers"),
        Column("margin", "numbers"),
        Column("detectable", "numbers"),
        Column("test noise", "numbers"),
        Column("P(better)", "numbers"),
        Column("r", "numbers"),
    )
    lines = [[ending(one), *_line(one, "" if len(units) == 1 else one.unit)] for one in findings]
    told = [at for at in range(len(columns)) if any(line[at].text for line in lines)]
    rows = [[line[at] for at in told] for line in lines]
    return Table(caption, [columns[at] for at in told], rows)


def _interval(summary: Summary | None, form: str, unit: str) -> Cell:
    """'+0.12 to +0.72', sorted by its midpoint."""
    if summary is None or math.isnan(summary.low):
        return Cell("")
    cut = possible(summary, unit)
    low, high = number(cut.low, form), number(cut.high, form)
    return Cell(f"{low.text} to {high.text}", summary.mean)


def _chosen(finding: Finding) -> str:
    """'LRLC rank 4, by seeds 0 to 2'."""
    by = f", by {named_seeds(finding.chose)}" if finding.chose else ""
    return f"{finding.chosen}{by}" if finding.chosen else ""


def _seeds(finding: Finding) -> Cell:
    """'6 (3 to 8)': how many evaluation seeds, and which."""
    named = seeds_name(finding.reporting)
    return Cell(f"{finding.seeds} ({named})" if named else str(finding.seeds), finding.seeds)


def _line(finding: Finding, named: str) -> list[Cell]:
    """The cells of a test; `named` is the unit if the headers do not name it."""
    form = "z.2f" if finding.unit == "points" else "z.3g"
    return [
        words(finding.where),
        estimate(finding.effect, f"+{form}", finding.unit),
        words(named),
        words(finding.statement),
        words(_chosen(finding)),
        _interval(finding.over_images, f"+{form}", finding.unit),
        _seeds(finding),
        chance(finding.p),
        number(finding.margin, form),
        number(finding.smallest_visible, form),
        number(finding.test_noise, form),
        number(finding.superiority, ".2f"),
        number(finding.correlation, ".2f"),
    ]
