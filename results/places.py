"""The interface of a place for results: a disk or a bucket."""

from collections.abc import Callable
from typing import BinaryIO, Protocol

from pyarrow import fs

Write = Callable[[BinaryIO], object]


class Files(Protocol):
    """The operations of a place for results; paths are those of its `arrow` file system."""

    @property
    def arrow(self) -> fs.FileSystem: ...

    @property
    def parallel_reads(self) -> int:
        """How many files to open at once: a bucket has a high latency, but serves many requests at once."""

    def shown(self, path: str) -> str:
        """The path as written by the user."""

    def names(self, folder: str) -> list[str]:
        """The names in a folder, in any order; empty if it does not exist."""

    def has(self, folder: str) -> bool:
        """Whether the folder exists."""

    def read(self, path: str) -> bytes:
        """Raises FileNotFoundError, or StoreError if access is refused."""

    def write(self, path: str, write: Write, *, replace: bool) -> None:
        """Make the complete file appear at once; without `replace`, StoreError if the name is taken."""

    def remove(self, path: str) -> None:
        """Delete a file, which may already be gone."""

    def move(self, path: str, to: str) -> None:
        """Rename a file; does nothing if it is gone."""

    def modified_at(self, path: str) -> float | None:
        """Seconds since the epoch by the clock of the place; None for a file that is gone."""

    def signature(self, path: str) -> object | None:
        """A value that changes whenever a file's content does; None if there is none for it."""

    def remove_abandoned(self, folder: str, older_than_seconds: float, now: float) -> None:
        """Delete unfinished files in `folder` left by killed writers."""

    def refusal(self, error: Exception) -> str | None:
        """Why a read was refused, in one line; None if the file is damaged or gone."""
