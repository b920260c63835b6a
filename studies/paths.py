"""Turn a user's path into a path of this machine: `~` expanded, absolute, and valid."""

import errno
import os
import stat
from pathlib import Path

from lrlc.studies.errors import StudyError

MOST_BYTES, MOST_BYTES_OF_A_NAME = 4095, 255
"""Linux's limits on a path and on each name in it."""


def expanded(written: str | Path) -> Path:
    """The path with `~` expanded; a one-line StudyError for an impossible path."""
    text = os.fspath(written)
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise StudyError(f"{text}: the path is not UTF-8; rename it") from None
    if "\0" in text:
        raise StudyError(f"{text}: a path cannot contain a null character")
    if len(encoded) > MOST_BYTES or any(len(name) > MOST_BYTES_OF_A_NAME for name in encoded.split(b"/")):
        raise StudyError(
            f"{text}: too long for a path: at most {MOST_BYTES_OF_A_NAME} bytes a name, {MOST_BYTES} in all"
        )
    home = os.path.expanduser(text)
    if home == text and (text == "~" or text.startswith("~/")):
        raise StudyError(f"{text}: no home folder is known (HOME is not set); give the full path")
    if home == text and text.startswith("~"):
        user = text.partition("/")[0]
        raise StudyError(f"{text}: there is no user {user[1:]}; write ./{user} for a name that begins with ~")
    return Path(home)


def absolute(written: str | Path) -> Path:
    """`expanded`, made absolute with the folder that the program was started in."""
    path = expanded(written)
    try:
        return path.absolute()
    except FileNotFoundError:
        raise StudyError(f"{path}: the current folder no longer exists; start from one that does") from None


def check_regular(path: str | Path) -> None:
    """OSError for an existing path that is not a file: a folder, a pipe that would block, an endless device."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "is not a regular file", os.fspath(path))
