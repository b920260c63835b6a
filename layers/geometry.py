"""Where a filter meets the input: kernel size, stride, padding dilation, and the output size they give."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from lrlc.layers.errors import LayerError

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
        """Height and width of the kernel with its dilation."""
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
        """Whether an ordinary convolution can pad so by itself."""
        top, bottom, left, right = self.padding
        return top == bottom and left == right

    def pad(self, x: Tensor) -> Tensor:
        """`x` (..., H, W) with the zeros around it."""
        top, bottom, left, right = self.padding
        return F.pad(x, (left, right, top, bottom)) if any(self.padding) else x


def make_geometry(
    input_size: Pair, kernel_size: Pair, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1
) -> Geometry:
    """Check the arguments and resolve `padding`.

    `padding` is 'valid', 'same' (as TensorFlow pads: output ceil(size / stride), the odd zero at the bottom
    and right), an int, a (vertical, horizontal) pair, or (top, bottom, left, right). LayerError where the
    kernel does not fit the padded input.
    """
    size, kernel = pair(input_size, "input_size"), pair(kernel_size, "kernel_size")
    steps, spread = pair(stride, "stride"), pair(dilation, "dilation")
    geometry = Geometry(size, kernel, steps, _resolve(padding, size, kernel, steps, spread), spread)
    (H, W), (eh, ew) = geometry.padded_size, geometry.extent
    if eh > H or ew > W:
        raise LayerError(
            f"kernel_size {kernel[0]}x{kernel[1]} with dilation {spread[0]}x{spread[1]} covers {eh}x{ew}, "
            f"more than the padded input of {H}x{W}"
        )
    return geometry


def pair(value: object, name: str, least: int = 1) -> tuple[int, int]:
    """An int or a pair as a pair of ints of at least `least`."""
    both = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(both) != 2 or any(not isinstance(v, int) or isinstance(v, bool) or v < least for v in both):
        raise LayerError(f"{name} must be an int or a pair of ints of at least {least}, not {value!r}")
    return both[0], both[1]


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
        top, bottom = _same(size[0], kernel[0], stride[0], dilation[0])
        left, right = _same(size[1], kernel[1], stride[1], dilation[1])
        return top, bottom, left, right
    if isinstance(padding, str):
        raise LayerError(f"padding must be 'valid', 'same' or ints, not {padding!r}")
    if not isinstance(padding, int) and len(padding) == 4:
        top, bottom, left, right = padding
        if min(padding) < 0:
            raise LayerError(f"padding must be at least 0, not {tuple(padding)}")
        return top, bottom, left, right
    vertical, horizontal = pair(padding, "padding", least=0)
    return vertical, vertical, horizontal, horizontal


def _same(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    output = -(-size // stride)
    total = max((output - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2
