"""Equivariance errors: how closely the output of each trained layer moves with its input, as a convolution's does."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lrlc import layers
from lrlc.harness.data import DeviceSplit
from lrlc.harness.measuring.shifts import DIRECTIONS
from lrlc.layers.geometry import Geometry
from lrlc.results.measurements import EquivarianceError

LAYER_IMAGES = 256
"""A layer's error is measured on its inputs for this many test images."""


def equivariance_errors(
    model: nn.Module, split: DeviceSplit, batch_size: int, shifts: Iterable[int]
) -> Iterator[EquivarianceError]:
    """The equivariance error of each placed layer, as defined by EquivarianceError, in float32.

    There is no row for a distance at which no receptive field lies within the moved input, nor for a layer whose
    output is zero.
    """
    distances = [pixels for pixels in shifts if pixels > 0]
    gaps = {name: _Gap(geometry, distances) for name, geometry in layers.placed_layers(model).items()}
    handles = [model.get_submodule(name).register_forward_hook(gap.add) for name, gap in gaps.items()]
    model.eval()
    try:
        with torch.no_grad():
            for indices in torch.split(torch.arange(min(LAYER_IMAGES, split.count)), batch_size):
                model(split.gather(indices)[0])
    finally:
        for handle in handles:
            handle.remove()
    for name, gap in gaps.items():
        for pixels, error in gap.errors():
            yield EquivarianceError(name, pixels, error)


class _Gap:
    """Squared distances and norms of one layer, summed over images on the device, by distance in pixels."""

    def __init__(self, geometry: Geometry, distances: Sequence[int]) -> None:
        self._geometry = geometry
        self._sums = {pixels: torch.zeros(2, dtype=torch.float64) for pixels in distances}

    def add(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """The forward hook that adds one batch."""
        for pixels, sums in self._sums.items():
            sums = sums.to(output.device)
            for down, right in DIRECTIONS:
                by = (pixels * down, pixels * right)
                moved_input = _moved(inputs[0], by, self._geometry.stride)
                of_moved = layer.forward(moved_input)  # not layer(...), which would call this hook again
                rows, columns = (_Window.of(self._geometry, axis, shift) for axis, shift in enumerate(by))
                expected = output[:, :, rows.before, columns.before].double()
                gap = of_moved[:, :, rows.after, columns.after].double() - expected
                sums = sums + torch.stack([gap.square().sum(), expected.square().sum()])
            self._sums[pixels] = sums

    def errors(self) -> Iterator[tuple[int, float]]:
        for pixels, sums in self._sums.items():
            gap, norm = sums.tolist()
            if norm > 0:
                yield pixels, (gap / norm) ** 0.5


@dataclass(frozen=True)
class _Window:
    """Along one axis: the outputs that only see the moved input, and their positions before the move."""

    after: slice
    before: slice

    @staticmethod
    def of(geometry: Geometry, axis: int, shift: int) -> "_Window":
        """An axis without a move is compared as a whole, as both outputs see the same padding there."""
        start, stop = _valid(geometry, axis, shift) if shift else (0, geometry.output_size[axis])
        return _Window(slice(start, stop), slice(start - shift, stop - shift))


def _valid(geometry: Geometry, axis: int, shift: int) -> tuple[int, int]:
    """The range of output positions whose receptive fields reach neither padding nor fill."""
    size, stride, extent = geometry.input_size[axis], geometry.stride[axis], geometry.extent[axis]
    padding = geometry.padding[2 * axis]
    first, end = max(0, shift * stride), size + min(0, shift * stride)  # inputs that are not fill
    start = -(-(first + padding) // stride)
    return start, max(start, (end - extent + padding) // stride + 1)


def _moved(x: Tensor, by: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """x (N, C, H, W) moved by `by` output positions down and right, and filled with zeros."""
    shifts = [steps * step for steps, step in zip(by, stride, strict=True)]
    (to_rows, from_rows), (to_columns, from_columns) = map(_overlap, x.shape[2:], shifts)
    moved = torch.zeros_like(x)
    moved[:, :, to_rows, to_columns] = x[:, :, from_rows, from_columns]
    return moved


def _overlap(size: int, shift: int) -> tuple[slice, slice]:
    """The range of visible values after the shift, and before it."""
    seen = max(0, size - abs(shift))
    return slice(max(0, shift), max(0, shift) + seen), slice(max(0, -shift), max(0, -shift) + seen)
