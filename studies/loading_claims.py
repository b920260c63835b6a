"""A study's claims as its file has them: names checked, placements written as in the tables."""

from collections.abc import Mapping
from typing import Any

from studies.claims import DATASET_KEYS
from studies.errors import StudyError, nearest
from studies.schema import Catalogue, placements
from studies.titles import Title


def full_claims(given: object, places: int, catalogue: Catalogue) -> list[dict[str, Any]]:
    """The claims with placements written as in the tables; StudyError for unknown kinds and data sets."""
    claims = given if isinstance(given, list) else [given]
    return [_full(claim, f"claims[{number}]", places, catalogue) for number, claim in enumerate(claims)]


def _full(claim: object, where: str, places: int, catalogue: Catalogue) -> dict[str, Any]:
    if not isinstance(claim, dict):
        raise StudyError(f"{where}: expected a mapping, got {claim!r}")
    for key in DATASET_KEYS:
        _check_datasets(claim.get(key, []), f"{where}.{key}", catalogue)
    sides = {
        side: _cells(claim[side], f"{where}.{side}", places, catalogue)
        for side in ("ours", "theirs")
        if side in claim
    }
    return {**claim, **sides}


def _cells(given: object, where: str, places: int, catalogue: Catalogue) -> object:
    cells: Mapping[str, Any] = given if isinstance(given, dict) else {"kind": given}
    kind = cells.get("kind")
    if kind not in catalogue.kinds:
        raise StudyError(f"{where}.kind: unknown layer kind {kind!r}; {nearest(str(kind), catalogue.kinds)}")
    if "placement" not in cells:
        return cells
    try:
        named = placements(cells["placement"], places)
    except ValueError as error:
        raise StudyError(f"{where}.placement: {error}") from None
    return {**cells, "placement": ["+".join(map(str, placement)) for placement in named]}


def _check_datasets(given: object, where: str, catalogue: Catalogue) -> None:
    for title in given if isinstance(given, list) else [given]:
        name = Title.parse(str(title)).name
        if "/" not in name and name not in catalogue.datasets:
            raise StudyError(f"{where}: unknown data set {name!r}; {nearest(name, catalogue.datasets)}")
