"""Batches gathered from the decoded arrays by index: no per-sample Python, on a GPU no copy per step."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data.shelf import HeldSplit
from harness.data.translate import shift


class DeviceSplit:
    """A split ready for training, as its device holds it; `offsets` (N, 2) move each image."""

    def __init__(
        self, held: HeldSplit, scaling: tuple[float, float], offsets: NDArray[np.int64] | None = None
    ) -> None:
        self.device = held.labels.device
        self.count = len(held.labels)
        self.on_device = held.images is not None
        self.values_per_image = int(np.prod(held.memory_map.shape[1:]))
        self._held = held
        self._offsets = None if offsets is None else torch.from_numpy(offsets).to(self.device)
        low, high = scaling
        self._scale, self._low = (high - low) / 255, low

    def moved(self, down: int, right: int) -> "DeviceSplit":
        """The same images, each moved by as many pixels beside its own offset; what comes in is black."""
        by = torch.tensor([[down, right]], device=self.device)
        other = copy.copy(self)
        other._offsets = by.expand(self.count, 2) if self._offsets is None else self._offsets + by
        return other

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images (n, C, H, W) float32 in channels_last memory, scaled, and labels (n,) of `indices` (n,)."""
        if self._held.images is None:
            images = torch.from_numpy(self._held.memory_map[indices.cpu().numpy()]).to(self.device)
            indices = indices.to(self.device)
        else:
            indices = indices.to(self.device)
            images = self._held.images[indices]
        if self._offsets is not None:
            images = shift(images, self._offsets[indices])
        scaled = images.to(torch.float32).mul_(self._scale).add_(self._low)
        return scaled.permute(0, 3, 1, 2), self._held.labels[indices]
