"""The constrained locally connected layer: a filter for every position, penalised for differing from its neighbours.

Wang, Walters, Yu: "Approximately Equivariant Networks for Imperfectly Symmetric Dynamics", ICML 2022,
https://arxiv.org/abs/2201.11969; their baseline for relaxed convolution (see relaxed.py).

The layer is LocallyConnected2d; with F(i,j) its filters and |.| the sum of absolute values, its penalty has means over
the pairs of neighbours:

    penalty * (mean |F(i+1,j) - F(i,j)| + mean |F(i,j+1) - F(i,j)|)

The authors' code also averages over a filter's elements, so their alpha is this strength times
kh * kw * C_in * C_out, and it squares the term before adding it to the loss.
"""

from typing import Annotated

from torch import Tensor, nn

from lrlc.layers.errors import check_strength
from lrlc.layers.geometry import Padding, Pair
from lrlc.layers.local import STARTS, LocallyConnected2d
from lrlc.layers.options import Option
from lrlc.layers.penalty import neighbour_differences
from lrlc.layers.registry import layer_kind

PENALTY = 0.01
"""An assumption: no public script of the authors trains this layer."""


class ConstrainedLocallyConnected2d(LocallyConnected2d):
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
    start: how the filters start, 'he', 'keras' or 'shared', as in `LocallyConnected2d`; 'he' by default.
    penalty: strength of the penalty on differences between neighbouring filters, at least 0; 0.01 by default.

    Parameters: as those of `LocallyConnected2d`.

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
        start: str = "he",
        penalty: float = PENALTY,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            input_size=input_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=bias,
            start=start,
        )
        check_strength("penalty", penalty)
        self.strength = penalty

    def penalty(self) -> Tensor:
        """`strength` times the mean difference between neighbouring filters, a scalar."""
        return self.strength * neighbour_differences(self.filters.view(*self.output_size, -1))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, penalty={self.strength:g}"


@layer_kind("constrained_local", from_conv=True)
def _constrained_local(
    in_channels: int,
    out_channels: int,
    kernel_size: Pair,
    *,
    input_size: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    bias: bool = False,
    start: Annotated[str, Option("how its filters start", STARTS)] = "he",
    penalty: Annotated[
        float, Option("strength of the penalty on differences between neighbours", at_least=0)
    ] = PENALTY,
) -> nn.Module:
    return ConstrainedLocallyConnected2d(
        in_channels,
        out_channels,
        kernel_size,
        input_size=input_size,
        stride=stride,
        padding=padding,
        bias=bias,
        start=start,
        penalty=penalty,
    )
