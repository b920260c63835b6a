"""IDX files, as MNIST and Fashion-MNIST come: train-images-idx3-ubyte and friends, gzipped or not."""

import gzip
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.errors import DataError
from harness.data.source import RawSplit

UBYTE = 8
NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def idx_files(folder: Path) -> dict[str, tuple[Path, Path]] | None:
    """The image and label file of each split; None unless all four are there."""
    found = {
        split: (_find(folder, images), _find(folder, labels)) for split, (images, labels) in NAMES.items()
    }
    whole = {split: (a, b) for split, (a, b) in found.items() if a is not None and b is not None}
    return whole if len(whole) == len(NAMES) else None


def read_idx_splits(files: Mapping[str, tuple[Path, Path]]) -> dict[str, RawSplit]:
    """Both splits; DataError where a file is cut off or the counts differ."""
    splits = {}
    for split, (image_file, label_file) in files.items():
        images, labels = read_idx(image_file), read_idx(label_file)
        if len(images) != len(labels):
            raise DataError(
                f"{image_file}: {len(images)} images but {len(labels)} labels in {label_file.name}"
            )
        splits[split] = RawSplit.of(images, labels.astype(np.int64))
    return splits


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of an IDX file of unsigned bytes."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: not a whole gzip file ({error}); fetch it again") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UBYTE:
        raise DataError(f"{path}: not an IDX file of unsigned bytes; fetch it again")
    axes = content[3]
    shape = [int.from_bytes(content[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(axes)]
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
    if len(values) != math.prod(shape):
        raise DataError(
            f"{path}: holds {len(values)} values, its header says {math.prod(shape)}; fetch it again"
        )
    return values.reshape(shape)


def _find(folder: Path, name: str) -> Path | None:
    # The originals are also spread with a dot before 'idx' (train-images.idx3-ubyte).
    spellings = (name, name.replace("-idx", ".idx"))
    paths = [path for spelling in spellings for path in sorted(folder.rglob(f"{spelling}*"))]
    return next((path for path in paths if path.suffix in (".gz", "") or path.name in spellings), None)
