"""Batches gathered from the decoded arrays by index: no per-sample Python, on a GPU no copy per step."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data.dataset import Split
from harness.data.translate import shift


class DeviceSplit:
    """A split ready for training: on a GPU its images live there as uint8, on a CPU in the shared memory map."""

    def __init__(
        self,
        split: Split,
        scaling: tuple[float, float],
        device: torch.device,
        offsets: NDArray[np.int64] | None = None,
    ) -> None:
        self.device = device
        self.count = len(split.labels)
        self._memory_map = split.images
        self._images = torch.from_numpy(np.asarray(split.images)).to(device) if device.type != "cpu" else None
        self._labels = torch.from_numpy(split.labels).to(device)
        self._offsets = None if offsets is None else torch.from_numpy(offsets).to(device)
        low, high = scaling
        self._scale, self._low = (high - low) / 255, low

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images (n, C, H, W) float32 in channels_last memory, scaled, and labels (n,) of `indices` (n,)."""
        if self._images is None:
            images = torch.from_numpy(self._memory_map[indices.numpy()])
        else:
            indices = indices.to(self.device)
            images = self._images[indices]
        if self._offsets is not None:
            images = shift(images, self._offsets[indices])
        scaled = images.to(torch.float32).mul_(self._scale).add_(self._low)
        return scaled.permute(0, 3, 1, 2), self._labels[indices]
