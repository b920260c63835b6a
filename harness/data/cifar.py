"""CIFAR-10's Python archive, read without unpickling anything but arrays and plain values."""

import pickle
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lrlc.harness.data.dataset import Images, Labels
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.pickled import load_arrays
from lrlc.harness.data.source import RawSplit
from lrlc.harness.errors import first_line
from lrlc.studies.paths import check_regular

FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"
BATCHES = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
NAMES = [name for names in BATCHES.values() for name in names]
LARGEST_BATCH = 64 << 20
"""Upper bound in bytes; the real ones have 31 million."""


def cifar_files(folder: Path) -> list[Path] | None:
    """The extracted batches or the archive; None if neither exists."""
    for place in (folder / FOLDER, folder):
        if all((place / name).is_file() for name in NAMES):
            return [place / name for name in NAMES]
    archive = folder / ARCHIVE
    return [archive] if archive.is_file() else None


def read_cifar(files: list[Path]) -> Mapping[str, RawSplit]:
    """Train and test as (N, 32, 32, 3) uint8; DataError if a file is not that of CIFAR-10."""
    archive = files[0] if files[0].name == ARCHIVE else None
    contents = _from_archive(archive) if archive else {path.name: _bytes(path) for path in files}
    _check_distinct(contents, archive or files[0].parent)
    splits = {}
    for split, names in BATCHES.items():
        batches = [_batch(name, contents, archive or files[0].parent) for name in names]
        images = np.concatenate([images for images, _ in batches])
        splits[split] = RawSplit.of(images, np.concatenate([labels for _, labels in batches]))
    return splits


def _check_distinct(contents: Mapping[str, bytes], where: Path) -> None:
    names: dict[bytes, str] = {}
    for name, content in contents.items():
        if (other := names.setdefault(content, name)) != name:
            raise DataError(f"{where}: {name} and {other} are the same; fetch it again")


def _bytes(path: Path) -> bytes:
    try:
        check_regular(path)
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _from_archive(path: Path) -> dict[str, bytes]:
    contents = {}
    try:
        check_regular(path)
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name).name
                if name not in NAMES or not member.isfile():
                    continue
                if name in contents:
                    raise DataError(f"{path}: {name} stands in it twice; fetch it again")
                file = archive.extractfile(member) if member.size <= LARGEST_BATCH else None
                contents[name] = file.read() if file is not None else b""
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a whole archive ({first_line(error)}); fetch it again") from error
    return contents


def _batch(name: str, contents: Mapping[str, bytes], where: Path) -> tuple[Images, Labels]:
    if name not in contents:
        raise DataError(f"{where}: no {name} in it; fetch it again")
    try:
        batch = load_arrays(contents[name])
        pixels, labels = batch[b"data"], _whole_numbers(batch[b"labels"])
        if pixels.shape != (len(labels), 3072):
            raise ValueError(f"{len(labels)} labels, but data of shape {pixels.shape}")
        images: Images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    except (pickle.UnpicklingError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{where}: {name} is not a CIFAR-10 batch ({error}); fetch it again") from error
    wrong = np.flatnonzero((labels < 0) | (labels > 9))
    if len(wrong):
        raise DataError(f"{where}: {name} row {wrong[0]}: label {labels[wrong[0]]} is outside 0..9")
    return images, labels


def _whole_numbers(values: Any) -> Labels:
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise TypeError("its labels are not a list of whole numbers")
    return np.array(values, np.int64)
