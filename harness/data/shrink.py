"""Shrink images once, when they are decoded into the cache.

Uses a box filter if the ratio is a whole number in both axes: each pixel is the mean of those it covers. Otherwise uses
Pillow's bicubic, which averages over the source pixels when it shrinks (antialiasing). The same for all file layouts.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from lrlc.harness.data.dataset import Images
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.source import RawSplit, Source

AT_ONCE = 512
"""Images shrunk at once, as a chunk may be a whole data set."""

Size = tuple[int, int]


def shrunk(name: str, source: Source, size: Size) -> Source:
    """`source` with images of `size` (H, W) pixels, without keeping their aspect ratio.

    Decoding it raises DataError if that would enlarge an axis.
    """

    def read() -> dict[str, RawSplit]:
        return {split: _shrunk_split(name, raw, size) for split, raw in source.read().items()}

    return replace(source, read=read, settings=f"{source.settings} shrunk to {size}")


def shrink(images: Images, size: Size) -> Images:
    """Shrink `images` (N, H, W, C) to (N, *size, C), rounded to whole values."""
    height, width = images.shape[1:3]
    if (height, width) == size:
        return images
    if method(height, width, size) == BOX:
        return _box(images, size)
    return np.stack([_bicubic(image, size) for image in images])


BOX, BICUBIC = "box filter", "bicubic, antialiased"


def method(height: int, width: int, size: Size) -> str:
    """How images of `height` x `width` pixels are shrunk, in words."""
    return BICUBIC if height % size[0] or width % size[1] else BOX


def _shrunk_split(name: str, raw: RawSplit, size: Size) -> RawSplit:
    def chunks() -> Iterator[Images]:
        for chunk in raw.chunks():
            height, width = chunk.shape[1:3]
            if height < size[0] or width < size[1]:
                raise DataError(
                    f"{name}: images of {height}x{width} pixels cannot be enlarged to {size[0]}x{size[1]}; "
                    f"give a `size` up to theirs"
                )
            yield from (
                shrink(chunk[start : start + AT_ONCE], size) for start in range(0, len(chunk), AT_ONCE)
            )

    return replace(raw, chunks=chunks)


def _box(images: Images, size: Size) -> Images:
    count, height, width, channels = images.shape
    down, across = height // size[0], width // size[1]
    blocks = images.reshape(count, size[0], down, size[1], across, channels)
    sums = blocks.sum(axis=(2, 4), dtype=np.uint32)
    means: Images = ((sums + down * across // 2) // (down * across)).astype(np.uint8)
    return means


def _bicubic(image: Images, size: Size) -> Images:
    """Shrink (H, W, C) channel by channel, so that Pillow treats none as transparency."""
    planes = [Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(image, -1, 0)]
    resized = [plane.resize((size[1], size[0]), Image.Resampling.BICUBIC) for plane in planes]
    return np.stack([np.asarray(plane) for plane in resized], axis=-1)
