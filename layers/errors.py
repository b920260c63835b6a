"""Errors raised by the layers: one line that names what was given and what was expected."""

import operator
from collections.abc import Iterable
from difflib import get_close_matches
from math import inf
from typing import SupportsIndex


class LayerError(ValueError):
    """A wrong argument or input; the message is one line for the user."""


class InputError(LayerError, RuntimeError):
    """A tensor that a layer cannot take; a RuntimeError too, as nn.Conv2d's."""


class InputTypeError(LayerError, TypeError):
    """An input that is not a tensor; a TypeError too, as nn.Conv2d's."""


def unknown(what: str, given: str, known: Iterable[str]) -> LayerError:
    """The error for a name that is not in `known`, with the nearest known name."""
    names = sorted(known)
    near = get_close_matches(given, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    return LayerError(f"unknown {what} {given!r}; {hint}")


def check_flag(name: str, given: object) -> None:
    """LayerError unless `given` is True or False; any other value would silently be treated as one of them."""
    if not isinstance(given, bool):
        raise LayerError(f"{name} must be true or false, not {given!r}")


def check_factor(name: str, given: object) -> None:
    """LayerError unless `given` is a finite number above 0."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < inf:
        raise LayerError(f"{name} must be a number above 0, not {given!r}")


def check_strength(name: str, given: object) -> None:
    """LayerError unless `given` is a finite number of at least 0."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < inf:
        raise LayerError(f"{name} must be a number of at least 0, not {given!r}")


def as_int(given: object) -> int | None:
    """`given` as an int if it is one, including NumPy's and torch's; None for anything else, including booleans."""
    if isinstance(given, bool) or not isinstance(given, SupportsIndex):
        return None
    if isinstance(given, int):
        return given
    try:
        return operator.index(given)
    except TypeError:  # an array with several elements
        return None


def check_counts(**counts: object) -> None:
    """LayerError unless each argument is an int of at least 1; keywords are the names in the message."""
    for name, value in counts.items():
        if (count := as_int(value)) is None or count < 1:
            raise LayerError(f"{name} must be an int of at least 1, not {value!r}")


def check_choice(name: str, given: str, choices: tuple[str, ...]) -> None:
    """LayerError unless `given` is one of `choices`."""
    if given not in choices:
        raise unknown(name, str(given), choices)
