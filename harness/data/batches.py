"""Batches gathered from the decoded arrays by index: no Python per sample and, on a GPU, no copy per step."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrlc.harness.data.dataset import Dataset, Labels
from lrlc.harness.data.drawing import Rows, drawn, shuffled
from lrlc.harness.data.shelf import HeldSplit, Shelf
from lrlc.harness.data.translate import offsets, shift
from lrlc.studies import DatasetSpec


class DeviceSplit:
    """A split ready for training, on its device.

    `rows` (n,) are the split's images among the N held ones, or None for all of them; `offsets` (N, 2) shift each
    image. `labels` (n,) replace the images' own labels.
    """

    def __init__(
        self,
        held: HeldSplit,
        scaling: tuple[float, float],
        offsets: NDArray[np.int64] | None = None,
        *,
        rows: Rows | None = None,
        labels: Labels | None = None,
    ) -> None:
        self.device = held.labels.device
        self.count = len(held.labels) if rows is None else len(rows)
        self.on_device = held.images is not None
        self.values_per_image = int(np.prod(held.memory_map.shape[1:]))
        self._held = held
        self._rows = None if rows is None else self._placed(rows, on_device=self.on_device)
        self._offsets = None if offsets is None else self._placed(offsets)
        self._labels = self._own_labels() if labels is None else self._placed(labels)
        low, high = scaling
        self._scale, self._low = (high - low) / 255, low
        self.black = low

    def moved(self, down: int, right: int) -> "DeviceSplit":
        """The same images, each moved by this many pixels in addition to its own offset, and filled with black."""
        by = torch.tensor([[down, right]], device=self.device)
        other = copy.copy(self)
        other._offsets = by.expand(len(self._held.labels), 2) if self._offsets is None else self._offsets + by
        return other

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images (n, C, H, W) float32 in channels_last memory, scaled, and labels (n,) of `indices` (n,)."""
        if self._held.images is None:
            rows = self._rows_of(indices.cpu())
            images = torch.from_numpy(self._held.memory_map[rows.numpy()]).to(self.device)
        else:
            rows = self._rows_of(indices.to(self.device))
            images = self._held.images[rows]
        if self._offsets is not None:
            images = shift(images, self._offsets[rows.to(self.device)])
        scaled = images.to(torch.float32).mul_(self._scale).add_(self._low)
        return scaled.permute(0, 3, 1, 2), self._labels[indices.to(self.device)]

    def _rows_of(self, indices: Tensor) -> Tensor:
        return indices if self._rows is None else self._rows[indices]

    def _own_labels(self) -> Tensor:
        return self._held.labels if self._rows is None else self._held.labels[self._rows.to(self.device)]

    def _placed(self, values: NDArray[np.int64], *, on_device: bool = True) -> Tensor:
        placed = torch.from_numpy(values)
        return placed.to(self.device) if on_device else placed


def device_splits(spec: DatasetSpec, seed: int, dataset: Dataset, shelf: Shelf) -> dict[str, DeviceSplit]:
    """The splits of `dataset` as a trial of `seed` sees them: drawn, shifted and with shuffled labels, as in `spec`.

    An image's shift does not depend on which other images are drawn. Labels of the test split are never shuffled.
    """

    def ready(name: str, split: HeldSplit) -> DeviceSplit:
        shifts = offsets(len(split.labels), spec.translate, seed, name) if spec.translate else None
        rows, labels = None, None
        if name == "train" and spec.draw == "seed" and spec.train_images is not None:
            rows = drawn(split.labels.cpu().numpy(), spec.train_images, seed)
        if name != "test" and spec.shuffle_labels:
            own = split.labels.cpu().numpy()
            labels = shuffled(own if rows is None else own[rows], seed, name)
        return DeviceSplit(split, dataset.scaling, shifts, rows=rows, labels=labels)

    return {name: ready(name, split) for name, split in shelf.splits(dataset).items()}
