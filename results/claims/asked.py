"""What of a study its verdicts depend on: claims, data sets, seeds and when they are judged."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lrlc.results.errors import StoreError
from lrlc.studies.claims import Claim, Decision
from lrlc.studies.regime import AnyRegime, Regime
from lrlc.studies.stages import LengthCheck
from lrlc.studies.titles import Title

_CLAIMS: TypeAdapter[list[Claim]] = TypeAdapter(list[Claim])
_REGIME: TypeAdapter[Regime] = TypeAdapter(AnyRegime)


@dataclass(frozen=True)
class Asked:
    """A study's claims, and what it trains on."""

    study: str
    """Its name."""
    claims: tuple[Claim, ...]
    datasets: tuple[str, ...]
    """Titles of the data sets that claims speak of where they name none."""
    names: frozenset[str]
    """All data sets that it trains on, without what is done to them: 'celeba'."""
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
        """Seeds in the order in which they are added, as many as the last look takes."""
        return seed_order(self.seeds, self.looks[-1])

    @staticmethod
    def of(study: Mapping[str, Any], only: Collection[str] = ()) -> "Asked":
        """From study.json, of this version or an older one; `only` the claims of these names, if any are given.

        StoreError for claims that this version does not know.
        """
        try:
            claims = _CLAIMS.validate_python(study.get("claims") or [])
            decision = Decision.model_validate(study.get("decision") or {})
            regime = _REGIME.validate_python(study.get("regime") or {})
            shorter = study.get("length_check")
            length_check = None if shorter is None else LengthCheck.model_validate(shorter)
        except ValidationError as error:
            raise StoreError(
                f"study {study.get('name')!r}: its claims were written by another version of lrlc "
                f"({error.errors()[0]['msg']}); `lrlc run {study.get('name')}` notes them anew"
            ) from None
        return Asked(
            study=str(study.get("name") or ""),
            claims=tuple(claim for claim in claims if not only or claim.name in only),
            datasets=tuple(str(Title.of(spec)) for spec in study.get("datasets") or []),
            names=frozenset(title.name for title in _trained_on(study)),
            seeds=tuple(study.get("seeds") or [0]),
            decision=decision,
            regime=regime,
            length_check=length_check,
        )


def seed_order(seeds: Sequence[int], count: int) -> list[int]:
    """The study's seeds, then the next whole numbers, `count` of them."""
    more = range(max(seeds, default=-1) + 1, max(seeds, default=-1) + 1 + max(0, count - len(seeds)))
    return [*seeds, *more][:count]


def _trained_on(study: Mapping[str, Any]) -> list[Title]:
    """Every data set of the study's grid and search."""
    given: list[Any] = list(study.get("datasets") or [])
    for block in study.get("grid") or []:
        named = block.get("dataset", [])
        given += named if isinstance(named, list) else [named]
    if study.get("search"):
        given.append(study["search"]["dataset"])
    return [Title.of(each) if isinstance(each, Mapping) else Title.parse(str(each)) for each in given]
