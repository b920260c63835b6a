"""A data set's content: its splits, checked while they are read, and the digest that identifies them."""

import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from lrlc.harness.data.classes import check_classes
from lrlc.harness.data.dataset import Images, Labels
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.limits import check_expansion
from lrlc.harness.data.source import RawSplit, Source
from lrlc.harness.errors import first_line

SPLITS = ("train", "validation", "test")

Progress = Callable[[str, int, int], None]
"""Called with the split, the number of its images decoded so far and their total."""


class Content:
    """The images of a data set while they are read: counts them, compares their shapes, and updates the digest.

    The digest is a hash of every image and label, the split rule and the scaling: it identifies the data in a trial.
    """

    def __init__(self, name: str, source: Source, progress: Progress | None = None) -> None:
        self._name, self._progress, self._files = name, progress, source.files
        self._shape: tuple[int, ...] | None = None
        self._hash = hashlib.sha256(f"{source.scaling} {source.validation_fraction}".encode())

    def stream(self, split: str, raw: RawSplit) -> Iterator[Images]:
        """The chunks of `raw`; DataError if they do not fit together. Splits must come in the order of SPLITS."""
        count, done = len(raw.labels), 0
        try:
            for chunk in raw.chunks():
                self._shape = self._shape or chunk.shape[1:]
                if chunk.shape[1:] != self._shape:
                    raise DataError(
                        f"{self._name}: {split} row {done}: images of {chunk.shape[1:]} (H, W, C) "
                        f"among images of {self._shape}"
                    )
                if done == 0:
                    check_expansion(f"{self._name}: {split}", count * chunk[0].nbytes, self._files)
                    self._hash.update(f"{split} {count} {self._shape}".encode())
                self._hash.update(np.ascontiguousarray(chunk).data)
                done += len(chunk)
                if done > count:
                    break
                yield chunk
                if self._progress is not None:
                    self._progress(split, done, count)
        except (
            OSError
        ) as error:  # the source's; the code that consumes the chunks raises outside this generator
            raise DataError(
                f"{self._name}: {split} cannot be read after row {done} ({first_line(error)})"
            ) from error
        if done != count:
            raise DataError(f"{self._name}: {split} has {count:,} labels but {done:,} images or more")
        self._hash.update(raw.labels.astype("<i8").tobytes())

    def digest(self) -> str:
        """16 hexadecimal digits."""
        return self._hash.hexdigest()[:16]


def checked_splits(name: str, source: Source) -> dict[str, RawSplit]:
    """The splits of `source` in the order of SPLITS; DataError if one is missing or empty, or a label is wrong."""
    raw = source.read()
    for split in ("train", "test"):
        if split not in raw:
            raise DataError(f"{name}: no {split} split")
    for split, values in raw.items():
        if split not in SPLITS:
            raise DataError(f"{name}: a split called {split!r}; splits are {', '.join(SPLITS)}")
        _check_labels(f"{name}: {split}", values.labels, source.num_classes)
    check_classes(name, {split: values.labels for split, values in raw.items()}, source.num_classes)
    return {split: raw[split] for split in SPLITS if split in raw}


def _check_labels(what: str, labels: Labels, num_classes: int | None) -> None:
    if not len(labels):
        raise DataError(f"{what} is empty")
    wrong = np.flatnonzero((labels < 0) | (labels >= (num_classes or np.inf)))
    if len(wrong):
        allowed = f"outside 0..{num_classes - 1}" if num_classes else "under 0"
        raise DataError(f"{what} row {wrong[0]}: label {labels[wrong[0]]} is {allowed}")
