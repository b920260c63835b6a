"""Image folders: split/class/picture.jpg, classes in the order of their names."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from lrlc.harness.data.classes import check_told_apart
from lrlc.harness.data.decoding import Decoding, Encoded
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.looks import is_picture
from lrlc.harness.data.source import RawSplit, encoded_splits
from lrlc.harness.data.walk import check_distinct, encoded_bytes, files_below

SPLITS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
OTHER_PICTURES = {
    ".tif",
    ".tiff",
    ".gif",
    ".ppm",
    ".pgm",
    ".pbm",
    ".jp2",
    ".jfif",
    ".heic",
    ".avif",
    ".tga",
    ".npy",
    ".npz",
    ".heif",
    ".jxl",
    ".dng",
}
"""Formats that are not supported. They are refused, as skipping them would leave pictures out of a class.

Other pictures without a supported ending are recognized by their content (`looks.is_picture`).
"""


def image_folders(folder: Path) -> dict[str, list[Path]]:
    """The class folders of each split, in the order of their names; DataError if a split appears twice."""
    found: dict[str, list[Path]] = {}
    for name, split in SPLITS.items():
        classes = _classes(folder / name) if (folder / name).is_dir() else []
        if classes and split in found:
            raise DataError(
                f"{folder / name}: beside {found[split][0].parent.name} it is a second {split} split"
            )
        if classes:
            found[split] = classes
    return found


def read_image_folder(folders: Mapping[str, Sequence[Path]], decoding: Decoding) -> Mapping[str, RawSplit]:
    """The splits, which all have the classes of train; DataError for a missing or empty class, or an unknown format.

    The pictures of a split are in an order that does not depend on their class, as the first tenth is held out for
    validation and `train_images` takes the first ones.
    """
    check_distinct(child for children in folders.values() for child in children)
    for children in folders.values():
        check_told_apart(str(children[0].parent), [child.name for child in children])
    classes = {child.name: number for number, child in enumerate(folders.get("train", []))}
    parts = {}
    for split, children in folders.items():
        _check_same_classes(children, folders["train"])
        pictures = [(path, classes[child.name]) for child in children for path in _pictures(child)]
        pictures.sort(key=lambda picture: _shuffled(picture[0]))
        labels = np.array([number for _, number in pictures], np.int64)
        parts[split] = labels, _images([path for path, _ in pictures])
    return encoded_splits(parts, decoding)


def unread(folder: Path, folders: Mapping[str, Sequence[Path]]) -> list[Path]:
    """Files below `folder` other than the pictures in its class `folders`."""
    read = {
        os.path.realpath(path) for children in folders.values() for child in children for path in _read(child)
    }
    return [path for path in files_below(folder) if os.path.realpath(path) not in read]


def _check_same_classes(children: Sequence[Path], of_train: Sequence[Path]) -> None:
    names, trained = {child.name for child in children}, {child.name for child in of_train}
    for child in children:
        if child.name not in trained:
            raise DataError(f"{child}: train has no class {child.name!r}")
    if lacking := sorted(trained - names):
        raise DataError(f"{children[0].parent}: no class folder {lacking[0]!r}, which train has")


def _pictures(child: Path) -> list[Path]:
    """The pictures of a class; DataError if it has none, or some in unsupported formats or subfolders."""
    endings = ", ".join(sorted(ENDINGS))
    for path in files_below(child):
        ending = path.suffix.lower()
        if (path.parent == child and ending in ENDINGS) or not _holds_picture(path):
            continue
        if path.parent != child:
            raise DataError(f"{path}: only pictures directly in {child} are read; move it there or away")
        raise DataError(
            f"{path}: {ending or 'no ending'} is not read; convert it to one of {endings}, or take it away"
        )
    pictures = _read(child)
    if not pictures:
        raise DataError(f"{child}: a class without a picture ({endings}); take the folder away or fill it")
    return pictures


def _holds_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS | OTHER_PICTURES or is_picture(path)


def _read(child: Path) -> list[Path]:
    return [path for path in child.iterdir() if path.suffix.lower() in ENDINGS and path.name[0] != "."]


def _classes(place: Path) -> list[Path]:
    return sorted(child for child in place.iterdir() if child.is_dir() and not child.name.startswith("."))


def _shuffled(path: Path) -> bytes:
    return hashlib.sha256(os.fsencode(f"{path.parent.name}/{path.name}")).digest()


def _images(paths: list[Path]) -> Callable[[], Iterator[Encoded]]:
    return lambda: ((str(path), encoded_bytes(path)) for path in paths)
