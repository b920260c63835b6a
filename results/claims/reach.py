"""Claims that no result could decide: without a length check, a side trained like the other, or enough seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from lrlc.results.claims.asked import Asked
from lrlc.results.claims.cells import CHOOSING_SEEDS, cells_name, of_cells
from lrlc.results.claims.questions import Question, questions
from lrlc.results.claims.tables import Tables
from lrlc.results.statistics import LAYER_SETTINGS
from lrlc.results.statistics.paired import FEWEST_FOR_EQUIVALENCE, seeds_for_sign_flip
from lrlc.studies.claims import Cost, Difference, Smooth
from lrlc.studies.lines import counted

MOST_LISTED = 4
"""Data sets or ways of training that a line names before it counts the others."""


@dataclass(frozen=True)
class OutOfReach:
    """A test of a claim that needs a side that is not planned, or more seeds than its last look has."""

    claim: str
    where: str
    seeds: int
    choosing: int
    """Those of the seeds that choose a cell and do not report."""
    needed: int
    """Total seeds with which it could be decided; 0 if none could."""
    is_impossible: bool
    """Whether it cannot be decided at all; otherwise it can once other tests are."""
    lacking: str = ""
    """The side, if any, with no trial that is trained like the other side's; then no number of seeds is enough."""

    def __str__(self) -> str:
        if self.lacking:
            return f"{self.claim} on {self.where} cannot be decided: no {self.lacking} is trained like the other side"
        by = counted(self.seeds, "seed") + (f" ({self.choosing} to choose a cell)" if self.choosing else "")
        if self.is_impossible:
            return f"{self.claim} on {self.where} cannot be decided with {by}; {self.needed} could decide it"
        return f"{self.claim} on {self.where} is decided with {by} only after other tests; {self.needed} could alone"


def out_of_reach(asked: Asked, rows: pd.DataFrame) -> list[OutOfReach]:
    """The undecidable tests of ours against theirs on a data set. `rows` are planned trials with their settings."""
    found = questions(asked, Tables.of_rows(rows))
    alpha = asked.decision.alpha / len(asked.looks)
    judged = [_judged(each, asked.looks[-1], alpha, len(found)) for each in found]
    return [each for each in judged if each is not None]


def without_length_check(asked: Asked) -> tuple[str, ...]:
    """A line if the regime asks for a length check that the study does not have."""
    needing = dict.fromkeys(claim.name for claim in asked.claims if not isinstance(claim, Smooth | Cost))
    if asked.length_check is not None or not asked.regime.length or not needing:
        return ()
    add = "add length_check: {seeds: 3}, or regime: any"
    return (f"{', '.join(needing)} will be out of regime, as the study has no length check: {add}",)


def as_lines(found: Iterable[OutOfReach]) -> tuple[str, ...]:
    """One line for all tests of a claim that lack the same thing."""
    places: dict[OutOfReach, list[str]] = {}
    for each in found:
        places.setdefault(replace(each, where=""), []).append(each.where)
    return tuple(str(replace(each, where=_listed(wheres))) for each, wheres in places.items())


def _listed(places: Sequence[str]) -> str:
    """'MNIST; CIFAR-10', with all but the first few counted; a place may contain commas."""
    places = list(dict.fromkeys(places))
    first, more = places[:MOST_LISTED], len(places) - MOST_LISTED
    return "; ".join(first) + (f"; and {more} more" if more > 0 else "")


def _judged(question: Question, seeds: int, alpha: float, tests: int) -> OutOfReach | None:
    claim = question.claim
    if not isinstance(claim, Difference) or claim.expects not in ("higher", "lower", "not_lower", "equal"):
        return None
    (rows,) = question.parts
    for cells in claim.sides.values():
        if of_cells(rows, cells).empty:
            return OutOfReach(claim.name, question.where, seeds, 0, 0, True, lacking=cells_name(cells))
    chooses = _chooses(question)
    choosing = min(CHOOSING_SEEDS, seeds // 2) if chooses else 0
    for level, is_impossible in ((alpha, True), (alpha / tests, False)):
        if seeds - choosing < (reporting := _fewest(claim, level)):
            needed = reporting + (CHOOSING_SEEDS if chooses else 0)
            return OutOfReach(claim.name, question.where, seeds, choosing, needed, is_impossible)
    return None


def _fewest(claim: Difference, level: float) -> int:
    """Reporting seeds needed for the claim's test to reach the level."""
    by_flips = seeds_for_sign_flip(level)
    return by_flips if claim.expects in ("higher", "lower") else min(by_flips, FEWEST_FOR_EQUIVALENCE)


def _chooses(question: Question) -> bool:
    """Whether a side has several cells, from which the first seeds choose one."""
    (rows,) = question.parts
    sides = [of_cells(rows, cells) for cells in question.claim.sides.values()]
    return any(len(side.groupby(list(LAYER_SETTINGS), dropna=False)) > 1 for side in sides)
