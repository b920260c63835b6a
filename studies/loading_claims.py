"""Read a study's claims: check names, and write placements as in the tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from lrlc.studies.catalogue import Catalogue
from lrlc.studies.claims import DATASET_KEYS
from lrlc.studies.errors import StudyError, nearest
from lrlc.studies.lines import shown
from lrlc.studies.places import Placement, Places, placement_text, placements
from lrlc.studies.titles import Title


def full_claims(given: object, networks: Sequence[Places], catalogue: Catalogue) -> list[dict[str, Any]]:
    """The claims with placements, of any of the networks, written as in the tables.

    StudyError for unknown kinds and data sets, and for places that no network has.
    """
    return [
        _full(claim, f"claims[{number}]", networks, catalogue) for number, claim in enumerate(_listed(given))
    ]


def _full(claim: object, where: str, networks: Sequence[Places], catalogue: Catalogue) -> dict[str, Any]:
    if not isinstance(claim, dict):
        raise StudyError(f"{where}: expected a mapping, got {shown(claim)}")
    for key in DATASET_KEYS:
        _check_datasets(claim.get(key, []), f"{where}.{key}", catalogue)
    _check_pairs(claim, where)
    sides = {
        side: _cells(claim[side], f"{where}.{side}", networks, catalogue)
        for side in ("ours", "theirs")
        if side in claim
    }
    if len(sides) == 2 and sides["ours"] == sides["theirs"]:
        raise StudyError(f"{where}: ours and theirs are the same cells; a claim compares different ones")
    return {**claim, **sides}


def _cells(given: object, where: str, networks: Sequence[Places], catalogue: Catalogue) -> object:
    cells: Mapping[str, Any] = given if isinstance(given, dict) else {"kind": given}
    kind = cells.get("kind")
    if not isinstance(kind, str) or kind not in catalogue.kinds:
        raise StudyError(f"{where}.kind: unknown layer kind {shown(kind)}; {nearest(kind, catalogue.kinds)}")
    full = (
        {**cells, **_options(cells["layer"], f"{where}.layer", kind, catalogue)}
        if "layer" in cells
        else cells
    )
    if "placement" not in cells:
        return full
    try:
        named = _placements(cells["placement"], networks)
    except ValueError as error:
        raise StudyError(f"{where}.placement: {error}") from None
    return {**full, "placement": list(map(placement_text, named))}


def _placements(given: object, networks: Sequence[Places]) -> list[Placement]:
    """The placements in the first network that has them; the first network's ValueError if none has."""
    faults = []
    for places in networks:
        try:
            return placements(given, places)
        except ValueError as fault:
            faults.append(fault)
    raise faults[0]


def _options(given: object, where: str, kind: str, catalogue: Catalogue) -> dict[str, Any]:
    """Fill `layer` and `defaults`, as a trial's row only has options that are not at their default."""
    if not isinstance(given, dict):
        raise StudyError(f"{where}: expected a mapping, got {shown(given)}")
    taken = catalogue.options.get(kind, {})
    for name in given:
        if name not in taken:
            raise StudyError(f"{where}.{name}: {kind} does not take it; {nearest(name, taken)}")
    defaults = {name: value for name, value in given.items() if value == taken[name].default}
    return {
        "layer": {name: value for name, value in given.items() if name not in defaults},
        "defaults": defaults,
    }


def _check_pairs(claim: Mapping[str, Any], where: str) -> None:
    for first, second in (("before", "after"), ("higher_on", "than_on")):
        both = [title for title in _listed(claim.get(first, [])) if title in _listed(claim.get(second, []))]
        if both:
            raise StudyError(
                f"{where}: {first} and {second} both name {shown(both[0])}; name different data sets"
            )


def _listed(given: object) -> list[object]:
    return given if isinstance(given, list) else [given]


def _check_datasets(given: object, where: str, catalogue: Catalogue) -> None:
    for title in _listed(given):
        name = Title.parse(str(title)).name
        if "/" not in name and name not in catalogue.datasets:
            raise StudyError(f"{where}: unknown data set {shown(name)}; {nearest(name, catalogue.datasets)}")
