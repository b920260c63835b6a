"""Image folders: split/class/picture.jpg, classes in the order of their names."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from harness.data.dataset import Images
from harness.data.errors import DataError
from harness.data.source import Decoding, RawSplit, decode_all

SPLITS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}


def image_folders(folder: Path) -> dict[str, Path]:
    """The split folders that hold class folders."""
    found = {split: folder / name for name, split in SPLITS.items() if (folder / name).is_dir()}
    return {split: path for split, path in found.items() if any(child.is_dir() for child in path.iterdir())}


def read_image_folder(folder: Path, decoding: Decoding) -> Mapping[str, RawSplit]:
    """Every split has the classes of train; DataError where one has a class that train lacks."""
    places = image_folders(folder)
    if "train" not in places:
        raise DataError(f"{folder}: no train/<class>/ folders")
    classes = sorted(child.name for child in places["train"].iterdir() if child.is_dir())
    splits = {}
    for split, place in places.items():
        pairs = []
        for child in sorted(path for path in place.iterdir() if path.is_dir()):
            if child.name not in classes:
                raise DataError(f"{child}: train has no class {child.name!r}")
            paths = sorted(path for path in child.iterdir() if path.suffix.lower() in ENDINGS)
            pairs += [(path, classes.index(child.name)) for path in paths]
        labels = np.array([number for _, number in pairs], np.int64)
        splits[split] = RawSplit(labels, _chunks([path for path, _ in pairs], decoding))
    return splits


def _chunks(paths: list[Path], decoding: Decoding) -> Callable[[], Iterator[Images]]:
    return lambda: decode_all(((str(path), path.read_bytes()) for path in paths), decoding)
