"""TensorFlow 1's `resize_bicubic`, which does not average over the source pixels when it shrinks (no antialiasing).

Output pixel i of n is read at i * length / n of the source, not at the pixels' centres, from the four nearest source
pixels, the edge repeated, with the cubic convolution kernel of Keys (1981) at a = -0.75.
"""

import numpy as np
from numpy.typing import NDArray

from lrlc.harness.data.dataset import Images

A = -0.75


def resize_bicubic(image: Images, size: tuple[int, int]) -> Images:
    """`image` (H, W, C) as (*size, C), rounded and clipped to 0..255 (TensorFlow does not clip)."""
    down, across = (_weights(length, count) for length, count in zip(image.shape[:2], size, strict=True))
    values = np.einsum("yh,xw,hwc->yxc", down, across, image.astype(np.float64), optimize=True)
    resized: Images = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return resized


def _weights(length: int, count: int) -> NDArray[np.float64]:
    """(count, length): the share of each source pixel in each output pixel."""
    places = np.arange(count) * (length / count)
    first = np.floor(places).astype(np.int64)
    weights = np.zeros((count, length))
    for step in (-1, 0, 1, 2):
        distance = np.abs(places - (first + step))
        np.add.at(weights, (np.arange(count), np.clip(first + step, 0, length - 1)), _kernel(distance))
    return weights


def _kernel(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    near = ((A + 2) * distance - (A + 3)) * distance**2 + 1
    far = ((A * distance - 5 * A) * distance + 8 * A) * distance - 4 * A
    return np.where(distance <= 1, near, far)
