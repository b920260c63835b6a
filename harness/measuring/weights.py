"""The combining weights of a trained network: maps for figures, and their spread over positions and images."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor, nn

from lrlc import layers
from lrlc.harness.data import DeviceSplit
from lrlc.results.schema import WeightMap

MAPPED_IMAGES = 4
"""Input-dependent combining weights are stored for this many test images."""

SPREAD_IMAGES = 256
"""Their spread is measured over this many test images."""


@dataclass(frozen=True)
class CombiningWeights:
    """The maps and the spread of combining weights; results.schema defines the standard deviations."""

    maps: tuple[WeightMap, ...]
    spatial_std: float | None
    image_std: float | None


def measure_weights(model: nn.Module, split: DeviceSplit, batch_size: int) -> CombiningWeights:
    """Maps and spread of the combining weights of all low-rank layers, in float32; empty and None without any.

    Input-dependent weights cost a pass over SPREAD_IMAGES images of `split`, others one over MAPPED_IMAGES.
    """
    model.eval()
    mapped = _weights(model, split, torch.arange(min(MAPPED_IMAGES, split.count)))
    spreads = {name: _Spread() for name in mapped}
    varying = [name for name, values in mapped.items() if len(values) > 1]
    for name in mapped.keys() - varying:
        spreads[name].add(mapped[name])
    for indices in torch.split(torch.arange(min(SPREAD_IMAGES, split.count)), batch_size) if varying else ():
        weights = _weights(model, split, indices)
        for name in varying:
            spreads[name].add(weights[name])
    return CombiningWeights(
        maps=tuple(_maps(mapped)),
        spatial_std=_mean(spread.over_positions for spread in spreads.values()),
        image_std=_mean(spreads[name].over_images for name in varying),
    )


def _weights(model: nn.Module, split: DeviceSplit, indices: Tensor) -> dict[str, Tensor]:
    """The weights (1 or N, K, H', W') of each layer."""
    images, _ = split.gather(indices)
    with torch.no_grad():
        return layers.combining_weight_maps(model, images)


class _Spread:
    """Sums over images, kept on the device, as reading each batch would wait for the GPU."""

    def __init__(self) -> None:
        self._images = 0
        self._stds = self._sum = self._squares = torch.zeros((), dtype=torch.float64)

    def add(self, weights: Tensor) -> None:
        """Add the weights (n, K, H', W') of n images."""
        values = weights.double()
        self._images += len(values)
        self._stds = self._stds.to(values.device) + values.std((2, 3), correction=0).mean(1).sum()
        self._sum = self._sum.to(values.device) + values.sum(0)
        self._squares = self._squares.to(values.device) + values.square().sum(0)

    @property
    def over_positions(self) -> float:
        return self._stds.item() / self._images

    @property
    def over_images(self) -> float:
        mean = self._sum / self._images
        variance = self._squares / self._images - mean.square()
        return variance.clamp_min(0).sqrt().mean().item()


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return fmean(known) if known else None


def _maps(weights: dict[str, Tensor]) -> Iterator[WeightMap]:
    """One per bank if fixed, one per bank and image if input-dependent."""
    for layer, values in weights.items():
        for image, banks in enumerate(values.float().cpu()):
            for bank, plane in enumerate(banks):
                yield WeightMap(
                    layer=layer,
                    bank=bank,
                    image=image if len(values) > 1 else None,
                    height=plane.shape[0],
                    width=plane.shape[1],
                    values=tuple(plane.flatten().tolist()),
                )
