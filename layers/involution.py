"""Involution: a kernel per position, computed from the input there and shared by the channels of a group.

Li et al.: "Involution: Inverting the Inherence of Convolution for Visual Recognition", CVPR 2021,
https://arxiv.org/abs/2103.06255. With t running over the kernel's taps and g(c) the group of channel c,

    y[n,c,i,j] = sum_t kernel[n,g(c),t,i,j] * v[n,c, tap t of (i,j)]
    kernel[n,:,:,i,j] = expand(relu(norm(reduce(x at the centre of (i,j)))))

where reduce and expand are 1x1 convolutions with a batch norm between them. v is x, or a 1x1 convolution of x where
C_out differs from C_in, as in the authors' package. Departure: they only support 'same' padding, so their centre of
(i,j) is the pixel (i,j). With a stride, both take the mean of the pixels that the stride steps over.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrlc.layers.convolution import Convolution2d
from lrlc.layers.entrance import enter
from lrlc.layers.errors import LayerError, check_counts
from lrlc.layers.functional import autocast
from lrlc.layers.geometry import Geometry, Padding, Pair, make_geometry
from lrlc.layers.options import Option
from lrlc.layers.registry import layer_kind

GROUP_CHANNELS, REDUCTION = 16, 4
"""As in the authors' RedNet."""


class Involution2d(nn.Module):
    """x (N, C_in, H, W) -> y (N, C_out, H', W').

    in_channels: C_in.
    out_channels: C_out.
    kernel_size: kh = kw, or (kh, kw).
    input_size: H = W, or (H, W), of the inputs; other sizes raise LayerError.
    stride: in positions, an int or (vertical, horizontal); 1 by default.
    padding: 'valid', 'same' (as TensorFlow pads), an int, (vertical, horizontal) or (top, bottom, left, right); 0 by
        default.
    dilation: of the kernel, an int or (vertical, horizontal); 1 by default.
    bias: whether each output channel has a bias, initially zero; True by default.
    group_channels: channels that share a kernel: a divisor of C_out, or all channels if C_out is smaller; 16 by
        default.
    reduction: the kernels are computed from C_out // reduction channels, at least one; 4 by default.

    Parts: value (1x1 from C_in to C_out, or nothing), reduce (1x1, no bias), norm (batch norm), expand (1x1 to
    kh * kw kernels of each group, with a bias); bias (C_out) or None.

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
        group_channels: int = GROUP_CHANNELS,
        reduction: int = REDUCTION,
    ) -> None:
        super().__init__()
        check_counts(in_channels=in_channels, out_channels=out_channels, reduction=reduction)
        self.in_channels, self.out_channels, self.padding = in_channels, out_channels, padding
        self.geometry = make_geometry(input_size, kernel_size, stride, padding, dilation)
        self.input_size, self.output_size = self.geometry.input_size, self.geometry.output_size
        self.groups = _groups(out_channels, group_channels)
        kh, kw = self.geometry.kernel_size
        hidden = max(1, out_channels // reduction)
        same = in_channels == out_channels
        self.value = nn.Identity() if same else Convolution2d(in_channels, out_channels, 1, bias=False)
        self.reduce = Convolution2d(in_channels, hidden, 1, bias=False)
        self.norm = nn.BatchNorm2d(hidden)
        self.expand = Convolution2d(hidden, kh * kw * self.groups, 1)
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the bias to zero; the parts reset themselves."""
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return enter(self, x)

    def of_images(self, x: Tensor) -> Tensor:
        """The forward pass of a checked batch."""
        y = apply_kernels(*autocast(self.value(x), self.kernels(x)), self.geometry)
        return y if self.bias is None else y + self.bias[:, None, None].to(y.dtype)

    def kernels(self, x: Tensor) -> Tensor:
        """The kernel of each group and position, (N, G, kh*kw, H', W')."""
        hidden = self.norm(self.reduce(centres(x, self.geometry))).relu()
        kh, kw = self.geometry.kernel_size
        shape = (x.shape[0], self.groups, kh * kw, *self.output_size)
        return self.expand(hidden).view(shape)  # type: ignore[no-any-return]

    def uncounted_flops_per_image(self) -> int:
        """The kernels' multiply-adds, which torch's counter treats as element-wise work (see cost.py)."""
        (H, W), (kh, kw) = self.output_size, self.geometry.kernel_size
        return 2 * self.out_channels * kh * kw * H * W

    def extra_repr(self) -> str:
        g = self.geometry
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={g.kernel_size}, groups={self.groups}, "
            f"input_size={g.input_size}, stride={g.stride}, padding={self.padding!r}, "
            f"dilation={g.dilation}, bias={self.bias is not None}"
        )


def apply_kernels(values: Tensor, kernels: Tensor, geometry: Geometry) -> Tensor:
    """y[n,c,i,j] = sum_t kernels[n,g(c),t,i,j] * values[n,c, tap t of (i,j)], tap by tap.

    values (N, C, H, W); kernels (N, G, kh*kw, H', W'), G a divisor of C; y (N, C, H', W'). On a CPU this takes
    a third of the time of unfolding and a matrix product.
    """
    (N, C), G = values.shape[:2], kernels.shape[1]
    padded = geometry.pad(values).view(N, G, C // G, *geometry.padded_size)
    (kh, kw), (sh, sw), (dh, dw) = geometry.kernel_size, geometry.stride, geometry.dilation
    height, width = ((size - 1) * step + 1 for size, step in zip(geometry.output_size, (sh, sw), strict=True))
    total: Tensor | None = None
    for tap, (a, b) in enumerate((a, b) for a in range(kh) for b in range(kw)):
        seen = padded[..., a * dh : a * dh + height : sh, b * dw : b * dw + width : sw]
        weight = kernels[:, :, tap, None]
        total = seen * weight if total is None else torch.addcmul(total, seen, weight)
    assert total is not None
    return total.flatten(1, 2)


def centres(x: Tensor, geometry: Geometry) -> Tensor:
    """The input at the centre of each output position, (N, C, H', W').

    With a stride it is the mean of the pixels that the stride steps over from the centre on; zero outside the image.
    """
    strides = geometry.stride
    starts = [(extent - 1) // 2 - geometry.padding[2 * axis] for axis, extent in enumerate(geometry.extent)]
    ends = [
        start + size * step - length
        for start, size, step, length in zip(
            starts, geometry.output_size, strides, geometry.input_size, strict=True
        )
    ]
    margins = (-starts[1], ends[1], -starts[0], ends[0])  # negative padding crops
    if strides == (1, 1):
        return F.pad(x, margins)
    # Means of means rather than sums over counts: torch's ONNX exporter ignores a pool's divisor_override.
    means = F.avg_pool2d(F.pad(x, margins), strides)
    seen = F.avg_pool2d(F.pad(x.new_ones(1, 1, *geometry.input_size), margins), strides)
    return means / seen.clamp_min(1 / (strides[0] * strides[1]))


def _groups(out_channels: int, group_channels: int) -> int:
    check_counts(group_channels=group_channels)
    if out_channels < group_channels:
        return 1
    if out_channels % group_channels:
        raise LayerError(f"group_channels (={group_channels}) must divide out_channels (={out_channels})")
    return out_channels // group_channels


@layer_kind("involution")
def _involution(
    in_channels: int,
    out_channels: int,
    kernel_size: Pair,
    *,
    input_size: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    bias: bool = False,
    group_channels: Annotated[int, Option("channels that share a kernel", at_least=1)] = GROUP_CHANNELS,
    reduction: Annotated[
        int, Option("kernels are computed from 1 / reduction of the channels", at_least=1)
    ] = REDUCTION,
) -> nn.Module:
    return Involution2d(
        in_channels,
        out_channels,
        kernel_size,
        input_size=input_size,
        stride=stride,
        padding=padding,
        bias=bias,
        group_channels=group_channels,
        reduction=reduction,
    )
