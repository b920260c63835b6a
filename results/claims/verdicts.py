"""Verdicts on claims: words and numbers for the table of verdicts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lrlc.results.claims.conditions import Condition
from lrlc.results.statistics import Summary
from lrlc.studies.lines import counted


class Verdict(StrEnum):
    """The verdict on a claim or on one of its tests."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    """Shown to be the opposite by more than the margin, or too small to matter."""
    UNDECIDED = "undecided"
    OUT_OF_REGIME = "out of regime"
    """The networks are not trained well enough for a statement about trained networks; more seeds do not help."""


@dataclass(frozen=True)
class Longer:
    """Longer training of the cells of a comparison that were trained too short; its verdict counts instead."""

    study: str
    epochs: int
    verdict: Verdict
    effect: Summary | None

    def __str__(self) -> str:
        """'48 epochs in longer_16px'."""
        return f"{counted(self.epochs, 'epoch')} in {self.study}"


@dataclass(frozen=True)
class Finding:
    """One test of a claim, on one data set or between two."""

    study: str
    """The study that makes the claim."""
    where: str
    comparison: str
    """'LRLC (rank 2 to 7) minus conv'."""
    claimed: str
    """'below 0', 'at most 2 times': what is claimed of the effect; '' if that it is above 0."""
    chosen: str | None
    """'rank 4, layer 3': the choice of the first seeds among several cells; None if there was nothing to choose."""
    verdict: Verdict
    effect: Summary | None
    """In `unit`, with its 95% interval over seeds; None if there are no rows for it."""
    unit: str
    seeds: int
    reporting: tuple[int, ...]
    """The seeds behind the effect."""
    chose: tuple[int, ...]
    """The seeds that chose, which do not report."""
    p: float | None
    """p of the test that decided it, or came closest, corrected for all tests and looks; None without a test."""
    margin: float | None
    smallest_visible: float | None
    """The smallest true effect that this number of seeds detects with 80% power, at the corrected level."""
    test_noise: float | None
    """Standard deviation of one accuracy due to the finite test set alone."""
    correlation: float | None
    """Correlation of the two sides over seeds, which shows the benefit of pairing."""
    superiority: float | None
    """Probability that ours is better with the same seed."""
    over_images: Summary | None
    """The same effect with its interval over seeds and test images; None if no row has results per image."""
    regime: tuple[Condition, ...]
    """The conditions that its comparison must meet to be decided, with their numbers; () if there are none."""
    beside: str
    """Additional untested information: the best rank on each data set."""
    left_out: str
    """The seeds that count for nothing, as not all their trials have a result; '' if there are none."""
    note: str
    """What would settle an undecided test, or the reason for another verdict; '' if the numbers suffice."""
    longer: Longer | None = None
    """Longer training of the same cells, whose verdict counts in place of this one."""

    @property
    def statement(self) -> str:
        """'change in LRLC minus conv (claimed: below 0)'."""
        return f"{self.comparison} (claimed: {self.claimed})" if self.claimed else self.comparison

    @property
    def remarks(self) -> list[str]:
        """What to say below the numbers, a line each."""
        longer = f"the verdict of longer training counts instead: {self.longer}" if self.longer else ""
        return [said for said in (self.beside, self.left_out, self.note, longer) if said]


@dataclass(frozen=True)
class Judged:
    """A claim and the findings of its tests."""

    name: str
    says: str
    verdict: Verdict
    findings: tuple[Finding, ...]

    @property
    def by_dataset(self) -> dict[str, Verdict]:
        """One verdict for each data set, or pair of them, that its tests cover."""
        counting = counted_findings(self.findings)
        places = dict.fromkeys(finding.where for finding in self.findings)
        return {
            where: overall(verdicts)
            for where in places
            if (verdicts := [each.verdict for each in counting if each.where == where])
        }


def counted_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Those that a claim's verdict rests on: all but the ones that longer training replaces."""
    return [finding for finding in findings if not finding.longer]


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of a claim's tests: contradicted if one is, supported or out of regime if all are, else undecided."""
    if Verdict.CONTRADICTED in verdicts:
        return Verdict.CONTRADICTED
    return verdicts[0] if len(set(verdicts)) == 1 else Verdict.UNDECIDED
