"""A convolution with a learned position map: the simplest way to break spatial invariance.

    y[n,c,i,j] = (x conv F)[n,c,i,j] + m[c,i,j]

The map is to a convolution what an absolute position embedding is to attention (Gehring et al., "Convolutional Sequence
to Sequence Learning", ICML 2017, add one to a convolutional network's input). Filters are the same everywhere; only
the map added to their output depends on the position.
"""

import torch
from torch import Tensor, nn

from lrlc.layers.convolution import Convolution2d
from lrlc.layers.geometry import Padding, Pair, make_geometry
from lrlc.layers.registry import layer_kind


class PositionMap(nn.Module):
    """y (N, C, H', W') -> y + values; values (C, H', W') are learned and start at zero.

    channels: C.
    size: (H', W').
    """

    no_weight_decay = True

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.empty(channels, *size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.values)

    def forward(self, y: Tensor) -> Tensor:
        return y + self.values.to(y.dtype)


class PositionMapConv2d(Convolution2d):
    """x (N, C_in, H, W) -> y (N, C_out, H', W'), y = x conv F + map.

    in_channels: C_in.
    out_channels: C_out.
    kernel_size: kh = kw, or (kh, kw).
    input_size: H = W, or (H, W), of the inputs; other sizes raise LayerError.
    stride: in positions, an int or (vertical, horizontal); 1 by default.
    padding: 'valid', 'same' (as TensorFlow pads), an int, (vertical, horizontal) or (top, bottom, left, right); 0 by
        default.
    dilation: of the kernel, an int or (vertical, horizontal); 1 by default.
    bias: whether each output channel has a bias, initially zero; True by default.

    Parameters: those of `Convolution2d`, and map.values (C_out, H', W'), which start at zero: the layer starts as the
    convolution with its seed.

    Raises LayerError for an invalid argument, InputError for an input of the wrong shape.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        *,
        input_size: Pair,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=bias,
        )
        geometry = make_geometry(input_size, kernel_size, stride, padding, dilation)
        self.input_size, self.output_size = geometry.input_size, geometry.output_size
        self.map = PositionMap(out_channels, self.output_size)

    def of_images(self, x: Tensor) -> Tensor:
        """The forward pass of a checked batch."""
        return self.map(super().of_images(x))  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, input_size={self.input_size}"


@layer_kind("position_map")
def _position_map(
    in_channels: int,
    out_channels: int,
    kernel_size: Pair,
    *,
    input_size: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    bias: bool = False,
) -> nn.Module:
    return PositionMapConv2d(
        in_channels,
        out_channels,
        kernel_size,
        input_size=input_size,
        stride=stride,
        padding=padding,
        bias=bias,
    )
