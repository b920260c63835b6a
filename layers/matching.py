"""The width at which a network has the same cost as another, for kinds matched to another kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lrlc.layers.errors import LayerError, check_choice
from lrlc.layers.options import Option
from lrlc.layers.registry import LayerKind, find_kind

MATCHES = ("parameters", "flops", "train_seconds")
"""The costs that kinds can be matched by. Seconds are measured, so the caller gives the width."""


@dataclass(frozen=True)
class Match:
    """How a layer of a matched kind gets its width; `options` are the others, of the kind it is matched `to`."""

    to: LayerKind
    by: str
    width: int | None
    options: Mapping[str, object]


def match_options(kind: LayerKind) -> dict[str, Option]:
    """A matched kind's own options, by name."""
    own = (
        Option("what the width matches", MATCHES, name="match", value_type=str, default=MATCHES[0]),
        Option("the kind that it is matched to", name="matched_to", value_type=str, default=kind.matched_to),
        Option(
            "channels of the narrowest replaced layer, instead of matching",
            at_least=1,
            optional=True,
            name="width",
            value_type=int,
        ),
    )
    return {option.name: option for option in own}


def match_of(kind: LayerKind, options: Mapping[str, object]) -> Match:
    """Parse the matching options of a matched kind; LayerError for invalid values."""
    own = {name: options.get(name, option.default) for name, option in match_options(kind).items()}
    to, width = find_kind(str(own["matched_to"])), own["width"]
    check_choice("match", str(own["match"]), MATCHES)
    if not to.ranked:
        raise LayerError(f"matched_to must be a kind with a rank, not {to.name!r}")
    if isinstance(width, bool) or not isinstance(width, int | None) or (width is not None and width < 1):
        raise LayerError(f"width must be a number of channels of at least 1, not {width!r}")
    return Match(
        to, str(own["match"]), width, {name: value for name, value in options.items() if name not in own}
    )


def nearest_width(cost_at: Callable[[int], float], target: float, *, within: float = 0.0) -> int:
    """The width, in channels, whose cost is nearest to `target`; the narrower of two equally near ones.

    `cost_at` gives the cost of a width, in any unit, and rises with it. The search stops at widths that differ by less
    than the share `within`.
    """
    low, high = 1, 2
    while cost_at(high) <= target:
        low, high = high, 2 * high
    while high - low > max(1, within * low):  # cost_at(low) <= target < cost_at(high), unless low is 1
        middle = (low + high) // 2
        low, high = (middle, high) if cost_at(middle) <= target else (low, middle)
    return min(low, high, key=lambda width: abs(cost_at(width) - target))
