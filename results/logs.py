"""Output of trials: a text of bounded length per trial that printed anything, `logs/<trial>.txt`."""

import re

from lrlc.results.files import Location

FOLDER = "logs"
_SUFFIX = ".txt"
HEAD_CHARACTERS, TAIL_CHARACTERS = 16_000, 48_000
"""Longer texts are reduced to their beginning and end."""


class BoundedText:
    """A growing text, of which only the beginning and the end are kept if it is long."""

    def __init__(self, text: str = "") -> None:
        self._head = self._tail = ""
        self._left_out = 0
        self.add(text)

    def add(self, text: str) -> None:
        room = HEAD_CHARACTERS - len(self._head)
        self._head += text[:room]
        tail = self._tail + text[room:]
        self._left_out += max(0, len(tail) - TAIL_CHARACTERS)
        self._tail = tail[-TAIL_CHARACTERS:]

    def __str__(self) -> str:
        gap = f"\n[{self._left_out:,} characters left out]\n" if self._left_out else ""
        return f"{self._head}{gap}{self._tail}"


def path(root: Location, trial_id: str) -> Location:
    return root / FOLDER / f"{trial_id}{_SUFFIX}"


def read(root: Location, trial_id: str) -> str:
    """The output of all attempts, each under a line that says how it ended; '' if the trial printed nothing."""
    try:
        return path(root, trial_id).read().decode(errors="replace")
    except FileNotFoundError:
        return ""


_HEADING = re.compile(r"^== attempt (\d+), ", re.MULTILINE)


def add(root: Location, trial_id: str, attempt: int, ending: str, text: str) -> None:
    """Append an attempt's output to earlier ones, with the next number, as a retry counts attempts from 1 again."""
    before = read(root, trial_id)
    number = max([attempt, *(int(found) + 1 for found in _HEADING.findall(before))])
    whole = str(BoundedText(f"{before}== attempt {number}, {ending} ==\n{text.rstrip()}\n"))
    path(root, trial_id).replace(lambda file: file.write(whole.encode(errors="replace")))


def copy(root: Location, trial_id: str, to: Location) -> None:
    """Copy a trial's output from another study's run, replacing what is there."""
    text = read(root, trial_id)
    path(to, trial_id).replace(lambda file: file.write(text.encode(errors="replace")))


def trials(root: Location) -> set[str]:
    """The trials that printed anything."""
    return set((root / FOLDER).names(_SUFFIX))
