"""The locally connected layer: a filter of its own for every output position, no sharing."""

import torch
from torch import Tensor, nn

from layers.convolution import he_uniform_
from layers.functional import local_conv2d
from layers.geometry import Padding, Pair, make_geometry
from layers.lrlc import check_input
from layers.registry import layer_kind


class LocallyConnected2d(nn.Module):
    """x (N, C_in, H, W) -> y (N, C_out, H', W'), y(i,j) = filter(i,j) on x's patch at (i,j) + bias(:,i,j).

    Arguments as `Convolution2d`, and input_size (H, W); other sizes raise LayerError.
    Parameters: filters (H'*W', kh*kw*C_in, C_out), each He uniform with fan_in = kh * kw * C_in (three
    dimensions, the order the kernels read); bias (C_out, H', W') or None.
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
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.geometry = make_geometry(input_size, kernel_size, stride, padding, dilation)
        self.input_size, self.output_size = self.geometry.input_size, self.geometry.output_size
        self.padding = padding
        (H, W), (kh, kw) = self.output_size, self.geometry.kernel_size
        self.filters = nn.Parameter(torch.empty(H * W, kh * kw * in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels, H, W)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        he_uniform_(self.filters, self.filters.shape[1])
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        check_input(x, self.in_channels, self.input_size)
        y = local_conv2d(x, self.filters, self.geometry)
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def local_filters(self) -> Tensor:
        """The filters as (H', W', C_out, C_in, kh, kw)."""
        shape = (*self.output_size, *self.geometry.kernel_size, self.in_channels, self.out_channels)
        return self.filters.view(shape).permute(0, 1, 5, 4, 2, 3)

    def extra_repr(self) -> str:
        g = self.geometry
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={g.kernel_size}, "
            f"input_size={g.input_size}, stride={g.stride}, padding={self.padding!r}, "
            f"dilation={g.dilation}, bias={self.bias is not None}"
        )


@layer_kind("locally_connected")
def _locally_connected(
    in_channels: int,
    out_channels: int,
    kernel_size: Pair,
    *,
    input_size: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    bias: bool = False,
) -> nn.Module:
    return LocallyConnected2d(
        in_channels,
        out_channels,
        kernel_size,
        input_size=input_size,
        stride=stride,
        padding=padding,
        bias=bias,
    )
