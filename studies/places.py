"""Which of a network's places hold layers of a kind: the short forms of `placement`."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from lrlc.studies.lines import shown

MOST_SUBSETS_OF = 16

Place = int | str
"""A position from 1, or the name of a module of a library's network."""
Placement = tuple[Place, ...]


class ModuleNames(Protocol):
    """The interface of `lrlc.layers.ModulePlaces`, the places of a library's network."""

    @property
    def network(self) -> str: ...

    @property
    def all(self) -> tuple[str, ...]: ...

    def canonical(self, names: Iterable[str]) -> tuple[str, ...]:
        """The same places with the fewest names, in the network's order; ValueError for a name that is not a place."""


Places = int | ModuleNames
"""A network's places: a number of positions, or modules."""


def placements(given: object, places: Places) -> list[Placement]:
    """`all`, `subsets`, a place, a list of places (one placement) or a list of those (several).

    Raises ValueError for a place that the network does not have.
    """
    if given == "all":
        return [_all(places)]
    if given == "subsets":
        return _subsets(_all(places))
    if isinstance(given, int | str) and not isinstance(given, bool):
        given = [given]
    if not isinstance(given, list) or not given:
        raise ValueError(f"expected 'all', 'subsets', a place or a list of places, got {shown(given)}")
    if any(isinstance(item, list) or item in ("all", "subsets") for item in given):
        return [placement for item in given for placement in placements(item, places)]
    return [_positions(given, places) if isinstance(places, int) else _modules(given, places)]


def placement_text(placement: Iterable[Place]) -> str:
    """The placement as in the tables: '1+3', 'layer1+layer2.0.conv1'."""
    return "+".join(map(str, placement))


def placement_of(text: str) -> list[Any]:
    """The places in a table's text."""
    return [int(place) if place.isdecimal() else place for place in text.split("+")]


def _all(places: Places) -> Placement:
    return tuple(range(1, places + 1)) if isinstance(places, int) else places.all


def _subsets(places: Placement) -> list[Placement]:
    if len(places) > MOST_SUBSETS_OF:
        raise ValueError(
            f"the subsets of {len(places)} places are too many; at most {MOST_SUBSETS_OF} places"
        )
    return [
        tuple(place for number, place in enumerate(places) if bits >> number & 1)
        for bits in range(1, 2 ** len(places))
    ]


def _positions(given: Sequence[object], count: int) -> Placement:
    for place in given:
        if not isinstance(place, int) or isinstance(place, bool) or not 1 <= place <= count:
            raise ValueError(f"{shown(place)} is outside the network, which has places 1 to {count}")
    return tuple(sorted({place for place in given if isinstance(place, int)}))


def _modules(given: Sequence[object], places: ModuleNames) -> Placement:
    for place in given:
        if not isinstance(place, str):
            raise ValueError(
                f"{shown(place)} is not a module of {places.network}; its places: {', '.join(places.all)}"
            )
    return places.canonical(map(str, given))
