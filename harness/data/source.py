"""Where a data set comes from: its files, and how to read them once."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from lrlc.harness.data.dataset import Images, Labels
from lrlc.harness.data.decoding import Decoding, Encoded, damaged, decode_all
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.looks import count_features, is_grey


@dataclass(frozen=True)
class RawSplit:
    """A split as in its files: labels (N,) and images (n, H, W, C) in chunks, which are only read on demand."""

    labels: Labels
    chunks: Callable[[], Iterator[Images]]
    damage: Callable[[], Iterator[str]] | None = None
    """A line for every image that cannot be decoded, for `lrlc data check`."""
    features: Callable[[], Counter[str]] | None = None
    """How many images are grey, turned or transparent (`looks`), for `lrlc data check`."""

    @classmethod
    def of(cls, images: ArrayLike, labels: ArrayLike) -> "RawSplit":
        """From whole arrays: images (N, H, W, C) or grey (N, H, W), uint8; labels (N,) whole numbers from 0."""
        pixels, numbers = np.asarray(images), np.asarray(labels)
        if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4):
            raise DataError(
                f"images must be uint8 of shape (N, H, W) or (N, H, W, C), got {pixels.dtype} {pixels.shape}"
            )
        if numbers.dtype.kind not in "iub":
            raise DataError(f"labels must be whole numbers, got {numbers.dtype}")
        stacked = pixels[..., None] if pixels.ndim == 3 else pixels
        return cls(numbers.astype(np.int64), lambda: iter([stacked]))

    @classmethod
    def encoded(
        cls, labels: Labels, images: Callable[[], Iterator[Encoded]], decoding: Decoding
    ) -> "RawSplit":
        """From image files in order, each with its name for errors; none is kept in memory longer than needed."""
        return encoded_splits({"": (labels, images)}, decoding)[""]


def encoded_splits(
    parts: Mapping[str, tuple[Labels, Callable[[], Iterator[Encoded]]]], decoding: Decoding
) -> dict[str, RawSplit]:
    """Splits from their labels and image files.

    If `decoding` leaves the mode open, all splits are read as grey if all of their images are, else as RGB.
    """

    @cache
    def settled() -> Decoding:
        if decoding.mode is not None:
            return decoding
        every = (data for _, images in parts.values() for _, data in images())
        return replace(decoding, mode="L" if all(map(is_grey, every)) else "RGB")

    def split(labels: Labels, images: Callable[[], Iterator[Encoded]]) -> RawSplit:
        return RawSplit(
            labels,
            lambda: decode_all(images(), settled()),
            lambda: damaged(images(), settled()),
            lambda: count_features(data for _, data in images()),
        )

    return {name: split(*part) for name, part in parts.items()}


@dataclass(frozen=True)
class Source:
    """A data set before decoding.

    `files` identify the content by path, size and time; a folder's time changes when a file is added. `read` gives the
    splits 'train', 'test' and, if the data set has its own, 'validation'. Without it the first `validation_fraction`
    of train is held out. `scaling` holds the values that pixels of 0 and 255 are mapped to. `num_classes` None means
    the largest label plus one.
    """

    files: Sequence[Path]
    read: Callable[[], Mapping[str, RawSplit]]
    num_classes: int | None = None
    scaling: tuple[float, float] = (0.0, 1.0)
    validation_fraction: float = 0.1
    settings: str = ""
    """Everything else that changes the decoded arrays, such as the crop; part of the cache's key."""
    layout: str = ""
    """For display: 'Parquet', 'IDX files'."""
    choices: Callable[[], Sequence[str]] = tuple
    """For display: lines of `lrlc data check` on what was chosen and what is not read."""


class Reader(Protocol):
    """What `@dataset` registers: a function that finds the data set in its folder without reading images."""

    def __call__(self, folder: Path, label: str | None) -> Source: ...
