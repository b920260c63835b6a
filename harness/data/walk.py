"""Files of a data set: those below a folder, links followed, and the bytes of one."""

import os
from collections.abc import Iterable
from pathlib import Path

from lrlc.harness.data.errors import DataError
from lrlc.harness.data.limits import MOST_ENCODED_BYTES


def files_below(folder: Path) -> list[Path]:
    """Every regular file below `folder`, in the order of their paths; hidden files and folders are left out.

    Linked folders are searched like real ones, each only once.
    """
    found: list[Path] = []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if (real := os.path.realpath(place)) in seen:
            folders.clear()  # a link to a folder already searched, perhaps one above itself
            continue
        seen.add(real)
        paths = (Path(place, name) for name in names if not name.startswith("."))
        found += [path for path in paths if path.is_file()]
    return sorted(found)


def check_distinct(paths: Iterable[Path]) -> None:
    """DataError if two of the paths lead to the same file or folder, whose images would count twice."""
    seen: dict[tuple[int, int], Path] = {}
    for path in paths:
        found = path.stat()
        other = seen.setdefault((found.st_dev, found.st_ino), path)
        if other != path:
            raise DataError(f"{path}: is a link to the same images as {other}; take one of them away")


def encoded_bytes(path: Path) -> bytes:
    """The content of an image file; DataError if it cannot be read or is not a regular file of a sensible size."""
    try:
        if path.exists() and not path.is_file():  # opening a pipe would block
            raise DataError(f"{path}: is not a regular file")
        if path.stat().st_size > MOST_ENCODED_BYTES:
            raise DataError(
                f"{path}: is larger than {MOST_ENCODED_BYTES >> 20} MiB, the limit for an image file"
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
