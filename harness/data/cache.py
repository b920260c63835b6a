"""Images decoded once per machine, into memory-mapped arrays that all its processes share.

An entry is a folder that appears complete: the process holding its lock writes it under a hidden name, then renames it.
"""

import hashlib
import json
import os
import shutil
import uuid
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from filelock import FileLock

from lrlc.harness.data.content import Content, Progress, checked_splits
from lrlc.harness.data.dataset import Images, Labels, Split
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.source import RawSplit, Source
from lrlc.harness.errors import first_line
from lrlc.layers import cache
from lrlc.results import documents

READER_VERSION = 3
"""Raised when a reader decodes the same files to different arrays, or the format of an entry changes."""

META = "meta.json"
"""The file of an entry's metadata, which has its own checksum."""

SAMPLES, SAMPLE_BYTES = 32, 1 << 16
"""Samples of a larger array that are checked when an entry is opened; `lrlc data check` checks all of it."""

WHOLE_BYTES = 1 << 28
"""Arrays up to this size are checked whole, once per process: CIFAR-10's 138 MB take 0.1 s."""


_whole: dict[Path, object] = {}
"""Files that this process has checked whole, with their signatures at the time."""


@dataclass(frozen=True)
class Decoded:
    """The splits as the files have them (validation may be None) and the digest of their content."""

    train: Split
    validation: Split | None
    test: Split
    num_classes: int
    digest: str

    def splits(self) -> dict[str, Split]:
        """The splits that the data set itself has."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in found.items() if split is not None}


def cache_dir() -> Path:
    """The machine's cache (see layers.cache); DataError if no folder is known for it."""
    try:
        return cache.cache_dir()
    except cache.NoCacheFolderError as error:
        raise DataError(str(error)) from None


def cached(name: str, source: Source) -> Decoded | None:
    """The arrays of `source` if it was decoded before and its entry is intact."""
    return open_folder(_entry(name, source))


def decoded(name: str, source: Source, progress: Progress | None = None) -> Decoded:
    """The arrays of `source`, decoded here if they are not in the cache. Safe to call from many processes at once."""
    entry = _entry(name, source)
    found = open_folder(entry)
    if found is not None:
        return found
    with _cache_errors(name):
        entry.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(entry.with_name(f".{entry.name}.lock"))
        lock.acquire()
    try:
        if (found := open_folder(entry)) is None:
            _write(name, source, entry, progress)
            found = open_folder(entry)
    finally:
        lock.release()
    if found is None:
        raise DataError(f"{entry}: cannot be read back; delete it and check the disk")
    return found


def forget(name: str, source: Source) -> None:
    """Delete the entry of `source`, so that it is decoded again."""
    shutil.rmtree(_entry(name, source), ignore_errors=True)


@contextmanager
def _cache_errors(name: str) -> Iterator[None]:
    """Turn OSErrors of the cache's own files into one line; faults of a source are already DataErrors."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise DataError(
            f"{name}: cannot decode into {cache_dir()} ({reason}); free space there or set LRLC_CACHE"
        ) from error


def _entry(name: str, source: Source) -> Path:
    """The entry's folder, named by a hash of the files' relative paths, sizes and times, and of their decoding."""
    paths = [path.absolute() for path in source.files]
    root = os.path.commonpath([path.parent for path in paths]) if paths else ""
    stats = sorted((os.path.relpath(path, root), *_size_and_time(path)) for path in paths)
    key = [READER_VERSION, name, stats, source.settings, source.validation_fraction, source.scaling]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    return cache_dir() / f"{name.replace('/', '_')}-{digest}"


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    return found.st_size, found.st_mtime_ns


def decoded_folder(name: str, source: Source) -> Path:
    """The folder with the decoded arrays of `source`, for copying."""
    decoded(name, source)
    return _entry(name, source)


def open_folder(entry: Path) -> Decoded | None:
    """The arrays of an entry; None if it is missing or damaged."""
    try:
        meta = documents.opened(META, (entry / META).read_bytes())
        splits = {}
        for name, checksums in meta["checksums"].items():
            paths = _paths(entry, name)
            if [_sampled_checksum(path) for path in paths] != checksums:
                return None
            if not all(map(_is_whole, paths, meta.get("whole", {}).get(name, [None, None]))):
                return None
            images: Images = np.load(paths[0], mmap_mode="r")
            labels: Labels = np.load(paths[1])
            splits[name] = Split(images, labels)
        return Decoded(
            splits["train"], splits.get("validation"), splits["test"], meta["num_classes"], meta["digest"]
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _paths(folder: Path, split: str) -> tuple[Path, Path]:
    return folder / f"{split}_images.npy", folder / f"{split}_labels.npy"


def _sampled_checksum(path: Path) -> list[int]:
    """The size, and a checksum of pieces spread evenly over the file, including its beginning and end."""
    size = path.stat().st_size
    starts = np.linspace(0, max(0, size - SAMPLE_BYTES), SAMPLES, dtype=np.int64)
    checksum = 0
    with path.open("rb") as file:
        for start in np.unique(starts).tolist():
            file.seek(start)
            checksum = zlib.crc32(file.read(SAMPLE_BYTES), checksum)
    return [size, checksum]


def _whole_checksum(path: Path) -> int | None:
    """The checksum of the whole file; None if it is larger than WHOLE_BYTES."""
    if path.stat().st_size > WHOLE_BYTES:
        return None
    checksum = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 22):
            checksum = zlib.crc32(piece, checksum)
    return checksum


def _is_whole(path: Path, checksum: int | None) -> bool:
    """Whether the file has that checksum, as far as it has one: entries of earlier versions have none."""
    found = path.stat()
    signature = found.st_ino, found.st_size, found.st_mtime_ns, checksum
    if checksum is not None and _whole.get(path) != signature:
        if _whole_checksum(path) != checksum:
            return False
        _whole[path] = signature
    return True


def _write(name: str, source: Source, entry: Path, progress: Progress | None) -> None:
    """Delete what a killed process left, decode under a hidden name, then rename; call this while holding the lock."""
    for left in entry.parent.glob(f".{entry.name}.*.part"):
        shutil.rmtree(left, ignore_errors=True)
    hidden = entry.with_name(f".{entry.name}.{uuid.uuid4().hex}.part")
    raw, content = checked_splits(name, source), Content(name, source, progress)
    try:
        with _cache_errors(name):
            hidden.mkdir()
            checksums = _write_arrays(raw, content, hidden)
            largest = max(int(split.labels.max()) for split in raw.values())
            meta = {
                "name": name,
                "num_classes": source.num_classes or largest + 1,
                "digest": content.digest(),
                "checksums": checksums,
                "whole": {split: list(map(_whole_checksum, _paths(hidden, split))) for split in raw},
            }
            with _synced(hidden / META) as file:
                file.write(documents.sealed(META, meta))
            if entry.exists():  # a damaged one
                shutil.rmtree(entry)
            hidden.rename(entry)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _write_arrays(raw: Mapping[str, RawSplit], content: Content, folder: Path) -> dict[str, list[list[int]]]:
    """The checksums of the arrays of each split."""
    checksums = {}
    for split, values in raw.items():
        image_path, label_path = _paths(folder, split)
        with _synced(image_path) as file:
            _write_chunks(file, content.stream(split, values), len(values.labels))
        with _synced(label_path) as file:
            np.save(file, values.labels)
        checksums[split] = [_sampled_checksum(path) for path in (image_path, label_path)]
    return checksums


def _write_chunks(file: IO[bytes], chunks: Iterator[Images], count: int) -> None:
    """Write an .npy file chunk by chunk, with only one chunk in memory.

    Written, not mapped: on a full disk a mapped file kills the process instead of raising OSError.
    """
    for number, chunk in enumerate(chunks):
        if number == 0:
            header = {"descr": "|u1", "fortran_order": False, "shape": (count, *chunk.shape[1:])}
            np.lib.format.write_array_header_1_0(file, header)
        file.write(np.ascontiguousarray(chunk).data)


@contextmanager
def _synced(path: Path) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
