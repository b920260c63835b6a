"""What a place must offer to hold results: a disk, or a bucket."""

from collections.abc import Callable
from typing import BinaryIO, Protocol

from pyarrow import fs

Write = Callable[[BinaryIO], object]


class Files(Protocol):
    """What a place must offer; every path is one that its `arrow` file system takes."""

    @property
    def arrow(self) -> fs.FileSystem: ...

    @property
    def parallel_reads(self) -> int:
        """How many files to open at once: a bucket is slow to answer, but answers many requests at a time."""

    def shown(self, path: str) -> str:
        """The path as the user writes it."""

    def names(self, folder: str) -> list[str]:
        """The names in a folder, in any order; none if it does not exist."""

    def has(self, folder: str) -> bool:
        """Whether there is such a folder."""

    def read(self, path: str) -> bytes:
        """Raises FileNotFoundError, or StoreError where the place refuses."""

    def write(self, path: str, write: Write, *, replace: bool) -> None:
        """Show the file whole or not at all; without `replace`, StoreError if the name is taken."""

    def remove(self, path: str) -> None:
        """Delete a file that may be gone already."""

    def move(self, path: str, to: str) -> None:
        """Give a file another name; nothing happens if it is gone."""

    def modified_at(self, path: str) -> float | None:
        """Seconds since the epoch by the clock of the place; None for a file that is gone."""

    def signature(self, path: str) -> object | None:
        """What changes whenever a file's content does; None where that cannot be told of it."""

    def remove_abandoned(self, folder: str, older_than_seconds: float, now: float) -> None:
        """Delete what a writer that was killed in the middle of a file left in `folder`."""

    def refusal(self, error: Exception) -> str | None:
        """Why the place refused a read, in one line; None if what was read is damaged or gone."""
