"""A bundle's files, whole or in parts: cutting them, checking their sums and reassembling them."""

import hashlib
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from .facts import BundleError

PART = "files.tar.{number:03d}"
BLOCK = 1 << 20


def checksum(path: Path) -> str:
    """The file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The SHA-256 sum of every file in these subfolders, by path relative to `folder`."""
    files = sorted(path for name in names for path in (folder / name).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): checksum(path) for path in files}


def faults(folder: Path, sums: Mapping[str, str]) -> Iterator[str]:
    """Files that are missing or damaged, each in a few words."""
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif checksum(path) != expected:
            yield f"{name} is damaged"


def check(folder: Path, sums: Mapping[str, str], what: str) -> None:
    """A BundleError that names every faulty file."""
    if found := list(faults(folder, sums)):
        raise BundleError(f"{folder}: {', '.join(found)}; copy {what} here again")


class _Cut:
    """A file for writing that continues in the next part when one is full."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder, self._most, self._left = folder, most_bytes, 0
        self._file: IO[bytes] | None = None
        self.names: list[str] = []

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest:
            if not self._left:
                self._next()
            assert self._file is not None
            taken = self._file.write(rest[: self._left])
            self._left -= taken
            rest = rest[taken:]
        return len(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _next(self) -> None:
        self.close()
        self.names.append(PART.format(number=len(self.names)))
        self._file, self._left = (self._folder / self.names[-1]).open("wb"), self._most


class _Joined:
    """The parts, read as the single file they were cut from."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = iter(paths)
        self._file: IO[bytes] | None = None

    def read(self, size: int) -> bytes:
        while True:
            if self._file is not None and (data := self._file.read(size)):
                return data
            self.close()
            if (path := next(self._paths, None)) is None:
                return b""
            self._file = path.open("rb")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def cut(folder: Path, names: Sequence[str], most_bytes: int) -> list[str]:
    """Move these subfolders of `folder` into parts of at most `most_bytes`; returns the names of the parts."""
    into = _Cut(folder, most_bytes)
    try:
        with tarfile.open(fileobj=into, mode="w|", bufsize=BLOCK) as archive:  # type: ignore[call-overload]
            for name in names:
                archive.add(folder / name, name)
    finally:
        into.close()
    return into.names


def join(folder: Path, parts: Sequence[str]) -> None:
    """Restore the files that were cut into `parts`."""
    source = _Joined([folder / name for name in parts])
    try:
        with tarfile.open(fileobj=source, mode="r|", bufsize=BLOCK) as archive:  # type: ignore[call-overload]
            archive.extractall(folder, filter="data")
    finally:
        source.close()


def restore(folder: Path, files: Mapping[str, str], parts: Mapping[str, str]) -> None:
    """Ensure that all files of the bundle are in place, from parts if it was cut; BundleError names faulty files.

    The parts may be deleted once their files have been restored.
    """
    if parts and any(faults(folder, files)):
        check(folder, parts, "these parts")
        join(folder, sorted(parts))
    check(folder, files, "these files")
