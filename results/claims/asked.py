"""The parts of a study that its verdicts depend on: claims, data sets, seeds and looks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lrlc.studies import Study
from lrlc.studies.claims import Claim, Decision
from lrlc.studies.regime import Regime
from lrlc.studies.stages import LengthCheck


@dataclass(frozen=True)
class Asked:
    """A study's claims, and the data that it trains on."""

    study: str
    """The study's name."""
    claims: tuple[Claim, ...]
    datasets: tuple[str, ...]
    """Titles of the data sets for claims that name none."""
    names: frozenset[str]
    """All data sets that it trains on, without modifications: 'celeba'."""
    seeds: tuple[int, ...]
    decision: Decision
    regime: Regime
    length_check: LengthCheck | None
    """How the grid's cells were trained for fewer epochs."""

    @property
    def looks(self) -> list[int]:
        """The numbers of seeds at which the claims are judged."""
        return self.decision.looks or [len(self.seeds)]

    @property
    def seed_order(self) -> list[int]:
        """Seeds in the order in which they are added, up to the last look."""
        return seed_order(self.seeds, self.looks[-1])

    @staticmethod
    def of(study: Study, only: Collection[str] = ()) -> "Asked":
        """All claims of a study, or those named in `only`, if any are given."""
        return Asked(
            study=study.name,
            claims=tuple(claim for claim in study.claims if not only or claim.name in only),
            datasets=tuple(spec.title for spec in study.datasets),
            names=study.trained_on,
            seeds=tuple(study.seeds),
            decision=study.decision,
            regime=study.regime,
            length_check=study.length_check,
        )


def seed_order(seeds: Sequence[int], count: int) -> list[int]:
    """The study's seeds, then the next whole numbers, `count` of them."""
    more = range(max(seeds, default=-1) + 1, max(seeds, default=-1) + 1 + max(0, count - len(seeds)))
    return [*seeds, *more][:count]
