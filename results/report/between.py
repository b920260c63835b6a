"""Kinds compared: each against convolution, and against a wide convolution with as many parameters, claimed or not."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from lrlc.results.claims import Asked, Finding, Tables, Verdict, findings
from lrlc.results.claims.questions import questions
from lrlc.results.markup.content import Block, Bullets, Cell, Section, Text
from lrlc.results.names import KIND_NAMES
from lrlc.results.report.verdicts import evidence, how_to_read, notes_of, verdict_cell
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import binomial_sd
from lrlc.studies import Study
from lrlc.studies.claims import Cells, Decision, Difference

REFERENCE, MATCHED = "conv", "wide_conv"
OURS_TO_MATCH = ("lrlc", "lrlc_input_dependent")
HOW_TO_READ = (
    "Every kind of layer against convolution, and low-rank layers against a wide convolution with as many "
    "parameters, seed by seed, whether or not the study claims anything about them. If a kind has several cells "
    "(ranks, placements, options), the first three seeds choose one on validation and are left out of the result. "
    "Seeds, margins and the number of tests differ from those of the claims above, and so do p values and "
    "verdicts. Better or worse: by the exact "
    "sign-flip test, corrected over all lines of this table (Holm). Practically equal: shown to differ by less "
    "than the test set's own noise (two one-sided t tests), the margin here. Undecided: neither; what would "
    "settle it is given below. Out of regime: the networks are not trained well enough for a statement about "
    "trained networks; the reason is given below."
)


def compared(study: Study, tables: Tables) -> list[Finding]:
    """Findings of kind against kind; none for one seed, after a search, or if no kind is trained like a convolution."""
    if study.search or len(study.seeds) < 2 or tables.rows.empty:
        return []
    asked = _asked(study, tables.rows)
    trained_alike = [each.claim for each in questions(asked, tables) if each.has_sides]
    asked = replace(asked, claims=tuple(claim for claim in asked.claims if claim in trained_alike))
    return [each for _, each in findings([(asked, tables)])]


def section(told: Sequence[Finding], *, is_explained: bool) -> list[Section]:
    """One section, or none without findings; `is_explained` if the page already explains such tables."""
    if not told:
        return []
    table = evidence("Pairs of kinds", told, _outcome)
    open_ones = notes_of(
        [each for each in told if each.verdict in (Verdict.UNDECIDED, Verdict.OUT_OF_REGIME)]
    )
    blocks: list[Block] = [Text(HOW_TO_READ), table, *([Bullets(open_ones)] if open_ones else [])]
    explained = [] if is_explained else how_to_read([table])
    return [Section("Kinds compared", [*blocks, *explained])]


def _asked(study: Study, rows: pd.DataFrame) -> Asked:
    """The comparisons, at the first look's seeds, which every cell has; later looks only extend undecided claims."""
    asked = Asked.of(study)
    first_look = Decision(alpha=asked.decision.alpha, looks=asked.looks[:1])
    return replace(asked, claims=tuple(_claims(rows)), decision=first_look)


def _claims(rows: pd.DataFrame) -> Iterator[Difference]:
    """A difference for each kind on each data set, with the test set's noise as its margin."""
    finished = rows[rows["status"] == TrialStatus.FINISHED]
    for title, of_title in finished.groupby("dataset", sort=False):
        kinds = set(of_title["kind"])
        known = [kind for kind in KIND_NAMES if kind in kinds] + sorted(kinds - set(KIND_NAMES))
        shared: dict[str, Any] = {"name": "", "datasets": [str(title)], "margin": _noise(of_title)}
        for kind in known:
            ours = Cells(kind=kind, rank=_ranks(of_title, kind))
            if kind != REFERENCE and REFERENCE in kinds:
                yield Difference(ours=ours, theirs=Cells(kind=REFERENCE), **shared)
            if kind in OURS_TO_MATCH and (ranks := _ranks(of_title, MATCHED)):
                places = sorted(of_title.loc[of_title["kind"] == MATCHED, "placement"].unique())
                at_places = Cells(kind=kind, rank=ranks, placement=places)
                yield Difference(ours=at_places, theirs=Cells(kind=MATCHED), matched=True, **shared)


def _ranks(rows: pd.DataFrame, kind: str) -> list[int]:
    """A kind's ranks over 1, as rank 1 is equivalent to a convolution; none if it has no others."""
    return sorted({int(rank) for rank in rows.loc[rows["kind"] == kind, "rank"].dropna() if rank > 1})


def _noise(finished: pd.DataFrame) -> float | None:
    images = finished["test_images"].dropna()
    if images.empty:
        return None
    return 100 * binomial_sd(float(finished["test_accuracy"].mean()), int(images.iloc[0])) or None


def _outcome(finding: Finding) -> Cell:
    """The verdicts supported and contradicted, in terms of a comparison."""
    if finding.verdict == Verdict.SUPPORTED:
        return Cell("better", mark="supported")
    if finding.verdict == Verdict.CONTRADICTED:
        return Cell("practically equal", mark="equal") if finding.note else Cell("worse", mark="contradicted")
    return Cell(str(finding.verdict), mark=verdict_cell(finding.verdict).mark)
