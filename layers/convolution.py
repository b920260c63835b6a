"""The plain convolution, He uniform, and the same padding rules as every layer here."""

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrlc.layers.entrance import enter, symbolic
from lrlc.layers.errors import LayerError, check_counts
from lrlc.layers.geometry import Geometry, Padding, Pair, make_geometry, same_padding
from lrlc.layers.kernels.bfloat16_convolution import convolve
from lrlc.layers.registry import layer_kind


def he_uniform_(basis: Tensor, fan_in: int) -> None:
    """Fill in place from the uniform distribution on +-sqrt(6 / fan_in)."""
    bound = sqrt(6 / fan_in)
    with torch.no_grad():
        basis.uniform_(-bound, bound)


class Convolution2d(nn.Module):
    """A convolution of x (N, C_in, H, W) to y (N, C_out, H', W'), for inputs of any size.

    in_channels: C_in.
    out_channels: C_out.
    kernel_size: kh = kw, or (kh, kw).
    stride: in positions, an int or (vertical, horizontal); 1 by default.
    padding: 'valid', 'same' (as TensorFlow pads, with a stride too), an int, (vertical, horizontal) or
        (top, bottom, left, right); 0 by default.
    dilation: of the kernel, an int or (vertical, horizontal); 1 by default.
    bias: whether each output channel has a bias, initially zero; True by default.

    Parameters: weight (C_out, C_in, kh, kw), He uniform with fan_in = kh * kw * C_in; bias (C_out) or None.

    Raises LayerError for an invalid argument, InputError for an input of the wrong shape.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        *,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_counts(in_channels=in_channels, out_channels=out_channels)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self._large = self._geometry((1 << 20, 1 << 20))  # an image large enough for every kernel
        kh, kw = self._large.kernel_size
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kh, kw))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        he_uniform_(self.weight, self.weight[0].numel())
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return enter(self, x)

    def of_images(self, x: Tensor) -> Tensor:
        """The forward pass of a checked batch."""
        if symbolic():
            return self._of_symbolic_size(x)
        geometry = self._geometry((x.shape[-2], x.shape[-1]))
        if not geometry.symmetric:
            return self._convolve(geometry.pad(x), (0, 0))
        return self._convolve(x, geometry.padding[::2])

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding!r}, dilation={self.dilation}, bias={self.bias is not None}"
        )

    def _convolve(self, x: Tensor, padding: tuple[int, int]) -> Tensor:
        g = self._large
        return convolve(x, self.weight, self.bias, g.stride, padding, g.dilation)

    def _of_symbolic_size(self, x: Tensor) -> Tensor:
        """The forward pass without size-dependent branches, so that a traced graph works for other sizes."""
        g = self._large
        by_size = self.padding == "same" and g.stride != (1, 1)
        if not by_size and g.symmetric:
            return self._convolve(x, g.padding[::2])
        sizes = (x.shape[-2], x.shape[-1])
        margins = same_padding(sizes, g.kernel_size, g.stride, g.dilation) if by_size else g.padding
        top, bottom, left, right = margins
        return self._convolve(F.pad(x, (left, right, top, bottom)), (0, 0))

    def _geometry(self, input_size: tuple[int, int]) -> Geometry:
        return make_geometry(input_size, self.kernel_size, self.stride, self.padding, self.dilation)


def as_plain_conv(conv: nn.Conv2d | Convolution2d) -> tuple[Tensor, Tensor | None]:
    """Weight (C_out, C_in, kh, kw) and bias (C_out) of `conv`; LayerError unless groups is 1 and it pads with zeros."""
    if getattr(conv, "groups", 1) != 1:
        raise LayerError(f"conv must be a convolution with groups=1, not {conv}")
    if getattr(conv, "padding_mode", "zeros") != "zeros":
        raise LayerError(f"conv must pad with zeros, not {conv.padding_mode!r}")
    return conv.weight, conv.bias


def _convolution(
    in_channels: int,
    out_channels: int,
    kernel_size: Pair,
    *,
    input_size: tuple[int, int],
    stride: Pair = 1,
    padding: Padding = 0,
    bias: bool = False,
) -> nn.Module:
    make_geometry(input_size, kernel_size, stride, padding)
    return Convolution2d(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=bias)


layer_kind("conv")(_convolution)
layer_kind("wide_conv", matched_to="lrlc")(_convolution)
