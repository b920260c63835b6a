"""IDX files, as MNIST and Fashion-MNIST come: train-images-idx3-ubyte and friends, gzipped or not."""

import gzip
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrlc.harness.data.errors import DataError
from lrlc.harness.data.limits import MOST_IDX_BYTES
from lrlc.harness.data.source import RawSplit
from lrlc.harness.data.walk import files_below
from lrlc.harness.errors import first_line

UBYTE = 8
NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def idx_files(folder: Path) -> dict[str, tuple[Path, Path]] | None:
    """The image and label file of each split; None if there are none, DataError if some are missing."""
    found = {name: _find(folder, name) for names in NAMES.values() for name in names}
    lacking = [name for name, path in found.items() if path is None]
    if len(lacking) == len(found):
        return None
    if lacking:
        raise DataError(f"{folder}: no {lacking[0]} (or {lacking[0]}.gz) beside the other IDX files")
    paths = {name: path for name, path in found.items() if path is not None}
    return {split: (paths[images], paths[labels]) for split, (images, labels) in NAMES.items()}


def read_idx_splits(files: Mapping[str, tuple[Path, Path]]) -> dict[str, RawSplit]:
    """Both splits; DataError if a file is cut off or the counts differ."""
    splits = {}
    for split, (image_file, label_file) in files.items():
        images, labels = read_idx(image_file, axes=3), read_idx(label_file, axes=1)
        if len(images) != len(labels):
            raise DataError(
                f"{image_file}: {len(images)} images but {len(labels)} labels in {label_file.name}"
            )
        splits[split] = RawSplit.of(images, labels)
    return splits


def _unpacked(path: Path) -> bytes:
    if not path.is_file():
        raise DataError(f"{path}: is not a regular file")
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        content = file.read(MOST_IDX_BYTES + 1)
    if len(content) > MOST_IDX_BYTES:
        raise DataError(f"{path}: holds more than {MOST_IDX_BYTES >> 20} MiB, the limit for an IDX file")
    return content


def _content(path: Path) -> bytes:
    try:
        return _unpacked(path)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)}); fetch it again") from error


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """The array of an IDX file of unsigned bytes that must have `axes` axes."""
    content = _content(path)
    start = 4 + 4 * axes
    if len(content) < start or content[:4] != bytes([0, 0, UBYTE, axes]):
        raise DataError(f"{path}: not an IDX file of unsigned bytes with {axes} axes; fetch it again")
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    values = np.frombuffer(content, np.uint8, offset=start)
    if len(values) != math.prod(shape):
        raise DataError(
            f"{path}: holds {len(values)} values, its header says {math.prod(shape)}; fetch it again"
        )
    return values.reshape(shape)


def _find(folder: Path, name: str) -> Path | None:
    # Copies with a dot before 'idx' (train-images.idx3-ubyte) are also common.
    spellings = {name + end for name in (name, name.replace("-idx", ".idx")) for end in ("", ".gz")}
    found = [path for path in files_below(folder) if path.name in spellings]
    if len({path.parent for path in found}) > 1:
        raise DataError(f"{folder}: holds {found[0]} and {found[-1]}; take one data set away")
    _check_same(found)
    return next(iter(found), None)


def _check_same(found: Sequence[Path]) -> None:
    """DataError if the packed and the unpacked copy of a file differ."""
    for other in found[1:]:
        if _content(other) != _content(found[0]):
            raise DataError(f"{other}: differs from {found[0].name} beside it; take one of them away")
