"""A decoded data set: three splits of uint8 images, memory-mapped and shared by all processes of a machine."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """`images` (N, H, W, C) uint8 and `labels` (N,) int64 from 0."""

    images: Images
    labels: Labels

    def head(self, count: int | None) -> "Split":
        """The first `count` images; all of them for None."""
        return Split(self.images[:count], self.labels[:count])


@dataclass(frozen=True)
class Dataset:
    """`scaling` holds the values that pixels of 0 and 255 are mapped to; `digest` identifies the whole content."""

    title: str
    train: Split
    validation: Split
    test: Split
    num_classes: int
    scaling: tuple[float, float]
    digest: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        _, height, width, channels = self.train.images.shape
        return channels, height, width
