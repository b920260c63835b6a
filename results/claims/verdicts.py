"""How a claim ends: words and numbers for the table of verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from lrlc.results.claims.conditions import Condition
from lrlc.results.statistics import Summary


class Verdict(StrEnum):
    """How a claim, or one test of it, ends."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    """Shown to be the other way round by more than the margin, or too small to count."""
    UNDECIDED = "undecided"
    OUT_OF_REGIME = "out of regime"
    """Its networks are not trained as a statement about trained networks needs; more seeds do not change that."""


@dataclass(frozen=True)
class Finding:
    """One test of a claim, on one data set or between two."""

    study: str
    """The study that asks."""
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
    """The smallest true effect that this number of seeds detects with 80% power, at the corrected level."""
    test_noise: float | None
    """Standard deviation that the finite test set alone gives one accuracy."""
    correlation: float | None
    """Of the two sides over seeds: what pairing gained."""
    superiority: float | None
    """Probability that ours is the better one with the same seed."""
    over_images: Summary | None
    """The same effect, its interval over seeds and test images; None where no row tells images apart."""
    regime: tuple[Condition, ...]
    """The conditions that its comparison must meet to be decided, with their numbers; () where none is asked for."""
    beside: str
    """What else the rows say of it, untested: the best rank on each data set."""
    note: str
    """What would settle an undecided one, or why another is what it is; '' where the numbers say it."""


@dataclass(frozen=True)
class Judged:
    """A claim and what its tests found."""

    name: str
    says: str
    verdict: Verdict
    findings: tuple[Finding, ...]

    @property
    def by_dataset(self) -> dict[str, Verdict]:
        """One verdict for each data set, or each two, that its tests speak of."""
        places = dict.fromkeys(finding.where for finding in self.findings)
        return {
            where: overall([each.verdict for each in self.findings if each.where == where])
            for where in places
        }


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Of a claim's tests: contradicted if one is, else supported or out of regime if all are, else undecided."""
    if Verdict.CONTRADICTED in verdicts:
        return Verdict.CONTRADICTED
    return verdicts[0] if len(set(verdicts)) == 1 else Verdict.UNDECIDED
