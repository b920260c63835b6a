"""How a claim ends: words and numbers for the table of verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from results.statistics import Summary


class Verdict(StrEnum):
    """How a claim, or one test of it, ends."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    """Shown to be the other way round by more than the margin, or too small to count."""
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Finding:
    """One test of a claim, on one data set or between two."""

    where: str
    comparison: str
    """'LRLC (rank 2 to 7) minus conv'."""
    chosen: str | None
    """'rank 4, layer 3': what the first seeds chose of several cells; None where there was nothing to choose."""
    verdict: Verdict
    effect: Summary | None
    """In `unit`, with its 95% interval over seeds; None where no row tells."""
    unit: str
    seeds: int
    reporting: tuple[int, ...]
    """The seeds behind the effect."""
    chose: tuple[int, ...]
    """The seeds that chose, and do not report."""
    p: float | None
    """Of the test that decided it, or came nearest to it, corrected for all tests and looks; None without a test."""
    margin: float | None
    smallest_visible: float | None
    """The smallest true effect that so many seeds find four times in five, at the corrected level."""
    test_noise: float | None
    """Standard deviation that the finite test set alone gives one accuracy."""
    correlation: float | None
    """Of the two sides over seeds: what pairing gained."""
    superiority: float | None
    """Probability that ours is the better one with the same seed."""
    beside: str
    """What else the rows say of it, untested: the best rank on each data set."""
    note: str
    """What would settle an undecided one, or why a decided one is; '' where the numbers say it."""


@dataclass(frozen=True)
class Judged:
    """A claim and what its tests found."""

    name: str
    says: str
    verdict: Verdict
    findings: tuple[Finding, ...]


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Of a claim's tests: contradicted if one is, supported if all are."""
    if Verdict.CONTRADICTED in verdicts:
        return Verdict.CONTRADICTED
    return Verdict.SUPPORTED if set(verdicts) == {Verdict.SUPPORTED} else Verdict.UNDECIDED
