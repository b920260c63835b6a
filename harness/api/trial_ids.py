"""Complete a trial's id from a unique beginning, for all commands and for Python."""

from collections.abc import Iterable
from difflib import get_close_matches

from lrlc.harness.errors import UserError
from lrlc.harness.text import counted


def full_id(prefix: str, known: Iterable[str], where: str, instead: str = "") -> str:
    """The one id in `known` that begins with `prefix`; UserError, which names `where`, if there is none or several.

    `instead` is the hint if no id is similar.
    """
    ids = set(known)
    found = sorted(each for each in ids if each.startswith(prefix))
    there = f"there are {counted(len(ids), 'trial')}"
    if not found:
        raise UserError(
            f"{prefix}: no trial of {where} has such an id; {_near(prefix, ids) or instead or there}"
        )
    if len(found) > 1:
        raise UserError(
            f"{prefix}: {len(found)} ids begin with this: {', '.join(found[:4])}; give more of the id"
        )
    return found[0]


def _near(prefix: str, known: set[str]) -> str:
    close = get_close_matches(prefix, [trial_id[: len(prefix)] for trial_id in known], n=1)
    return f"did you mean {close[0]!r}?" if close else ""
