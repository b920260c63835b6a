"""The geometry of a convolution: kernel size, stride, padding, dilation, and the resulting output size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lrlc.layers.errors import InputError, LayerError, as_int

Pair = int | Sequence[int]
Padding = str | int | Sequence[int]


@dataclass(frozen=True)
class Geometry:
    """One bank's geometry; sizes are (height, width), `padding` is (top, bottom, left, right)."""

    input_size: tuple[int, int]
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width covered by the dilated kernel."""
        (kh, kw), (dh, dw) = self.kernel_size, self.dilation
        return (kh - 1) * dh + 1, (kw - 1) * dw + 1

    @property
    def padded_size(self) -> tuple[int, int]:
        (H, W), (top, bottom, left, right) = self.input_size, self.padding
        return H + top + bottom, W + left + right

    @property
    def output_size(self) -> tuple[int, int]:
        """(H', W')."""
        (H, W), (eh, ew), (sh, sw) = self.padded_size, self.extent, self.stride
        return (H - eh) // sh + 1, (W - ew) // sw + 1

    @property
    def symmetric(self) -> bool:
        """Whether an ordinary convolution supports this padding by itself."""
        top, bottom, left, right = self.padding
        return top == bottom and left == right

    def pad(self, x: Tensor) -> Tensor:
        """`x` (..., H, W) padded with zeros."""
        top, bottom, left, right = self.padding
        return F.pad(x, (left, right, top, bottom)) if any(self.padding) else x


def make_geometry(
    input_size: Pair, kernel_size: Pair, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1
) -> Geometry:
    """Check the arguments and resolve `padding`.

    `padding` is 'valid', 'same' (as TensorFlow pads: output ceil(size / stride), the odd zero at the bottom
    and right), an int, a (vertical, horizontal) pair, or (top, bottom, left, right). LayerError if the
    kernel does not fit into the padded input.
    """
    size, kernel = pair(input_size, "input_size"), pair(kernel_size, "kernel_size")
    steps, spread = pair(stride, "stride"), pair(dilation, "dilation")
    geometry = Geometry(size, kernel, steps, _resolve(padding, size, kernel, steps, spread), spread)
    (H, W), (eh, ew) = geometry.padded_size, geometry.extent
    if eh > H or ew > W:
        raise InputError(
            f"kernel_size {kernel[0]}x{kernel[1]} with dilation {spread[0]}x{spread[1]} covers {eh}x{ew}, "
            f"more than the padded input of {H}x{W}"
        )
    return geometry


def pair(value: object, name: str, least: int = 1) -> tuple[int, int]:
    """An int or a pair as a pair of ints of at least `least`."""
    both = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value, value)
    found = [as_int(v) for v in both]
    if len(found) != 2 or any(v is None or v < least for v in found):
        raise LayerError(f"{name} must be an int or a pair of ints of at least {least}, not {value!r}")
    return found[0], found[1]  # type: ignore[return-value]


def _resolve(
    padding: Padding,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int, int, int]:
    if padding == "valid":
        return 0, 0, 0, 0
    if padding == "same":
        return same_padding(size, kernel, stride, dilation)
    if isinstance(padding, str):
        raise LayerError(f"padding must be 'valid', 'same' or ints, not {padding!r}")
    if isinstance(padding, Sequence) and len(padding) == 4:
        top, bottom = pair(padding[:2], "padding", least=0)
        return top, bottom, *pair(padding[2:], "padding", least=0)
    vertical, horizontal = pair(padding, "padding", least=0)
    return vertical, vertical, horizontal, horizontal


def same_padding(
    size: tuple[Any, Any], kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[Any, Any, Any, Any]:
    """(top, bottom, left, right) of padding 'same'; symbolic if `size` is symbolic, as in torch.export."""
    top, bottom = _same(size[0], kernel[0], stride[0], dilation[0])
    left, right = _same(size[1], kernel[1], stride[1], dilation[1])
    return top, bottom, left, right


def _same(size: Any, kernel: int, stride: int, dilation: int) -> tuple[Any, Any]:
    output = -(-size // stride)
    total = (output - 1) * stride + (kernel - 1) * dilation + 1 - size
    # under torch.jit.trace sizes are tensors
    total = total.clamp_min(0) if isinstance(total, Tensor) else torch.sym_max(total, 0)  # type: ignore[no-untyped-call]
    return total // 2, total - total // 2
