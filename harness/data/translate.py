"""Translation: every image has its own offset, the same for a given image and seed in every trial."""

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def offsets(count: int, pixels: int, seed: int, split: str) -> NDArray[np.int64]:
    """(count, 2) shifts down and right, each uniform in -pixels..pixels.

    Image i of a split gets the i-th draw, whatever the number of images.
    """
    key = hashlib.sha256(f"{seed}/translate/{split}".encode()).digest()[:8]
    return np.random.default_rng(int.from_bytes(key, "big")).integers(-pixels, pixels + 1, (count, 2))


def shift(images: Tensor, by: Tensor) -> Tensor:
    """`images` (N, H, W, C) moved by `by` (N, 2) pixels down and right, and filled with zeros."""
    count, height, width, _ = images.shape
    rows = torch.arange(height, device=images.device) - by[:, 0, None]  # (N, H): where each row comes from
    columns = torch.arange(width, device=images.device) - by[:, 1, None]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    batch = torch.arange(count, device=images.device)[:, None, None]
    moved = images[batch, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]]
    return moved * inside[..., None]
