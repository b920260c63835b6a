"""Images decoded once per machine, into memory-mapped arrays that all its processes share.

An entry is a folder that appears whole: it is written under a hidden name by whoever holds its lock and renamed.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from harness.data.dataset import Split
from harness.data.errors import DataError
from harness.data.source import RawSplit, Source

READER_VERSION = 1
"""Raised when a reader decodes the same files to other arrays."""

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Decoded:
    """The splits as the files have them (validation may be None) and the digest of their content."""

    train: Split
    validation: Split | None
    test: Split
    num_classes: int
    digest: str


def cache_dir() -> Path:
    """LRLC_CACHE, or lrlc-bench in the user's cache folder."""
    if given := os.environ.get("LRLC_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lrlc-bench"


def cached(name: str, source: Source) -> Path | None:
    """The entry of `source`, if it was decoded before."""
    entry = _entry(name, source)
    return entry if _read_meta(entry) is not None else None


def decoded(name: str, source: Source) -> Decoded:
    """The arrays of `source`, decoded by this process if by none before. Safe to call in many at once."""
    entry = _entry(name, source)
    meta = _read_meta(entry)
    if meta is None:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(entry.with_name(f".{entry.name}.lock")):
            meta = _read_meta(entry)
            if meta is None:
                _write(name, source, entry)
                meta = _read_meta(entry)
    if meta is None:
        raise DataError(f"{entry}: cannot be read back; delete it and check the disk")
    splits = {split: _split(entry, split) for split in meta["counts"]}
    return Decoded(
        splits["train"], splits.get("validation"), splits["test"], meta["num_classes"], meta["digest"]
    )


def _entry(name: str, source: Source) -> Path:
    """Its name says the data set, the files' paths, sizes and times, and how they are decoded."""
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in _all_files(source.files)]
    key = json.dumps(
        [READER_VERSION, name, stats, source.settings, source.validation_fraction, source.scaling]
    )
    return cache_dir() / f"{name.replace('/', '_')}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _all_files(paths: Sequence[Path]) -> list[Path]:
    """Folders stand for themselves: their time changes when a file is added."""
    return sorted(path.resolve() for path in paths)


def _read_meta(entry: Path) -> dict[str, Any] | None:
    """The entry's description; None where it is not there or its arrays are not whole."""
    try:
        meta: dict[str, Any] = json.loads((entry / "meta.json").read_text())
        whole = all((entry / file).stat().st_size == size for file, size in meta["sizes"].items())
    except (OSError, ValueError, KeyError):
        return None
    return meta if whole else None


def _split(entry: Path, split: str) -> Split:
    images = np.load(entry / f"{split}_images.npy", mmap_mode="r")
    return Split(images, np.load(entry / f"{split}_labels.npy"))


def _write(name: str, source: Source, entry: Path) -> None:
    hidden = entry.with_name(f".{entry.name}.{uuid.uuid4().hex}")
    hidden.mkdir()
    try:
        raw = source.read()
        _check(name, raw, source.num_classes)
        digest = hashlib.sha256(f"{source.scaling} {source.validation_fraction}".encode())
        for split in SPLITS:
            if split in raw:
                _write_split(name, split, raw[split], hidden, digest)
        largest = max(int(split.labels.max()) for split in raw.values())
        meta = {
            "name": name,
            "counts": {split: len(raw[split].labels) for split in SPLITS if split in raw},
            "num_classes": source.num_classes or largest + 1,
            "digest": digest.hexdigest()[:16],
            "sizes": {path.name: path.stat().st_size for path in sorted(hidden.glob("*.npy"))},
        }
        (hidden / "meta.json").write_text(json.dumps(meta))
        if entry.exists():  # a damaged one
            shutil.rmtree(entry)
        hidden.rename(entry)
    except OSError as error:
        raise DataError(f"{name}: cannot decode into {entry.parent}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _check(name: str, raw: Any, num_classes: int | None) -> None:
    for split in ("train", "test"):
        if split not in raw:
            raise DataError(f"{name}: no {split} split")
    for split, values in raw.items():
        if not len(values.labels):
            raise DataError(f"{name}: the {split} split is empty")
        low, high = int(values.labels.min()), int(values.labels.max())
        if low < 0 or (num_classes is not None and high >= num_classes):
            row = int(values.labels.argmin() if low < 0 else values.labels.argmax())
            raise DataError(
                f"{name}: {split} row {row} has label {low if low < 0 else high}, outside 0..{(num_classes or 0) - 1}"
            )


def _write_split(name: str, split: str, raw: RawSplit, folder: Path, digest: Any) -> None:
    """Straight into the file, chunk by chunk: ImageNet must not need memory of its size."""
    chunks = raw.chunks()
    first = next(chunks)
    count = len(raw.labels)
    images = np.lib.format.open_memmap(
        folder / f"{split}_images.npy", mode="w+", dtype=np.uint8, shape=(count, *first.shape[1:])
    )
    done = 0
    for chunk in chain([first], chunks):
        if done + len(chunk) > count or chunk.shape[1:] != first.shape[1:]:
            raise DataError(f"{name}: {split} has more images than its {count} labels, or of several sizes")
        images[done : done + len(chunk)] = chunk
        digest.update(np.ascontiguousarray(chunk).data)
        done += len(chunk)
    if done != count:
        raise DataError(f"{name}: {split} has {done} images but {count} labels")
    images.flush()
    digest.update(raw.labels.tobytes())
    np.save(folder / f"{split}_labels.npy", raw.labels)
