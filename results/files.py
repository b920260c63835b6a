"""Where the tables lie: the only file access of this room, on the local disk or in an object store.

A file appears under its name whole or not at all, whatever kills its writer.
"""

import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyarrow import fs

from lrlc.results.errors import StoreError
from lrlc.results.places import Files, Write
from lrlc.studies.paths import absolute


@dataclass(frozen=True)
class Location:
    """A folder or file of the results, wherever they live."""

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
        """The path on this machine's disk; None in an object store."""
        return Path(self.path) if isinstance(self.files.arrow, fs.LocalFileSystem) else None

    def relative_to(self, folder: "Location") -> str:
        return self.path.removeprefix(f"{folder.path}/")

    def names(self, suffix: str) -> list[str]:
        """Sorted names, without `suffix`, of the visible entries of this folder; none if it does not exist."""
        found = self.files.names(self.path)
        return sorted(
            name.removesuffix(suffix) for name in found if name.endswith(suffix) and name[0] not in "._"
        )

    def is_folder(self) -> bool:
        return self.files.has(self.path)

    def read(self) -> bytes:
        return self.files.read(self.path)

    def publish(self, write: Write) -> None:
        """Write a new file that readers see whole or not at all.

        Raises StoreError if the name is taken or the file cannot be written; nothing is then left behind.
        """
        self.files.write(self.path, write, replace=False)

    def replace(self, write: Write) -> None:
        """Like `publish`, but takes the place of what is there."""
        self.files.write(self.path, write, replace=True)

    def remove(self) -> None:
        self.files.remove(self.path)

    def move_to(self, other: "Location") -> None:
        self.files.move(self.path, other.path)

    def modified_at(self) -> float | None:
        return self.files.modified_at(self.path)

    def clock(self) -> float:
        """Now by the clock of the disk or bucket that keeps this folder, in seconds since the epoch.

        It is the time of a hidden file, which is written and removed: StoreError where nothing can be written.
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
"""What a command left that was killed while it wrote its output; no write pauses for so long."""


def write_output(path: Path, write: Write) -> None:
    """Write what a command makes of the tables (a figure, an export), in place of an earlier one."""
    place = locate(path)
    place.replace(write)
    place.parent.remove_abandoned(OUTPUT_ABANDONED_SECONDS, place.modified_at() or 0.0)


def locate(where: "str | Path | Location") -> Location:
    """The folder or file that a path, `file://...` or `s3://bucket/prefix` names; it need not exist.

    A path is made absolute here, and shown as it was written. Raises StudyError for a path that no file can have,
    StoreError for another scheme or an option the place does not know.
    """
    if isinstance(where, Location):
        return where
    scheme = urlsplit(where).scheme if isinstance(where, str) and "://" in where else ""
    if scheme == "s3":
        from lrlc.results.object_store import open_s3  # pyarrow's S3 takes 0.1 s to load

        return Location(*open_s3(str(where)))
    if scheme not in ("", "file"):
        raise StoreError(f"{where}: unknown scheme {scheme}://; known: a local folder, file://, s3://")
    from lrlc.results.local_files import LocalFiles

    written = Path(unquote(urlsplit(str(where)).path) if scheme else where)
    path = absolute(written).as_posix()
    return Location(LocalFiles(path, written.as_posix()), path)
