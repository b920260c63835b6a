"""The residual pathway prior: a convolution plus an unshared path, which a stronger prior keeps near zero.

Finzi, Benton, Wilson: "Residual Pathway Priors for Soft Equivariance Constraints", NeurIPS 2021,
https://arxiv.org/abs/2112.01388.

    y = x conv F + x local G,   penalty = conv_penalty * sum F^2 + local_penalty * sum G^2

The penalties are Gaussian priors: the smaller variance of G makes the layer a convolution unless the data contradict
this. The paper's free path is a dense layer; here it is a locally connected one, which differs from the convolution
only in sharing (and whose parameters fit into memory at these sizes).
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from lrlc.layers.convolution import Convolution2d
from lrlc.layers.entrance import enter
from lrlc.layers.errors import check_counts, check_strength
from lrlc.layers.geometry import Padding, Pair
from lrlc.layers.local import LocallyConnected2d
from lrlc.layers.options import Option
from lrlc.layers.registry import layer_kind

CONV_PENALTY, LOCAL_PENALTY = 1e-4, 1e-2
"""As in the authors' experiments on CIFAR-10 (conv_wd, basic_wd), which use SGD, momentum .9 and cosine decay."""


class ResidualPathway2d(nn.Module):
    """x (N, C_in, H, W) -> y (N, C_out, H', W'), y = convolution(x) + local(x).

    in_channels: C_in.
    out_channels: C_out.
    kernel_size: kh = kw, or (kh, kw).
    input_size: H = W, or (H, W), of the inputs; other sizes raise LayerError.
    stride: in positions, an int or (vertical, horizontal); 1 by default.
    padding: 'valid', 'same' (as TensorFlow pads), an int, (vertical, horizontal) or (top, bottom, left, right); 0 by
        default.
    dilation: of the kernel, an int or (vertical, horizontal); 1 by default.
    bias: whether each output channel has a bias, initially zero; True by default.
    conv_penalty: cost of a squared parameter of the convolution, at least 0; 1e-4 by default.
    local_penalty: cost of a squared parameter of the locally connected path, at least 0; 1e-2 by default.

    Parameters: `convolution`, with the bias if there is one, and `local`, without. Both start He uniform and thus
    equally strong, as in the authors' code.

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
        conv_penalty: float = CONV_PENALTY,
        local_penalty: float = LOCAL_PENALTY,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        check_counts(in_channels=in_channels, out_channels=out_channels)
        check_strength("conv_penalty", conv_penalty)
        check_strength("local_penalty", local_penalty)
        self.conv_strength, self.local_strength = conv_penalty, local_penalty
        self.convolution = Convolution2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=bias,
        )
        self.local = LocallyConnected2d(
            in_channels,
            out_channels,
            kernel_size,
            input_size=input_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        return enter(self, x)

    def of_images(self, x: Tensor) -> Tensor:
        """The forward pass of a checked batch."""
        return self.local(x) + self.convolution(x)  # type: ignore[no-any-return]

    def penalty(self) -> Tensor:
        """The weighted sums of squares of the two paths' parameters, a scalar."""
        return self.conv_strength * _squares(self.convolution) + self.local_strength * _squares(self.local)

    def local_filters(self) -> Tensor:
        """The filter at each position, both paths together, (H', W', C_out, C_in, kh, kw)."""
        return self.local.local_filters() + self.convolution.weight

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.convolution.kernel_size}, "
            f"conv_penalty={self.conv_strength:g}, local_penalty={self.local_strength:g}"
        )


def _squares(path: nn.Module) -> Tensor:
    return torch.stack([parameter.square().sum() for parameter in path.parameters()]).sum()


@layer_kind("residual_pathway")
def _residual_pathway(
    in_channels: int,
    out_channels: int,
    kernel_size: Pair,
    *,
    input_size: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    bias: bool = False,
    conv_penalty: Annotated[
        float, Option("cost of a squared parameter of the convolution", at_least=0)
    ] = CONV_PENALTY,
    local_penalty: Annotated[
        float, Option("cost of a squared parameter of the locally connected path", at_least=0)
    ] = LOCAL_PENALTY,
) -> nn.Module:
    return ResidualPathway2d(
        in_channels,
        out_channels,
        kernel_size,
        input_size=input_size,
        stride=stride,
        padding=padding,
        bias=bias,
        conv_penalty=conv_penalty,
        local_penalty=local_penalty,
    )
