"""How aligned a data set is: whether a pixel's position means the same thing in every image.

Alignment is the mean correlation of two images of the data set: over all pairs, each channel with its own mean removed.
It is the share of an image's contrast that the mean image explains: 0 if the mean image is flat, 1 if all images are
the same. (Torralba and Oliva 2003 compare mean images of categories; congealing, Learned-Miller 2006, aligns a stack of
images by what it shares at each pixel.) Pixels that a shift moved in do not belong to an image and are left out.
"""

import numpy as np
from numpy.typing import NDArray

from lrlc.harness.data.dataset import Images

VALUES_AT_ONCE = 2_000_000
Inside = NDArray[np.bool_]


def alignment(images: Images, inside: Inside | None = None) -> float:
    """Mean pairwise correlation of `images` (N, H, W, C) over the pixels `inside` both images (N, H, W); None: all.

    Each image is scaled by its contrast over its own inside, so pairs whose insides overlap little count less. NaN for
    fewer than two images.
    """
    count = len(images)
    if count < 2:
        return float("nan")
    total, squares = np.zeros(images[0].size), 0.0
    step = max(1, VALUES_AT_ONCE // images[0].size)
    for start in range(0, count, step):
        part = slice(start, start + step)
        unit = _unit(images[part], None if inside is None else inside[part])
        total += unit.sum(axis=0, dtype=np.float64)
        squares += float((unit**2).sum(dtype=np.float64))
    return float((total @ total - squares) / (count * (count - 1)))


def _unit(images: Images, inside: Inside | None) -> NDArray[np.float32]:
    """(N, H*W*C): each image minus its channels' means, scaled to length 1; 0 outside and for a flat image."""
    values = images.astype(np.float32)
    kept = np.ones(images.shape[:3], dtype=bool) if inside is None else inside
    weights = kept[..., None].astype(np.float32)
    pixels = np.maximum(weights.sum(axis=(1, 2), keepdims=True), 1)
    centred = (values - (values * weights).sum(axis=(1, 2), keepdims=True) / pixels) * weights
    flat: NDArray[np.float32] = centred.reshape(len(images), -1)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.where(lengths > 1e-3, flat / np.maximum(lengths, 1e-3), 0).astype(np.float32)
