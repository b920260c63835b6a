"""Detection of damage below a study's folder.

Content that is unreadable or not what was written is damage: readers skip it, report it once in one line, and leave
it in place; the next run moves it to `damaged/`. A refused access is a StoreError instead.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lrlc.results.errors import NoFileError, StoreError
from lrlc.results.files import Location
from lrlc.studies.lines import printable

FOLDER = "damaged"
NO_FILE = "not a regular file"

_log = logging.getLogger(__name__)
_named: set[str] = set()

T = TypeVar("T")


@dataclass(frozen=True)
class Damage:
    """A damaged file, and what is wrong with it: 'no whole Parquet file'."""

    path: Location
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def judge(path: Location, read: Callable[[bytes], T]) -> T | Damage | None:
    """The result of `read` for the file's content; None if there is no file.

    Anything raised by `read` except a StoreError is damage.
    """
    try:
        return read(path.read())
    except FileNotFoundError:
        return None
    except NoFileError:
        return Damage(path, NO_FILE)
    except (StoreError, MemoryError):
        raise
    except Exception as error:  # damaged content can raise anything in the library that reads it
        return Damage(path, one_line(error))


def kept(found: T | Damage | None) -> T | None:
    """The content if it was readable; damage is reported."""
    if isinstance(found, Damage):
        name(found)
        return None
    return found


def name(damage: Damage) -> None:
    """Report once that a file is left out."""
    line = f"damaged and left out: {damage}"
    if line not in _named:
        _named.add(line)
        _log.warning("%s", printable(line))


def make_way(root: Location, found: object) -> None:
    """Move the file aside if it is damaged, before another is written in its place."""
    if isinstance(found, Damage):
        found.path.move_to(aside(root, found.path))


def aside(root: Location, path: Location) -> Location:
    """The destination of a damaged file: in `damaged/`, under an unused name."""
    wanted = root / FOLDER / path.relative_to(root)
    there = set(wanted.parent.names(""))
    free = (f"{wanted.name}.{number}" if number else wanted.name for number in range(len(there) + 1))
    return wanted.parent / next(name for name in free if name not in there)


def one_line(error: Exception) -> str:
    """An error's message, cut to one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = f"it lacks {text}" if isinstance(error, KeyError) else text
    return text if len(text) <= 120 else f"{text[:117]}..."
