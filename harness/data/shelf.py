"""The data sets on a device: copied once, and kept from one trial to the next while they fit."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lrlc.harness.data.dataset import Dataset, Images, Split

SHARE_OF_FREE_MEMORY = 0.25
"""A split that needs a larger share of the device's free memory stays in the memory map (ImageNet: 190 GB)."""

SPARE_SHARE = 1 / 64
"""The share of a GPU's memory for data sets that the current trial does not use; packing accounts for it."""


@dataclass(frozen=True)
class HeldSplit:
    """A split on a device: its labels, and its images unless they stay in the shared memory map."""

    memory_map: Images
    images: Tensor | None  # (N, H, W, C) uint8
    labels: Tensor

    @classmethod
    def on(cls, device: torch.device, split: Split, room_bytes: float) -> "HeldSplit":
        """Copy the split to the device; its images only if they need at most `room_bytes`."""
        # Copied first, as torch warns of tensors over read-only memory.
        labels = torch.from_numpy(np.array(split.labels)).to(device)
        if split.images.nbytes > room_bytes:
            return cls(split.images, None, labels)
        return cls(split.images, torch.from_numpy(np.array(split.images)).to(device), labels)

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for tensor in (self.images, self.labels) if tensor is not None)


class Shelf:
    """The data sets on one device: the one in use, and up to `spare_bytes` of others, most recently used first.

    On a CPU images stay in the memory map, which all processes share, unless `room_bytes` is given.
    """

    def __init__(
        self, device: torch.device, *, room_bytes: float | None = None, spare_bytes: float | None = None
    ) -> None:
        self._device, self._room_bytes = device, room_bytes
        self._spare_bytes = _spare_bytes(device) if spare_bytes is None else spare_bytes
        # Keyed by identity, which stays valid as the data set is kept in the value; the most recently used is last.
        self._held: dict[int, tuple[Dataset, Mapping[str, HeldSplit]]] = {}

    def splits(self, dataset: Dataset) -> Mapping[str, HeldSplit]:
        """Train, validation and test of `dataset` on the device; others are dropped to make room for it."""
        found = self._held.pop(id(dataset), None)
        while self.bytes > self._spare_bytes:
            del self._held[next(iter(self._held))]
        if found is None:
            if self._device.type == "cuda":
                torch.cuda.empty_cache()  # otherwise the freed memory would not count as free
            parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
            found = (
                dataset,
                {name: HeldSplit.on(self._device, part, self._room()) for name, part in parts.items()},
            )
        self._held[id(dataset)] = found
        return found[1]

    @property
    def bytes(self) -> int:
        """Bytes of all data sets."""
        return sum(part.bytes for _, parts in self._held.values() for part in parts.values())

    def bytes_beside(self, dataset: Dataset) -> int:
        """Bytes of the other data sets."""
        _, parts = self._held.get(id(dataset), (dataset, {}))
        return self.bytes - sum(part.bytes for part in parts.values())

    def clear(self) -> None:
        """Drop all data sets."""
        self._held.clear()

    def _room(self) -> float:
        if self._room_bytes is not None:
            return self._room_bytes
        if self._device.type == "cuda":
            return SHARE_OF_FREE_MEMORY * torch.cuda.mem_get_info(self._device)[0]
        return 0.0 if self._device.type == "cpu" else float("inf")


def _spare_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        return SPARE_SHARE * torch.cuda.get_device_properties(device).total_memory
    return float("inf")
