"""The first sentences of a report: the verdicts on the claims, and the study's main effect."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from lrlc.results.claims import Finding, Judged, Verdict
from lrlc.results.names import short_kind_name
from lrlc.results.report.elsewhere import ALONE, Elsewhere
from lrlc.results.report.text import number
from lrlc.results.report.verdicts import SYMBOLS
from lrlc.results.statistics import possible
from lrlc.studies.lines import counted

MOST_PLACES = 4
"""Number of data sets that are named; the others are in the tables below."""


def effects(judged: Sequence[Judged], compared: Sequence[Finding], elsewhere: Elsewhere = ALONE) -> str:
    """The first claim's effect on each data set with its interval; '' if there are no rows for it.

    For a study without claims it is the effect in `compared`, kind against kind, of the first low-rank layer, or else
    of the first kind.
    """
    claimed = [claim.findings for claim in judged if any(one.effect is not None for one in claim.findings)]
    if claimed:
        longer = {(one.comparison, one.where): one.longer for one in elsewhere.longer}
        return _told([replace(one, longer=longer.get((one.comparison, one.where))) for one in claimed[0]])
    low_rank = [one for one in compared if one.comparison.startswith(short_kind_name("lrlc"))]
    return "" if judged else _told(low_rank or compared)


def in_short(judged: Sequence[Judged], elsewhere: Elsewhere = ALONE) -> str:
    """'2 of 5 claims supported, 1 contradicted, 2 undecided; 7 of their 12 tests supported.'

    Further sentences say how many comparisons longer training judges, and for how many layers a better setting is
    known.
    """
    if not judged:
        return "This study makes no claims, so nothing is judged here."
    said = [f"{_of_claims(judged)}{_of_tests(judged)}."]
    if count := len(elsewhere.longer):
        said.append(
            f"{counted(count, 'comparison')} of networks that were trained for too few epochs here "
            f"{'takes its' if count == 1 else 'take their'} verdict from another study (see Verdicts)."
        )
    if count := len(elsewhere.better):
        said.append(
            f"{counted(count, 'layer')} {'is' if count == 1 else 'are'} more accurate at another setting than at the "
            "one chosen here (see Tuning by kind)."
        )
    return " ".join(said)


def _of_claims(judged: Sequence[Judged]) -> str:
    """'2 of 5 claims supported, 1 contradicted, 2 undecided'."""
    counts = Counter(str(claim.verdict) for claim in judged)
    others = [f"{counts[verdict]} {verdict}" for verdict in list(SYMBOLS)[1:] if counts[verdict]]
    return ", ".join([f"{counts['supported']} of {counted(len(judged), 'claim')} supported", *others])


def _of_tests(judged: Sequence[Judged]) -> str:
    """'; 7 of their 12 tests supported', unless there is one test for each claim."""
    tests = [finding.verdict for claim in judged for finding in claim.findings]
    if len(tests) <= len(judged):
        return ""
    whose = "its" if len(judged) == 1 else "their"
    return f"; {tests.count(Verdict.SUPPORTED)} of {whose} {len(tests)} tests supported"


def _told(findings: Sequence[Finding]) -> str:
    """'LRLC minus conv: +0.27 points on MNIST (95% interval +0.22 to +0.32), +0.24 on UTKFace (-0.12 to +0.59).'"""
    known = [one for one in findings if one.effect is not None]
    if not known:
        return ""
    alike = [one for one in known if (one.comparison, one.unit) == (known[0].comparison, known[0].unit)]
    told = [_effect(one, is_first=at == 0) for at, one in enumerate(alike[:MOST_PLACES])]
    more = f" and {len(alike) - MOST_PLACES} more below" if len(alike) > MOST_PLACES else ""
    return f"{known[0].comparison}: {', '.join(told)}{more}."


def _effect(finding: Finding, *, is_first: bool) -> str:
    """'+0.24 on UTKFace (-0.12 to +0.59, undecided)'; the first one also gives the unit and the kind of interval.

    With longer training: '+0.82 on CIFAR-10 (+0.39 to +1.24, out of regime; with 48 epochs +1.12, supported)'.
    """
    assert finding.effect is not None
    effect = possible(finding.effect, finding.unit)
    form = "+z.2f" if finding.unit == "points" else "+z.3g"
    mean, low, high = (number(value, form).text for value in (effect.mean, effect.low, effect.high))
    interval = "one seed" if math.isnan(effect.low) else f"{'95% interval ' * is_first}{low} to {high}"
    unit = f" {finding.unit}" if is_first and finding.unit else ""
    longer = finding.longer
    instead = ""
    if longer is not None and longer.effect is not None:
        told = number(longer.effect.mean, form).text
        instead = f"; with {counted(longer.epochs, 'epoch')} {told}, {longer.verdict}"
    return f"{mean}{unit} on {finding.where} ({interval}, {finding.verdict}{instead})"
