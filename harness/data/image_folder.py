"""Image folders: split/class/picture.jpg, classes in the order of their names."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from lrlc.harness.data.decoding import Decoding, Encoded
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.source import RawSplit

SPLITS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}


def image_folders(folder: Path) -> dict[str, list[Path]]:
    """The class folders of each split, in the order of their names."""
    found = {split: _classes(folder / name) for name, split in SPLITS.items() if (folder / name).is_dir()}
    return {split: classes for split, classes in found.items() if classes}


def read_image_folder(folders: Mapping[str, Sequence[Path]], decoding: Decoding) -> Mapping[str, RawSplit]:
    """Every split has the classes of train; DataError where one has a class that train lacks.

    The pictures of a split are put in an order that does not depend on their class: its first tenth is held out for
    validation, and `train_images` takes its first.
    """
    classes = {child.name: number for number, child in enumerate(folders.get("train", []))}
    splits = {}
    for split, children in folders.items():
        pictures: list[tuple[Path, int]] = []
        for child in children:
            if child.name not in classes:
                raise DataError(f"{child}: train has no class {child.name!r}")
            paths = [
                path for path in child.iterdir() if path.suffix.lower() in ENDINGS and path.name[0] != "."
            ]
            pictures += [(path, classes[child.name]) for path in paths]
        pictures.sort(key=lambda picture: _shuffled(picture[0]))
        labels = np.array([number for _, number in pictures], np.int64)
        splits[split] = RawSplit.encoded(labels, _images([path for path, _ in pictures]), decoding)
    return splits


def _classes(place: Path) -> list[Path]:
    return sorted(child for child in place.iterdir() if child.is_dir() and not child.name.startswith("."))


def _shuffled(path: Path) -> bytes:
    return hashlib.sha256(f"{path.parent.name}/{path.name}".encode()).digest()


def _images(paths: list[Path]) -> Callable[[], Iterator[Encoded]]:
    def encoded() -> Iterator[Encoded]:
        for path in paths:
            try:
                yield str(path), path.read_bytes()
            except OSError as error:
                raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error

    return encoded
