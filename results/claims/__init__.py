"""A study's claims, each judged from its rows: supported, contradicted or undecided, with the evidence.

`judge` reads them from the study as it was last run; which test does what is in `evidence`, how error rates are kept in
`decide`. See docs/claims.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from results.claims.cells import of_cells
from results.claims.decide import decide
from results.claims.evidence import Maps
from results.claims.questions import Question, questions
from results.claims.verdicts import Finding, Judged, Verdict, overall
from results.statistics import CELL
from results.store import Store

__all__ = [
    "COLUMNS",
    "Finding",
    "Judged",
    "Question",
    "Verdict",
    "findings",
    "judge",
    "judge_rows",
    "looks_of",
    "of_cells",
    "seed_order",
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
    return judge_rows(record.study, store.planned_trials(profile, COLUMNS), store.weights)


def judge_rows(study: Mapping[str, Any], rows: pd.DataFrame, maps: Maps) -> list[Judged]:
    """Claims of a study as study.json has it, from rows with COLUMNS."""
    by_name: dict[str, list[tuple[Question, Finding]]] = {}
    for question, finding in findings(study, rows, maps):
        by_name.setdefault(question.claim["name"], []).append((question, finding))
    return [_judged(name, found) for name, found in by_name.items()]


def findings(study: Mapping[str, Any], rows: pd.DataFrame, maps: Maps) -> list[tuple[Question, Finding]]:
    """Every question of a study's claims and what was found."""
    asked = questions(study, rows)
    if not asked:
        return []
    looks = looks_of(study)
    found = decide(asked, seed_order(study["seeds"], looks[-1]), looks, study["decision"]["alpha"], maps)
    return list(zip(asked, found, strict=True))


def looks_of(study: Mapping[str, Any]) -> list[int]:
    """The numbers of seeds at which a study's claims are judged."""
    return list(study["decision"]["looks"]) or [len(study["seeds"])]


def seed_order(seeds: Sequence[int], count: int) -> list[int]:
    """The study's seeds, then the next whole numbers, `count` of them."""
    more = range(max(seeds, default=-1) + 1, max(seeds, default=-1) + 1 + max(0, count - len(seeds)))
    return [*seeds, *more][:count]


def _judged(name: str, found: Sequence[tuple[Question, Finding]]) -> Judged:
    says = " ".join(dict.fromkeys(question.claim["says"] for question, _ in found if question.claim["says"]))
    return Judged(name, says, overall([each.verdict for _, each in found]), tuple(each for _, each in found))
