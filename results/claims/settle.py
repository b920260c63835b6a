"""How many seeds would settle an undecided test, if the effect is as estimated."""

from lrlc.results.claims.evidence import Evidence, no_difference
from lrlc.results.statistics import Summary
from lrlc.results.statistics.paired import FEWEST_FOR_EQUIVALENCE, seeds_for_sign_flip
from lrlc.results.statistics.power import MOST_SEEDS, seeds_to_see
from lrlc.studies.claims import BestRank, Claim, Cost
from lrlc.studies.lines import counted

IF = "if the effect is as estimated"


def what_settles(claim: Claim, evidence: Evidence, level: float, *, is_refused: bool) -> str:
    """The note for a test whose p must reach `level`; `is_refused` if no p of so few seeds could."""
    effect = evidence.effect
    assert effect is not None
    needed, seeds = seeds_for_sign_flip(level), counted(effect.n, "evaluation seed")
    if is_refused:
        return (
            f"{seeds} cannot show a difference (smallest possible p {evidence.p.smallest:.2g}, "
            f"needed {level:.2g}): {needed} could show one"
        )
    if evidence.p.smallest > level:
        return (
            f"{seeds} can give a p of {evidence.p.smallest:.2g} at best, but {level:.2g} is needed "
            f"while no other test is decided: {needed} could reach it"
        )
    if isinstance(claim, BestRank | Cost):
        return "more seeds may settle it"
    astride = _astride(claim, effect, evidence.unit)
    counts = [count for count in (_to_differ(claim, effect, level), _to_fit(claim, effect, level)) if count]
    if not counts:
        return f"{astride}more than {MOST_SEEDS:,} evaluation seeds would be needed, {IF}"
    return f"{astride}about {max(min(counts), effect.n + 1):,} evaluation seeds would settle it, {IF}"


def _astride(claim: Claim, effect: Summary, unit: str) -> str:
    """For an effect on the wrong side of 0, a note that it may still lie within the margin; else ''."""
    sign = {"higher": 1.0, "lower": -1.0}.get(claim.expects, 0.0)
    if not claim.tolerance or max(sign * effect.low, sign * effect.high) >= 0 or not sign:
        return ""
    side = "below" if sign > 0 else "above"
    return f"it lies {side} 0, but whether by more than the margin of {claim.tolerance:.3g} {unit} is open; "


def _to_differ(claim: Claim, effect: Summary, level: float) -> int | None:
    """Seeds that would show the effect to be a difference, if it is one."""
    low, high = no_difference(claim.expects, claim.tolerance)
    distance = effect.mean - high if effect.mean > high else low - effect.mean
    if distance <= 0 or (count := seeds_to_see(distance, effect.sd, level)) is None:
        return None
    return max(count, seeds_for_sign_flip(level))


def _to_fit(claim: Claim, effect: Summary, level: float) -> int | None:
    """Seeds that would show the effect to lie within the margin, if it does."""
    if not (margin := claim.tolerance):
        return None
    inside = margin + effect.mean if claim.expects == "not_lower" else margin - abs(effect.mean)
    count = seeds_to_see(inside, effect.sd, 2 * level) if inside > 0 else None
    return None if count is None else max(count, FEWEST_FOR_EQUIVALENCE)
