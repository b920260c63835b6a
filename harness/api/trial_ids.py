"""A trial's id from as much of it as is unique, for every command and for Python."""

from collections.abc import Iterable
from difflib import get_close_matches

from lrlc.harness.errors import UserError
from lrlc.harness.text import counted


def full_id(prefix: str, known: Iterable[str], where: str, instead: str = "") -> str:
    """The one id of `known` that begins so; UserError, with the place `where`, if none or several do.

    `instead` is what it says where none is near.
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
