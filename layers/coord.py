"""CoordConv: a convolution that also sees where it is (Liu et al. 2018, arXiv 1807.03247)."""

import torch
from torch import Tensor, nn

from lrlc.layers.convolution import Convolution2d, as_plain_conv
from lrlc.layers.geometry import Padding, Pair, make_geometry
from lrlc.layers.registry import layer_kind


class CoordConv2d(nn.Module):
    """A convolution of x (N, C_in, H, W) and two coordinate channels to y (N, C_out, H', W').

    The appended channels, row and column, run from -1 (top, left) to 1 (bottom, right). Inputs of any size.

    in_channels: C_in, the coordinates not counted.
    out_channels: C_out.
    kernel_size: kh = kw, or (kh, kw).
    stride: in positions, an int or (vertical, horizontal).
    padding: 'valid', 'same' (as TensorFlow pads), an int, (vertical, horizontal) or (top, bottom, left, right); of
        the coordinates too.
    dilation: of the kernel, an int or (vertical, horizontal).
    bias: whether each output channel has a bias, zero at the start.

    Parameters: those of `convolution`, weight (C_out, C_in + 2, kh, kw) and bias (C_out) or None.
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
        self.in_channels, self.out_channels = in_channels, out_channels
        self.convolution = Convolution2d(
            in_channels + 2,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=bias,
        )

    @torch.no_grad()
    def start_from_conv(self, conv: nn.Conv2d | Convolution2d) -> None:
        """Compute what `conv` does: its filter, and zero weights for the coordinates."""
        weight, bias = as_plain_conv(conv)
        self.convolution.weight.zero_()[:, : self.in_channels] = weight
        if self.convolution.bias is not None:
            self.convolution.bias.copy_(torch.zeros_like(self.convolution.bias) if bias is None else bias)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.convolution.kernel_size}"

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(torch.cat((x, coordinates(x)), 1))  # type: ignore[no-any-return]


def coordinates(x: Tensor) -> Tensor:
    """The row and column coordinates (N, 2, H, W) of x's positions, from -1 to 1 (-1 if only one)."""
    N, _, H, W = x.shape
    rows = torch.linspace(-1, 1, H, dtype=x.dtype, device=x.device).view(1, 1, H, 1)
    columns = torch.linspace(-1, 1, W, dtype=x.dtype, device=x.device).view(1, 1, 1, W)
    return torch.cat((rows.expand(N, 1, H, W), columns.expand(N, 1, H, W)), 1)


@layer_kind("coord_conv", from_conv=True)
def _coord_conv(
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
    return CoordConv2d(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=bias)
