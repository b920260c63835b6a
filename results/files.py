"""File access of the results, on the local disk or in an object store.

A file appears under its name complete or not at all, even if its writer is killed.
"""

import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from pyarrow import fs

from lrlc.results.errors import StoreError
from lrlc.results.places import Files, Write
from lrlc.studies.paths import absolute


@dataclass(frozen=True)
class Location:
    """A folder or file of the results, on a disk or in a bucket."""

    files: Files
    path: str

    def __truediv__(self, name: str) -> "Location":
        return Location(self.files, f"{self.path}/{name}")

    def __str__(self) -> str:
        return self.files.shown(self.path)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> "Location":
        return Location(self.files, self.path.rpartition("/")[0])

    @property
    def local(self) -> Path | None:
        """The path on this machine's disk; None for an object store."""
        return Path(self.path) if isinstance(self.files.arrow, fs.LocalFileSystem) else None

    def relative_to(self, folder: "Location") -> str:
        return self.path.removeprefix(f"{folder.path}/")

    def names(self, suffix: str) -> list[str]:
        """Sorted names, without `suffix`, of the folder's visible entries; empty if it does not exist."""
        found = self.files.names(self.path)
        return sorted(
            name.removesuffix(suffix) for name in found if name.endswith(suffix) and name[0] not in "._"
        )

    def is_folder(self) -> bool:
        return self.files.has(self.path)

    def read(self) -> bytes:
        return self.files.read(self.path)

    def publish(self, write: Write) -> None:
        """Write a new file that readers see complete or not at all.

        Raises StoreError if the name is taken or the file cannot be written; nothing is then left behind.
        """
        self.files.write(self.path, write, replace=False)

    def replace(self, write: Write) -> None:
        """Like `publish`, but replaces an existing file."""
        self.files.write(self.path, write, replace=True)

    def remove(self) -> None:
        self.files.remove(self.path)

    def move_to(self, other: "Location") -> None:
        self.files.move(self.path, other.path)

    def modified_at(self) -> float | None:
        return self.files.modified_at(self.path)

    def clock(self) -> float:
        """The current time by the clock of this folder's disk or bucket, in seconds since the epoch.

        It is the time of a hidden file that is written and removed; StoreError if nothing can be written.
        """
        probe = self / f".clock.{uuid.uuid4().hex[:8]}.writing"
        probe.replace(lambda file: file.write(b"?"))
        try:
            return probe.modified_at() or time.time()
        finally:
            probe.remove()

    def remove_abandoned(self, older_than_seconds: float, now: float) -> None:
        self.files.remove_abandoned(self.path, older_than_seconds, now)


OUTPUT_ABANDONED_SECONDS = 60.0
"""The age at which unfinished output of a killed command is deleted; no write pauses this long."""


SCHEMES = ("file", "s3")


def write_output(path: Path, write: Write) -> None:
    """Write a command's output (a figure, an export), replacing an earlier one."""
    place = locate(path)
    place.replace(write)
    place.parent.remove_abandoned(OUTPUT_ABANDONED_SECONDS, place.modified_at() or 0.0)


def _scheme(where: str) -> str:
    """'s3' or 'file' of a URI, '' of a path; StoreError for another scheme, and for half a URI: `s3:bucket`."""
    head, colon, rest = where.partition(":")
    scheme = head.lower()
    if not colon or "/" in head or not (rest.startswith("//") or scheme in SCHEMES):
        return ""
    if scheme not in SCHEMES:
        raise StoreError(f"{where}: unknown scheme {scheme}://; known: a local folder, file://, s3://")
    has_host = rest[2:].partition("/")[0] not in ("", "localhost")
    if not rest.startswith("//") or (scheme == "file" and has_host):
        raise StoreError(f"{where}: expected a folder, file:///folder or s3://bucket/prefix")
    return scheme


def locate(where: "str | Path | Location") -> Location:
    """The folder or file named by a path, `file://...` or `s3://bucket/prefix`; it need not exist.

    A path is made absolute, but shown as written. Raises StudyError for an impossible path, StoreError for an unknown
    scheme or option.
    """
    if isinstance(where, Location):
        return where
    scheme = _scheme(where) if isinstance(where, str) else ""
    if scheme == "s3":
        from lrlc.results.object_store import open_s3  # pyarrow's S3 takes 0.1 s to load

        return Location(*open_s3(scheme + str(where)[len(scheme) :]))
    from lrlc.results.local_files import LocalFiles

    written = Path(unquote(str(where).partition("//")[2].removeprefix("localhost")) if scheme else where)
    path = absolute(written).as_posix()
    return Location(LocalFiles(path, written.as_posix()), path)
