"""Batches gathered from the decoded arrays by index: no per-sample Python, on a GPU no copy per step."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data.dataset import Split
from harness.data.translate import shift

SHARE_OF_FREE_MEMORY = 0.25
"""A split that takes more of the device's free memory stays in the memory map (ImageNet: 190 GB)."""


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
        resident = device.type != "cpu" and split.images.nbytes <= _room(device)
        # Copied first: torch warns of tensors over read-only memory.
        self._images = torch.from_numpy(np.array(split.images)).to(device) if resident else None
        self._labels = torch.from_numpy(np.array(split.labels)).to(device)
        self._offsets = None if offsets is None else torch.from_numpy(offsets).to(device)
        low, high = scaling
        self._scale, self._low = (high - low) / 255, low

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images (n, C, H, W) float32 in channels_last memory, scaled, and labels (n,) of `indices` (n,)."""
        if self._images is None:
            images = torch.from_numpy(self._memory_map[indices.cpu().numpy()]).to(self.device)
            indices = indices.to(self.device)
        else:
            indices = indices.to(self.device)
            images = self._images[indices]
        if self._offsets is not None:
            images = shift(images, self._offsets[indices])
        scaled = images.to(torch.float32).mul_(self._scale).add_(self._low)
        return scaled.permute(0, 3, 1, 2), self._labels[indices]


def _room(device: torch.device) -> float:
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else float("inf")
    return SHARE_OF_FREE_MEMORY * free
