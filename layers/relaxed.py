"""Relaxed convolution: filter banks combined by a free weight per bank and position.

Wang, Walters, Yu: "Approximately Equivariant Networks for Imperfectly Symmetric Dynamics", ICML 2022,
https://arxiv.org/abs/2201.11969.

    y[n,:,i,j] = sum_k w[k,i,j] * (x conv F_k)[n,:,i,j]

Unlike LRLC's fixed weights, it has one table (K, H', W'), neither shared along an axis nor normalised, which starts at
1/K, and a penalty on differences between neighbouring positions, with means over the pairs of neighbours:

    penalty * (mean sum_k |w[k,i+1,j] - w[k,i,j]| + mean sum_k |w[k,i,j+1] - w[k,i,j]|)

The authors' code also averages over k and over the network's layers, so their alpha is K times this strength in a
network with one such layer; unlike the paper's formula, it squares the term before adding it to the loss.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from lrlc.layers.combining import FixedCombiningWeights
from lrlc.layers.convolution import he_uniform_
from lrlc.layers.entrance import enter
from lrlc.layers.errors import check_counts, check_strength
from lrlc.layers.functional import combine
from lrlc.layers.geometry import Padding, Pair, make_geometry
from lrlc.layers.options import Option
from lrlc.layers.penalty import neighbour_differences
from lrlc.layers.plain import split_banks
from lrlc.layers.registry import layer_kind

PENALTY = 0.01
"""An assumption: the authors' scripts use 0 for translation, 1e-5 for rotation and 1e-6 for scale, with Adam."""


class RelaxedConv2d(nn.Module):
    """x (N, C_in, H, W) -> y (N, C_out, H', W'), y = sum_k w[k,i,j] * (x conv F_k)(i,j) + bias.

    in_channels: C_in.
    out_channels: C_out.
    kernel_size: kh = kw, or (kh, kw).
    input_size: H = W, or (H, W), of the inputs; other sizes raise LayerError.
    rank: K, the number of filter banks.
    stride: in positions, an int or (vertical, horizontal); 1 by default.
    padding: 'valid', 'same' (as TensorFlow pads), an int, (vertical, horizontal) or (top, bottom, left, right); 0 by
        default.
    dilation: of the kernel, an int or (vertical, horizontal); 1 by default.
    bias: whether each output channel has a bias, initially zero; True by default.
    penalty: strength of the penalty on differences between neighbouring weights, at least 0; 0.01 by default.

    Parameters: basis (K*C_out, C_in, kh, kw), K outermost, He uniform with fan_in = kh * kw * C_in;
    combining.table (K, H', W'), 1/K at first; bias (C_out) or None.

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
        penalty: float = PENALTY,
    ) -> None:
        super().__init__()
        check_counts(in_channels=in_channels, out_channels=out_channels, rank=rank)
        self.in_channels, self.out_channels, self.rank = in_channels, out_channels, rank
        check_strength("penalty", penalty)
        self.strength, self.padding = penalty, padding
        self.geometry = make_geometry(input_size, kernel_size, stride, padding, dilation)
        self.input_size, self.output_size = self.geometry.input_size, self.geometry.output_size
        self.basis = nn.Parameter(torch.empty(rank * out_channels, in_channels, *self.geometry.kernel_size))
        self.combining = FixedCombiningWeights(rank, self.output_size, "none", "none", start=1 / rank)
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Basis He uniform, bias zero; `combining` resets itself."""
        he_uniform_(self.basis, self.basis[0].numel())
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return enter(self, x)

    def of_images(self, x: Tensor) -> Tensor:
        """The forward pass of a checked batch."""
        y = combine(x, self.basis, self.combining(), self.geometry)
        return y if self.bias is None else y + self.bias[:, None, None].to(y.dtype)

    def penalty(self) -> Tensor:
        """`strength` times the mean difference between neighbouring combining weights, a scalar."""
        return self.strength * neighbour_differences(self.combining()[0].permute(1, 2, 0))

    def local_filters(self) -> Tensor:
        """The filter at each position, (H', W', C_out, C_in, kh, kw)."""
        return torch.einsum("kij,koabc->ijoabc", self.combining()[0], split_banks(self.basis, self.rank))

    def extra_repr(self) -> str:
        g = self.geometry
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={g.kernel_size}, rank={self.rank}, "
            f"input_size={g.input_size}, stride={g.stride}, padding={self.padding!r}, "
            f"dilation={g.dilation}, bias={self.bias is not None}, penalty={self.strength:g}"
        )


@layer_kind("relaxed_conv", ranked=True)
def _relaxed_conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    input_size: Pair,
    rank: int,
    stride: Pair = 1,
    padding: Padding = 0,
    bias: bool = False,
    penalty: Annotated[
        float, Option("strength of the penalty on differences between neighbours", at_least=0)
    ] = PENALTY,
) -> nn.Module:
    return RelaxedConv2d(
        in_channels,
        out_channels,
        kernel_size,
        input_size=input_size,
        rank=rank,
        stride=stride,
        padding=padding,
        bias=bias,
        penalty=penalty,
    )
