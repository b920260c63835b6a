"""CoordConv: a convolution that also receives its coordinates (Liu et al. 2018, arXiv 1807.03247)."""

import torch
from torch import Tensor, nn

from lrlc.layers.convolution import Convolution2d, as_plain_conv
from lrlc.layers.entrance import computed_in, enter, symbolic
from lrlc.layers.errors import check_counts
from lrlc.layers.geometry import Padding, Pair, make_geometry
from lrlc.layers.registry import layer_kind


class CoordConv2d(nn.Module):
    """A convolution of x (N, C_in, H, W) and two coordinate channels to y (N, C_out, H', W').

    The appended channels, row and column, run from -1 (top, left) to 1 (bottom, right). Inputs of any size.

    in_channels: C_in, without the coordinates.
    out_channels: C_out.
    kernel_size: kh = kw, or (kh, kw).
    stride: in positions, an int or (vertical, horizontal); 1 by default.
    padding: 'valid', 'same' (as TensorFlow pads), an int, (vertical, horizontal) or (top, bottom, left, right); 0 by
        default. The coordinates are padded too.
    dilation: of the kernel, an int or (vertical, horizontal); 1 by default.
    bias: whether each output channel has a bias, initially zero; True by default.

    Parameters: those of `convolution`, weight (C_out, C_in + 2, kh, kw) and bias (C_out) or None.

    Raises LayerError for an invalid argument, InputError for an input of the wrong shape.

    Source: Liu et al., "An Intriguing Failing of Convolutional Neural Networks and the CoordConv Solution", NeurIPS
    2018, https://arxiv.org/abs/1807.03247, section 3.
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
        """Take over the filter of `conv`, with zero weights for the coordinates."""
        weight, bias = as_plain_conv(conv)
        self.convolution.weight.zero_()[:, : self.in_channels] = weight
        if self.convolution.bias is not None:
            self.convolution.bias.copy_(torch.zeros_like(self.convolution.bias) if bias is None else bias)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.convolution.kernel_size}"

    def forward(self, x: Tensor) -> Tensor:
        return enter(self, x)

    def of_images(self, x: Tensor) -> Tensor:
        """The forward pass of a checked batch."""
        # Under autocast, cat refuses the other half-precision dtype.
        if x.dtype in (torch.float16, torch.bfloat16):
            x = x.to(computed_in(x))
        return self.convolution(torch.cat((x, coordinates(x)), 1))  # type: ignore[no-any-return]


def coordinates(x: Tensor) -> Tensor:
    """The row and column coordinates (N, 2, H, W) of x's positions, from -1 to 1 (-1 if only one)."""
    N, _, H, W = x.shape
    rows, columns = _line(H, x).view(1, 1, -1, 1), _line(W, x).view(1, 1, 1, -1)
    return torch.cat((rows.expand(N, 1, H, W), columns.expand(N, 1, H, W)), 1)


def _line(size: int, like: Tensor) -> Tensor:
    """`size` numbers from -1 to 1."""
    if not symbolic():
        return torch.linspace(-1, 1, size, dtype=like.dtype, device=like.device)
    # A traced linspace would be fixed to this size.
    exact = torch.promote_types(like.dtype, torch.float32)
    steps = like.new_ones(size, dtype=exact).cumsum(0) - 1
    return (2 * steps / steps[-1:].clamp_min(1) - 1).to(like.dtype)


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
