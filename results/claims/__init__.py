"""A study's claims, each judged from its rows: supported, contradicted or undecided, with the evidence.

`judge` reads them from the study as it was last run; which test does what is in `tests`, how error rates are kept in
`decide`. See docs/claims.md.
"""

from collections.abc import Sequence

import pandas as pd

from results.claims.asked import Asked, seed_order
from results.claims.cells import of_cells, seeds_name
from results.claims.decide import Case, decide
from results.claims.evidence import Maps
from results.claims.questions import Question, questions
from results.claims.verdicts import Finding, Judged, Verdict, overall
from results.statistics import CELL
from results.store import Store

__all__ = [
    "COLUMNS",
    "Asked",
    "Finding",
    "Judged",
    "Question",
    "Verdict",
    "findings",
    "judge",
    "judge_rows",
    "of_cells",
    "seed_order",
    "seeds_name",
]

COLUMNS = (
    "trial_id", "seed", "status", "dataset_name", *CELL, "test_accuracy", "validation_accuracy", "test_images",
    "parameters", "flops_per_image", "train_seconds", "peak_memory_bytes",
)  # fmt: skip


def judge(store: Store, profile: str | None = None) -> list[Judged]:
    """The claims of a profile's study (None: the one run last), in its order; none where it names none."""
    record = store.study(profile)
    if record is None or not record.study.get("claims"):
        return []
    return judge_rows(Asked.of(record.study), store.planned_trials(profile, COLUMNS), store.weights)


def judge_rows(asked: Asked, rows: pd.DataFrame, maps: Maps) -> list[Judged]:
    """A study's claims, from rows with COLUMNS."""
    by_name: dict[str, list[tuple[Question, Finding]]] = {}
    for question, finding in findings(asked, rows, maps):
        by_name.setdefault(question.claim.name, []).append((question, finding))
    return [_judged(name, found) for name, found in by_name.items()]


def findings(asked: Asked, rows: pd.DataFrame, maps: Maps) -> list[tuple[Question, Finding]]:
    """Every question of a study's claims and what was found."""
    cases = [Case(question, asked, maps) for question in questions(asked, rows)]
    found = decide(cases, asked.decision.alpha)
    return [(case.question, finding) for case, finding in zip(cases, found, strict=True)]


def _judged(name: str, found: Sequence[tuple[Question, Finding]]) -> Judged:
    says = " ".join(dict.fromkeys(question.claim.says for question, _ in found if question.claim.says))
    return Judged(name, says, overall([each.verdict for _, each in found]), tuple(each for _, each in found))
