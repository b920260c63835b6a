"""Colours, markers and strokes for layer kinds and placements, which are distinguishable without colour.

Built-in kinds look the same in every figure of every study. Kinds from plugins and placements of other networks get
the next free look; `known` assigns these in one order, so that all figures of a study agree.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from matplotlib.typing import MarkerType

Stroke = Literal["-"] | tuple[float, tuple[float, ...]]


@dataclass(frozen=True)
class Look:
    """The look of a kind or a placement."""

    colour: str
    marker: MarkerType
    stroke: Stroke = "-"


# From Tol's muted scheme, so that no layer kind looks like a placement.
KINDS: Mapping[str, Look] = {
    "conv": Look("#555555", "s"),
    "coord_conv": Look("#882255", "D", (0, (4, 1, 1, 1))),
    "wide_conv": Look("#7A7A2B", "v", (0, (1, 1.2))),
    "locally_connected": Look("#5B4FA0", "P", (0, (1, 2.5))),
    "lrlc": Look("#D55E00", "o"),
    "lrlc_input_dependent": Look("#0072B2", "^", (0, (4, 1.5))),
    "relaxed_conv": Look("#117733", "p", (0, (6, 1.5, 1, 1.5))),
    "cond_conv": Look("#AA4499", "<", (0, (2.5, 2))),
    "position_map": Look("#A5761D", "h", (0, (3, 1, 3, 3))),
    "constrained_local": Look("#44AA99", "*", (0, (6, 1.5, 1, 1.5, 1, 1.5))),
    "residual_pathway": Look("#661100", ">", (0, (8, 2))),
    "involution": Look("#CC6677", "d", (0, (1, 3))),
}
# Okabe and Ito's colours, with a marker each, as blue and vermilion are the same grey.
PLACEMENTS: Mapping[str, Look] = {
    "1": Look("#0072B2", "o"),
    "2": Look("#009E73", "s"),
    "3": Look("#D55E00", "^"),
    "1+2": Look("#56B4E9", "D"),
    "1+3": Look("#CC79A7", "v"),
    "2+3": Look("#E69F00", "P"),
    "1+2+3": Look("#222222", "X"),
}
MARKERS: tuple[MarkerType, ...] = (
    "X", "H", "s", "D", "v", "P", "o", "*", "<", "^", ">", "d", "p", (4, 1, 45), (3, 1, 180), "8", "h", (6, 1, 0),
)  # fmt: skip
"""Filled markers, those unused by built-in kinds first and similar ones last; a tuple is a star (points first)."""
MORE_COLOURS = (
    "#E69F00",
    "#009E73",
    "#332288",
    "#56B4E9",
    "#CC3311",
    "#999933",
    "#CC79A7",
    "#004488",
    "#6F4E37",
)
MORE_STROKES: tuple[Stroke, ...] = ("-", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 1, 2, 1)))


@dataclass(frozen=True)
class _Given:
    """The looks used in one drawing."""

    kinds: dict[str, Look]
    placements: dict[str, Look]


_given: ContextVar[_Given | None] = ContextVar("looks", default=None)


@contextmanager
def known(kinds: Iterable[str] = ()) -> Iterator[None]:
    """A context in which kinds that are not built in keep the look they first get; `kinds` get theirs by name."""
    token = _given.set(_Given({}, {}))
    try:
        for kind in sorted(set(kinds), key=lambda kind: (kind not in KINDS, kind)):
            kind_look(kind)
        yield
    finally:
        _given.reset(token)


def kind_look(kind: str) -> Look:
    """The look of a layer kind; no two kinds of a drawing share a marker while there are free ones."""
    given = _given.get() or _Given({}, {})
    if kind not in given.kinds:
        given.kinds[kind] = KINDS.get(kind) or _next(given.kinds.values())
    return given.kinds[kind]


def placement_look(placement: str) -> Look:
    """The look of a placement, which is the same in every figure for the three-layer network."""
    given = _given.get() or _Given({}, {})
    if placement not in given.placements:
        given.placements[placement] = PLACEMENTS.get(placement) or _next(given.placements.values())
    return given.placements[placement]


def kind_colour(kind: str) -> str:
    return kind_look(kind).colour


def _next(taken: Iterable[Look]) -> Look:
    """A look with a marker, and if possible a colour, that none of these has."""
    looks = list(taken)
    number = len(looks)
    markers, colours = [look.marker for look in looks], [look.colour for look in looks]
    marker = next((each for each in MARKERS if each not in markers), MARKERS[number % len(MARKERS)])
    colour = next(
        (each for each in MORE_COLOURS if each not in colours), MORE_COLOURS[number % len(MORE_COLOURS)]
    )
    return Look(colour, marker, MORE_STROKES[number % len(MORE_STROKES)])
