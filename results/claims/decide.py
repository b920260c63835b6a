"""From evidence to verdicts, controlling error rates over all tests made together and over all looks at them.

Over all these tests, the probability of a wrong difference is at most alpha, and likewise that of a wrong
equivalence. At each look (a number of seeds set in advance), Holm's correction is applied to the p values of all
tests, each multiplied by its study's number of looks; one that lacks rows takes part with 1, and one that was decided
at an earlier look, or was out of regime there, with the p value it had then. (Until a true null is first rejected, its
current p value is in the correction, so rejection needs alpha / looks / nulls there.) The regime can only remove
decisions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from lrlc.results.claims.asked import Asked
from lrlc.results.claims.conditions import Condition, reason
from lrlc.results.claims.dispatch import evidence_of
from lrlc.results.claims.evidence import Evidence, PValues
from lrlc.results.claims.images import over_images
from lrlc.results.claims.longer import with_longer
from lrlc.results.claims.questions import Question
from lrlc.results.claims.regime import conditions
from lrlc.results.claims.settle import what_settles
from lrlc.results.claims.tables import Tables
from lrlc.results.claims.verdicts import Finding, Verdict
from lrlc.results.names import named_seeds
from lrlc.results.statistics.paired import holm
from lrlc.results.statistics.power import smallest_visible
from lrlc.studies.claims import BestRank, Claim, Cost
from lrlc.studies.lines import counted


@dataclass(frozen=True)
class Case:
    """A question, its study, and the study's tables."""

    question: Question
    asked: Asked
    tables: Tables

    @property
    def looks(self) -> list[int]:
        return self.asked.looks


@dataclass(frozen=True)
class _Looked:
    """A case at one look with `seeds` seeds; it is `complete` once all its cells have rows for them."""

    evidence: Evidence
    parts: tuple[pd.DataFrame, ...]
    seeds: int
    complete: bool
    verdict: Verdict = Verdict.UNDECIDED
    p: float | None = None
    note: str = ""
    regime: tuple[Condition, ...] = ()

    @property
    def is_final(self) -> bool:
        """No later look can change it."""
        return self.verdict != Verdict.UNDECIDED or not self.complete


def decide(cases: Sequence[Case], alpha: float) -> list[Finding]:
    """A finding for each case."""
    state: list[_Looked] = []
    for number in range(max((len(case.looks) for case in cases), default=0)):
        state = [_at(case, number, state[at] if state else None) for at, case in enumerate(cases)]
        state = _judged(cases, state, alpha)
    found = [
        _finding(case, looked, alpha / len(case.looks) / len(cases))
        for case, looked in zip(cases, state, strict=True)
    ]
    return with_longer(
        found, [(case.question, looked.evidence) for case, looked in zip(cases, state, strict=True)]
    )


def _at(case: Case, number: int, before: _Looked | None) -> _Looked:
    """The case at this look; unchanged if it is final or its study has no further look."""
    if before is not None and (before.is_final or number >= len(case.looks)):
        return before
    seeds = case.asked.seed_order[: case.looks[number]]
    question = case.question
    parts = question.of_seeds(seeds)
    evidence = evidence_of(question.claim, parts, case.tables.maps)
    return _Looked(evidence, parts, len(seeds), question.has_all(seeds))


def _judged(cases: Sequence[Case], state: Sequence[_Looked], alpha: float) -> list[_Looked]:
    """Apply Holm's correction over all tests, then give a verdict to those without one."""
    looks = [len(case.looks) for case in cases]
    p_values = [looked.evidence.p if looked.complete else PValues() for looked in state]
    different = holm([p.different * count for p, count in zip(p_values, looks, strict=True)])
    within = holm([p.within * count for p, count in zip(p_values, looks, strict=True)])
    corrected = zip(different, within, strict=True)
    return [
        _of_regime(case, _decided(case, looked, *p, alpha), looked)
        for case, looked, p in zip(cases, state, corrected, strict=True)
    ]


def _of_regime(case: Case, looked: _Looked, before: _Looked) -> _Looked:
    """The case with its regime's conditions; out of regime nothing is decided, regardless of the numbers."""
    if before.verdict != Verdict.UNDECIDED or not looked.complete or looked.evidence.effect is None:
        return looked
    found = conditions(case.question, case.asked, looked.evidence, looked.parts, case.tables)
    if all(condition.holds for condition in found):
        return replace(looked, regime=found)
    return replace(looked, verdict=Verdict.OUT_OF_REGIME, note=reason(found), regime=found)


def _decided(case: Case, looked: _Looked, different: float, within: float, alpha: float) -> _Looked:
    """The case with a verdict and its corrected p; no p if there are too few seeds."""
    claim, evidence = case.question.claim, looked.evidence
    is_open = looked.verdict == Verdict.UNDECIDED and looked.complete and not evidence.refused
    if not is_open or evidence.effect is None:
        return looked
    verdict, p = _verdict(claim, evidence, different, within, alpha)
    note = ""
    if verdict == Verdict.CONTRADICTED and within <= alpha:
        note = f"practically equal: within ±{claim.tolerance:.3g} {evidence.unit}"
    is_hopeless = evidence.p.smallest > alpha / len(case.looks)  # even if every other test is rejected first
    is_untested = is_hopeless and verdict == Verdict.UNDECIDED and claim.expects in ("higher", "lower")
    return replace(looked, verdict=verdict, p=None if evidence.is_counted or is_untested else p, note=note)


def _verdict(
    claim: Claim, evidence: Evidence, different: float, within: float, alpha: float
) -> tuple[Verdict, float]:
    """The verdict from the corrected p values and the claim's direction, and the p that decided.

    A difference within the margin does not count. For an undecided test, p is the one that came closest to deciding it.
    """
    if within <= alpha:
        supports = claim.expects in ("not_lower", "equal")
        return (Verdict.SUPPORTED if supports else Verdict.CONTRADICTED), within
    if different <= alpha:
        side = "higher" if evidence.p.above <= evidence.p.below else "lower"
        return (Verdict.SUPPORTED if claim.expects == side else Verdict.CONTRADICTED), different
    return Verdict.UNDECIDED, min(different, within)


def _finding(case: Case, looked: _Looked, level: float) -> Finding:
    """The finding of a case; `level` is one test's share of alpha."""
    question, evidence = case.question, looked.evidence
    claim = question.claim
    effect, note = evidence.effect, looked.note
    if looked.verdict == Verdict.UNDECIDED and not note:
        note = evidence.missing or evidence.refused or _open_note(case, looked, level)
    visible = None
    if effect is not None and effect.n > 1 and not isinstance(claim, BestRank | Cost):
        visible = smallest_visible(effect.sd, effect.n, level)
    return Finding(
        study=case.asked.study,
        where=question.where,
        comparison=evidence.comparison,
        claimed=_claimed(claim),
        chosen=evidence.chosen or None,
        verdict=looked.verdict,
        effect=effect,
        unit=evidence.unit,
        seeds=effect.n if effect is not None else 0,
        reporting=evidence.seeds,
        chose=evidence.chose,
        p=looked.p,
        margin=claim.tolerance or None,
        smallest_visible=visible,
        test_noise=evidence.test_noise,
        correlation=evidence.correlation,
        superiority=evidence.superiority,
        over_images=over_images(question.claim, evidence, case.tables.correct),
        regime=looked.regime,
        beside=evidence.beside,
        left_out=_left_out(case, looked),
        note=note,
    )


def _claimed(claim: Claim) -> str:
    """'below 0', 'at most 2 times': what is claimed of the effect; '' if that it is above 0."""
    if isinstance(claim, Cost):
        return f"at {'least' if claim.at_most is None else 'most'} {claim.bound:g} times"
    match claim.expects:
        case "higher":
            return ""
        case "lower":
            return "below 0"
        case "not_lower":
            return f"not below -{claim.tolerance:g}"
        case "equal":
            return f"within ±{claim.tolerance:g}"


def _left_out(case: Case, looked: _Looked) -> str:
    """The seeds at this look that have no part in the effect and did not choose."""
    if not looked.complete or looked.evidence.effect is None:
        return ""
    used = {*looked.evidence.seeds, *looked.evidence.chose}
    absent = [seed for seed in case.asked.seed_order[: looked.seeds] if seed not in used]
    if not absent:
        return ""
    return f"left out: {named_seeds(absent)}, of which not all trials have a result"


def _open_note(case: Case, looked: _Looked, level: float) -> str:
    """What an undecided case is waiting for."""
    if not looked.complete:
        return f"judged at {counted(looked.seeds, 'seed')}, of which rows are missing"
    said = what_settles(case.question.claim, looked.evidence, level, is_refused=looked.p is None)
    later = next((look for look in case.looks if look > looked.seeds), None)
    return f"{said}; the next look is at {later}" if later else said
