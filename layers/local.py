"""The locally connected layer: a separate filter for every output position, without sharing."""

from typing import Annotated, Self

import torch
from torch import Tensor, nn

from lrlc.layers.convolution import Convolution2d, as_plain_conv, he_uniform_
from lrlc.layers.entrance import enter
from lrlc.layers.errors import check_choice, check_counts
from lrlc.layers.functional import local_conv2d
from lrlc.layers.geometry import Padding, Pair, make_geometry
from lrlc.layers.options import Option
from lrlc.layers.registry import layer_kind

STARTS = ("he", "keras", "shared")


class LocallyConnected2d(nn.Module):
    """x (N, C_in, H, W) -> y (N, C_out, H', W'), y(i,j) = filter(i,j) on x's patch at (i,j) + bias(:,i,j).

    in_channels: C_in.
    out_channels: C_out.
    kernel_size: kh = kw, or (kh, kw).
    input_size: H = W, or (H, W), of the inputs; other sizes raise LayerError.
    stride: in positions, an int or (vertical, horizontal); 1 by default.
    padding: 'valid', 'same' (as TensorFlow pads), an int, (vertical, horizontal) or (top, bottom, left, right); 0 by
        default.
    dilation: of the kernel, an int or (vertical, horizontal); 1 by default.
    bias: whether each position has its own bias for every channel, initially zero; True by default.
    start: how the filters start, each uniform on +-bound; 'he' by default.
        'he': every position its own, bound sqrt(6 / (kh * kw * C_in)).
        'keras': every position its own, as in the authors' network. Keras treats the kernel (H'*W', kh*kw*C_in,
        C_out) of its LocallyConnected2D as a convolution's, so He's fan_in includes the positions:
        bound sqrt(6 / (H' * W' * kh * kw * C_in)).
        'shared': every position the same filter, 'he', which is the one that `Convolution2d` draws from the same seed;
        the layer thus starts as that convolution.

    Parameters: filters (H'*W', kh*kw*C_in, C_out), three dimensions in the order the kernels read; bias
    (C_out, H', W') or None.

    Raises LayerError for an invalid argument, InputError for an input of the wrong shape.

    Source of 'keras': google-research, low_rank_local_connectivity/models/simple_model.py and
    simple_model_config.py (kernel_initializer 'he_uniform'); keras/initializers, `_compute_fans`.
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
        start: str = "he",
    ) -> None:
        super().__init__()
        check_counts(in_channels=in_channels, out_channels=out_channels)
        check_choice("start", start, STARTS)
        self.in_channels, self.out_channels, self.start = in_channels, out_channels, start
        self.geometry = make_geometry(input_size, kernel_size, stride, padding, dilation)
        self.input_size, self.output_size = self.geometry.input_size, self.geometry.output_size
        self.padding = padding
        (H, W), (kh, kw) = self.output_size, self.geometry.kernel_size
        self.filters = nn.Parameter(torch.empty(H * W, kh * kw * in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels, H, W)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        positions, fan_in, _ = self.filters.shape
        if self.start == "shared":
            shape = (self.out_channels, self.in_channels, *self.geometry.kernel_size)
            shared = self.filters.new_empty(shape)
            he_uniform_(shared, fan_in)
            self._share(shared)
        else:
            he_uniform_(self.filters, fan_in * (positions if self.start == "keras" else 1))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return enter(self, x)

    def of_images(self, x: Tensor) -> Tensor:
        """The forward pass of a checked batch."""
        y = local_conv2d(x, self.filters, self.geometry)
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def local_filters(self) -> Tensor:
        """The filters as (H', W', C_out, C_in, kh, kw)."""
        shape = (*self.output_size, *self.geometry.kernel_size, self.in_channels, self.out_channels)
        return self.filters.view(shape).permute(0, 1, 5, 4, 2, 3)

    @classmethod
    def from_conv(cls, conv: nn.Conv2d | Convolution2d, *, input_size: Pair) -> Self:
        """A layer that computes what `conv` (nn.Conv2d or Convolution2d) does, with its filter at every position.

        LayerError for a convolution with groups or with padding other than zeros.
        """
        weight, bias = as_plain_conv(conv)
        layer = cls(
            weight.shape[1],
            weight.shape[0],
            (weight.shape[2], weight.shape[3]),
            input_size=input_size,
            stride=conv.stride,
            padding=conv.padding,
            dilation=conv.dilation,
            bias=bias is not None,
        ).to(weight)
        layer.start_from_conv(conv)
        return layer

    @torch.no_grad()
    def start_from_conv(self, conv: nn.Conv2d | Convolution2d) -> None:
        """Take over the filter (C_out, C_in, kh, kw) and the bias of `conv` at every position."""
        weight, bias = as_plain_conv(conv)
        self._share(weight)
        if self.bias is not None:
            self.bias.copy_(torch.zeros_like(self.bias) if bias is None else bias[:, None, None])

    @torch.no_grad()
    def _share(self, weight: Tensor) -> None:
        """Set every position's filter to `weight` (C_out, C_in, kh, kw)."""
        self.filters.copy_(weight.permute(2, 3, 1, 0).reshape(1, -1, self.out_channels))

    def extra_repr(self) -> str:
        g = self.geometry
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={g.kernel_size}, "
            f"input_size={g.input_size}, stride={g.stride}, padding={self.padding!r}, "
            f"dilation={g.dilation}, bias={self.bias is not None}, start={self.start!r}"
        )


@layer_kind("locally_connected", from_conv=True)
def _locally_connected(
    in_channels: int,
    out_channels: int,
    kernel_size: Pair,
    *,
    input_size: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    bias: bool = False,
    start: Annotated[str, Option("how its filters start", STARTS)] = "he",
    position_bias: Annotated[bool, Option("whether every position and channel has a bias")] = False,
) -> nn.Module:
    return LocallyConnected2d(
        in_channels,
        out_channels,
        kernel_size,
        input_size=input_size,
        stride=stride,
        padding=padding,
        bias=bias or position_bias,
        start=start,
    )
