"""From evidence to verdicts, with error rates over all tests of a study and over all looks at it.

Over everything that a study claims, the chance of one wrong difference is at most alpha, and likewise that of one
wrong equivalence. At each look (a number of seeds set beforehand) Holm's correction runs over all tests at alpha /
looks; those that were decided at an earlier look take part with the p value they had then. (Until a true null is first
rejected it stands in the correction with its present p value, so that rejection needs alpha / looks / nulls there.)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from results.claims.evidence import TESTS, Claim, Evidence, Maps
from results.claims.questions import Question
from results.claims.verdicts import Finding, Verdict
from results.statistics import Summary
from results.statistics.paired import holm, seeds_for_sign_flip, seeds_to_see, smallest_visible


@dataclass(frozen=True)
class _Looked:
    """A question at one look, at so many `seeds`; it is `complete` once all its cells have rows for them."""

    evidence: Evidence
    seeds: int
    complete: bool
    verdict: Verdict = Verdict.UNDECIDED
    p: float | None = None
    note: str = ""

    @property
    def is_final(self) -> bool:
        """No later look changes it, or can be taken."""
        return self.verdict != Verdict.UNDECIDED or not self.complete


def decide(
    questions: Sequence[Question], seeds: Sequence[int], looks: Sequence[int], alpha: float, maps: Maps
) -> list[Finding]:
    """A finding for each question; `seeds` are in the order in which they are added, and go as far as the last look."""
    level = alpha / len(looks)
    state: list[_Looked] = []
    for look in looks:
        state = [
            state[position] if state and state[position].is_final else _look(question, seeds[:look], maps)
            for position, question in enumerate(questions)
        ]
        state = _judged(questions, state, level)
    share = level / len(questions)
    return [_finding(*each, share, looks) for each in zip(questions, state, strict=True)]


def _look(question: Question, seeds: Sequence[int], maps: Maps) -> _Looked:
    evidence = TESTS[question.claim["test"]](question.claim, question.of_seeds(seeds), maps)
    return _Looked(evidence, len(seeds), question.has_all(seeds))


def _judged(questions: Sequence[Question], state: Sequence[_Looked], level: float) -> list[_Looked]:
    """Holm's correction over all tests, then a verdict for those that have none yet."""
    different = holm([looked.evidence.p for looked in state])
    margins = [looked.evidence.p_margin for looked in state]
    within = holm([math.nan if p is None else p for p in margins])
    found = []
    for question, looked, p, p_margin in zip(questions, state, different, within, strict=True):
        if looked.verdict != Verdict.UNDECIDED or not looked.complete or looked.evidence.effect is None:
            found.append(looked)
            continue
        is_refused = looked.evidence.smallest_p > level / len(state)
        decided = _verdict(question.claim, looked.evidence, 1.0 if is_refused else p, p_margin, level)
        told = None if is_refused else p
        if _direction(question.claim) in ("not_lower", "equal"):
            told = p_margin
        note = _within_note(question.claim, decided, p_margin <= level)
        found.append(replace(looked, verdict=decided, p=told, note=note))
    return found


def _verdict(claim: Claim, evidence: Evidence, p: float, p_margin: float, level: float) -> Verdict:
    """What the corrected p values say of the claim's direction; a difference within the margin does not count."""
    direction, sign = _direction(claim), _sign(claim, evidence)
    is_different = p <= level and sign != 0
    is_within = evidence.p_margin is not None and p_margin <= level
    if direction == "not_lower":
        if is_within:
            return Verdict.SUPPORTED
        return Verdict.CONTRADICTED if is_different and sign < 0 else Verdict.UNDECIDED
    if direction == "equal":
        if is_within:
            return Verdict.SUPPORTED
        return Verdict.CONTRADICTED if is_different else Verdict.UNDECIDED
    if is_within:
        return Verdict.CONTRADICTED
    if not is_different:
        return Verdict.UNDECIDED
    return Verdict.SUPPORTED if (sign > 0) == (direction == "higher") else Verdict.CONTRADICTED


def _direction(claim: Claim) -> str:
    if claim["test"] == "cost":
        return "lower" if claim["at_most"] is not None else "higher"
    return str(claim.get("direction", "higher"))


def _sign(claim: Claim, evidence: Evidence) -> float:
    assert evidence.effect is not None
    if claim["test"] == "cost":
        bound = claim["at_most"] if claim["at_most"] is not None else claim["at_least"]
        distance = evidence.effect.mean - bound
        return (
            distance if distance else -1.0 if claim["at_most"] is not None else 1.0
        )  # the bound itself is allowed
    return evidence.effect.mean


def _within_note(claim: Claim, verdict: Verdict, is_within: bool) -> str:
    if verdict == Verdict.CONTRADICTED and is_within and claim.get("margin") is not None:
        return f"practically equal: within ±{claim['margin']:g} points"
    return ""


def _finding(question: Question, looked: _Looked, level: float, looks: Sequence[int]) -> Finding:
    evidence, claim = looked.evidence, question.claim
    effect = evidence.effect
    visible = None
    if effect is not None and effect.n > 1 and evidence.unit != "ranks" and claim["test"] != "cost":
        visible = smallest_visible(effect.sd, effect.n, level)
    return Finding(
        where=question.where,
        comparison=evidence.comparison,
        chosen=evidence.chosen or None,
        verdict=looked.verdict,
        effect=effect,
        unit=evidence.unit,
        seeds=effect.n if effect is not None else 0,
        p=looked.p,
        margin=claim.get("margin"),
        smallest_visible=visible,
        test_noise=evidence.test_noise,
        correlation=evidence.correlation,
        superiority=evidence.superiority,
        note=looked.note
        or (_settles(claim, looked, level, looks) if looked.verdict == Verdict.UNDECIDED else ""),
    )


def _settles(claim: Claim, looked: _Looked, level: float, looks: Sequence[int]) -> str:
    """What would settle it, for one test's share of the level."""
    evidence, effect = looked.evidence, looked.evidence.effect
    if effect is None:
        return evidence.missing
    if not looked.complete:
        return f"judged at {looked.seeds} seeds, of which rows are missing"
    needed = seeds_for_sign_flip(level)
    if looked.p is None:
        return (
            f"{effect.n} reporting seeds cannot show a difference (smallest possible p {evidence.smallest_p:.2g}, "
            f"needed {level:.2g}): {needed} could"
        )
    found = [
        count
        for count in (seeds_to_see(effect.mean, effect.sd, level), _to_fit(claim, effect, level))
        if count
    ]
    if not found or claim["test"] in ("best_rank", "cost"):
        return "more seeds may settle it"
    wanted = max(min(found), needed, effect.n + 1)
    later = next((look for look in looks if look > looked.seeds), None)
    now = f"; the next look is at {later}" if later else ""
    return f"about {wanted:,} reporting seeds would settle it, if the effect is as it looks{now}"


def _to_fit(claim: Claim, effect: Summary, level: float) -> int | None:
    """Seeds that would show the effect to lie within the margin, if it does."""
    margin = claim.get("margin")
    if margin is None:
        return None
    inside = margin + effect.mean if claim["direction"] == "not_lower" else margin - abs(effect.mean)
    return seeds_to_see(inside, effect.sd, 2 * level) if inside > 0 else None
