"""Conditions of a comparison's regime, with their numbers, and one-line messages for unmet ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lrlc.results.statistics import Summary, digits, possible

DIVERGED, LINEAR, LENGTH, POSITIONS, IMAGES = (
    "no seed diverged",
    "beats a linear classifier",
    "same effect with fewer epochs",
    "weights vary over positions",
    "weights vary over images",
)
"""The conditions, as reports name them."""


@dataclass(frozen=True)
class Condition:
    """One condition, for one layer on one data set or (LENGTH) for the effect."""

    name: str
    where: str
    """'UTKFace', or, for an effect between two data sets, 'UTKFace against CIFAR-10'."""
    what: str
    """'LRLC rank 4, layer 3'; for LENGTH the comparison."""
    number: float | None
    """Diverged seeds, mean test accuracy in percent, change of the effect in its unit, or mean standard deviation of
    weights."""
    needed: float | None
    """What the number must exceed (LINEAR), reach (POSITIONS, IMAGES), stay below (LENGTH) or not exceed (DIVERGED)."""
    unit: str
    holds: bool
    missing: str = ""
    """Why there is no number to compare; '' if there is one."""
    detail: str = ""
    """For LENGTH the two effects that differ: '+0.8 with 24 epochs, -1.5 with 12 (3 seeds)'; for DIVERGED the seeds."""
    over_seeds: Summary | None = None
    """For LENGTH the number with its 95% interval over the length check's seeds."""


def reason(conditions: Sequence[Condition]) -> str:
    """One line on unmet conditions; '' if all are met."""
    failing = [each for each in conditions if not each.holds]
    missing: dict[str, list[str]] = {}
    groups: dict[tuple[str, str], list[Condition]] = {}
    for each in failing:
        if each.missing:
            missing.setdefault(each.missing, []).append(each.where)
        else:
            groups.setdefault((each.name, each.where), []).append(each)
    said = [_failed(group) for group in groups.values()]
    return "; ".join([*said, *(text.format(_listed(where)) for text, where in missing.items())])


def _failed(group: Sequence[Condition]) -> str:
    first = group[0]
    needed = first.needed or 0.0
    if first.name == LENGTH:
        return (
            f"training with fewer epochs changes the effect by {_measured(first)} {first.unit}, "
            f"which must be less than {needed:{digits(first.unit)}}: {first.detail}"
        )
    if first.name == DIVERGED:
        listed = _listed([f"{each.what} with {each.detail}" for each in group])
        return f"on {first.where} {listed} diverged, and the others are not a fair sample"
    if first.name == LINEAR:
        listed = _listed([f"{each.what} ({each.number:.1f}%)" for each in group])
        return f"on {first.where} {listed} {_verb(group, 'does', 'do')} not beat a linear classifier ({needed:.1f}%)"
    listed = _listed([f"{each.what} ({each.number:.3f})" for each in group])
    over = "positions" if first.name == POSITIONS else "images"
    return f"on {first.where} the weights of {listed} hardly vary over {over} (needed {needed:g})"


def _measured(condition: Condition) -> str:
    """'2.25 (0.41 to 4.09)'; without an interval if there is one seed, or if the effect is not a mean over seeds."""
    form, change = digits(condition.unit), condition.over_seeds
    number = f"{condition.number:{form}}"
    if change is None or math.isnan(change.low):
        return number
    cut = possible(change, condition.unit)
    return f"{number} ({cut.low:{form}} to {cut.high:{form}})"


def _verb(group: Sequence[Condition], one: str, several: str) -> str:
    return one if len(group) == 1 else several


def _listed(items: Sequence[str]) -> str:
    """'a, b and c'."""
    known = list(dict.fromkeys(items))
    return " and ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known)
