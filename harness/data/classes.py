"""Check that every class is present, in training and in the held-out splits."""

import unicodedata
from collections.abc import Iterable, Mapping

import numpy as np

from lrlc.harness.data.dataset import Labels
from lrlc.harness.data.errors import DataError

EXPECTED = 20
"""A class that should have this many images in a split, going by train, is not missing by chance (2 in a billion)."""


def check_classes(name: str, labels: Mapping[str, Labels], num_classes: int | None) -> None:
    """DataError if train skips a class or has only one, or another split has one that train lacks, or lacks one.

    Train may skip classes of a data set that declares its number of classes.
    """
    trained, counts = np.unique(labels["train"], return_counts=True)
    if num_classes is None and trained[-1] != len(trained) - 1:
        gap = next(number for number, label in enumerate(trained) if label != number)
        raise DataError(
            f"{name}: train has no image of class {gap}, but of classes up to {trained[-1]}; "
            "number the classes from 0 without gaps"
        )
    if len(trained) < 2:
        raise DataError(f"{name}: all images of train are of class {trained[0]}; learning takes two classes")
    for split, of_split in labels.items():
        there = np.unique(of_split)
        if len(unknown := np.setdiff1d(there, trained)):
            raise DataError(f"{name}: {split} has images of class {unknown[0]}, which train lacks")
        expected = counts * (len(of_split) / len(labels["train"]))
        lacking = trained[(expected >= EXPECTED) & ~np.isin(trained, there)]
        if len(lacking):
            raise DataError(f"{name}: {split} has no image of class {lacking[0]}, of which train has many")


def check_told_apart(what: str, names: Iterable[str]) -> None:
    """DataError if a class has no name, or two names look the same (trailing spaces, composed accents)."""
    seen: dict[str, str] = {}
    for name in names:
        if not (read := unicodedata.normalize("NFC", name).strip()):
            raise DataError(f"{what}: a class without a name, {name!r}; name it, or take its images away")
        if (other := seen.setdefault(read, name)) != name:
            raise DataError(f"{what}: the classes {other!a} and {name!a} look alike; give both one name")
