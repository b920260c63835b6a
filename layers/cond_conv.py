"""Conditionally parameterised convolution: filter banks mixed for each image, with the same filter at all positions.

Yang, Bender, Le, Ngiam: "CondConv: Conditionally Parameterized Convolutions for Efficient Inference", NeurIPS 2019,
https://arxiv.org/abs/1904.04971.

    y[n] = x[n] conv (sum_k r_k(n) * F_k),   r(n) = sigmoid(A * mean over positions of x[n] + a)

The spatially invariant counterpart of input-dependent LRLC: the filter depends on the image, but never on the
position. The filters are mixed before they are applied, so an image costs one convolution.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrlc.layers import plain
from lrlc.layers.combining import GlorotConv2d
from lrlc.layers.convolution import he_uniform_
from lrlc.layers.entrance import enter, jit_tracing
from lrlc.layers.errors import check_counts
from lrlc.layers.functional import autocast
from lrlc.layers.geometry import Padding, Pair, make_geometry
from lrlc.layers.registry import layer_kind


class CondConv2d(nn.Module):
    """x (N, C_in, H, W) -> y (N, C_out, H', W'), with one filter per image, mixed from `rank` banks.

    in_channels: C_in.
    out_channels: C_out.
    kernel_size: kh = kw, or (kh, kw).
    input_size: H = W, or (H, W), of the inputs; other sizes raise LayerError.
    rank: K, the number of banks (the paper's experts).
    stride: in positions, an int or (vertical, horizontal); 1 by default.
    padding: 'valid', 'same' (as TensorFlow pads), an int, (vertical, horizontal) or (top, bottom, left, right); 0 by
        default.
    dilation: of the kernel, an int or (vertical, horizontal); 1 by default.
    bias: whether each output channel has a bias, initially zero; True by default.

    Parameters: basis (K*C_out, C_in, kh, kw), K outermost, He uniform with fan_in = kh * kw * C_in; routing, a
    linear map from C_in to K with a bias, initialised as the authors' (Glorot uniform, zero bias, so all r are
    about .5); bias (C_out) or None.

    Raises LayerError for an invalid argument, InputError for an input of the wrong shape.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        *,
        input_size: Pair,
        rank: int,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_counts(in_channels=in_channels, out_channels=out_channels, rank=rank)
        self.in_channels, self.out_channels, self.rank, self.padding = (
            in_channels,
            out_channels,
            rank,
            padding,
        )
        self.geometry = make_geometry(input_size, kernel_size, stride, padding, dilation)
        self.input_size, self.output_size = self.geometry.input_size, self.geometry.output_size
        self.basis = nn.Parameter(torch.empty(rank * out_channels, in_channels, *self.geometry.kernel_size))
        self.routing = GlorotConv2d(in_channels, rank, 1)
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Basis He uniform, bias zero; `routing` resets itself."""
        he_uniform_(self.basis, self.basis[0].numel())
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return enter(self, x)

    def of_images(self, x: Tensor) -> Tensor:
        """The forward pass of a checked batch."""
        y = self._convolve(*autocast(x, self.mixed_filters(x))) if _grouping(x) else self._by_bank(x)
        return y if self.bias is None else y + self.bias[:, None, None].to(y.dtype)

    def routing_weights(self, x: Tensor) -> Tensor:
        """r (N, K), each between 0 and 1."""
        return self.routing(x.mean((2, 3), keepdim=True)).flatten(1).sigmoid()  # type: ignore[no-any-return]

    def mixed_filters(self, x: Tensor) -> Tensor:
        """Each image's filter, (N, C_out, C_in, kh, kw)."""
        banks = self.basis.reshape(self.rank, -1)
        return (self.routing_weights(x) @ banks).view(x.shape[0], self.out_channels, *self.basis.shape[1:])

    def _convolve(self, x: Tensor, filters: Tensor) -> Tensor:
        """Apply each image's own filter: one convolution with as many groups as there are images.

        On a CPU, with 64 to 64 channels, this takes a half (12x12) to a quarter (30x30) of the time of K convolutions.
        """
        g = self.geometry
        stacked = g.pad(x).flatten(0, 1)[None]  # (1, N*C_in, H, W)
        y = F.conv2d(stacked, filters.flatten(0, 1), None, g.stride, 0, g.dilation, groups=x.shape[0])
        images_nchw = y.view(-1, self.out_channels, *self.output_size)
        # vmap does not support channels_last
        return images_nchw.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)

    def _by_bank(self, x: Tensor) -> Tensor:
        """A convolution with each bank, weighted and summed."""
        weights = self.routing_weights(x)[:, :, None, None]
        return plain.combined(*autocast(x, self.basis), weights, self.geometry)

    def extra_repr(self) -> str:
        g = self.geometry
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={g.kernel_size}, rank={self.rank}, "
            f"input_size={g.input_size}, stride={g.stride}, padding={self.padding!r}, "
            f"dilation={g.dilation}, bias={self.bias is not None}"
        )


def _grouping(x: Tensor) -> bool:
    """Whether the images can be groups: not in a traced or exported graph with a fixed number, nor without images."""
    return not jit_tracing() and not torch.compiler.is_exporting() and x.shape[0] > 0


@layer_kind("cond_conv", ranked=True)
def _cond_conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    input_size: Pair,
    rank: int,
    stride: Pair = 1,
    padding: Padding = 0,
    bias: bool = False,
) -> nn.Module:
    return CondConv2d(
        in_channels,
        out_channels,
        kernel_size,
        input_size=input_size,
        rank=rank,
        stride=stride,
        padding=padding,
        bias=bias,
    )
