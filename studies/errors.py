"""What is wrong with a study, in one line."""

from collections.abc import Iterable
from difflib import get_close_matches


class StudyError(ValueError):
    """The file, the key's path, what was given, and what is allowed, on one line."""


def nearest(given: object, allowed: Iterable[str]) -> str:
    """'did you mean X?' where a name is near, else the names."""
    names = sorted(allowed)
    close = get_close_matches(str(given), names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
