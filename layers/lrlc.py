"""Low-rank locally connected layers: between convolution (rank 1) and local connectivity.

Elsayed, Ramachandran, Shlens, Kornblith: "Revisiting Spatial Invariance with Low-Rank Local Connectivity",
ICML 2020, https://arxiv.org/abs/2002.02959. A layer has K filter banks and combines them separately at every
output position (docs/science.md, "The layer").
"""

from collections.abc import Sequence
from functools import reduce
from typing import Annotated, Any, Self

import torch
from torch import Tensor, nn

from lrlc.layers.combining import (
    NORMALIZATIONS,
    RANDOM_LOGITS_STD,
    SHARES,
    FixedCombiningWeights,
    InputDependentCombiningWeights,
)
from lrlc.layers.convolution import Convolution2d, as_plain_conv, he_uniform_
from lrlc.layers.entrance import check_input, enter
from lrlc.layers.errors import LayerError, check_choice, check_counts, check_factor, check_flag
from lrlc.layers.functional import combine
from lrlc.layers.geometry import Geometry, Padding, Pair, make_geometry
from lrlc.layers.options import Option
from lrlc.layers.plain import split_banks
from lrlc.layers.registry import layer_kind

Banks = int | tuple[int, int] | Sequence[int | tuple[int, int]]
"""A kernel size or dilation: an int or a tuple for all banks, a list with one entry per bank."""
LOGIT_STARTS = ("constant", "random")
SPREAD = 1.0
"""How far apart banks start that share an initial filter, in standard deviations of that filter; about as far as random
banks. With 0.1 they hardly separate in training, as the logits learn from the difference between banks."""


class LowRankLocallyConnected2d(nn.Module):
    """x (N, C_in, H, W) -> y (N, C_out, H', W'): y = sum_k w_k(i,j) * (x conv F_k)(i,j) + b(i,j,:).

    in_channels: C_in.
    out_channels: C_out.
    kernel_size: kh = kw, or a tuple (kh, kw); a *list* gives one entry per bank (then padding is 'same').
    input_size: H = W, or (H, W), of the inputs; other sizes raise LayerError.
    rank: K, the number of filter banks.
    stride: in positions, an int or (vertical, horizontal); 1 by default.
    padding: 'valid', 'same' (as TensorFlow pads), an int, (vertical, horizontal) or (top, bottom, left, right); 0 by
        default.
    dilation: of the kernel, an int or a tuple (vertical, horizontal); a *list* as for kernel_size; 1 by default.
    bias: whether there is a bias per channel, b(c); True by default.
    spatial_bias: whether there is a bias per position, b(i,j), shared like the logits; True by default.
    share: of logits and spatial bias, 'both' (row + column, the default), 'rows', 'columns' or 'none' (a table).
    normalize: the weights over the banks, 'softmax' (the default), 'l2' or 'none'.
    input_dependent: whether the weights come from a network of the layer's input, with a table (H', W') as spatial
        bias; False by default.
    start_logits: of fixed weights, 'constant' (the default), 1 / sqrt(K), so that the layer starts as a convolution;
        'random', around it with a standard deviation of RANDOM_LOGITS_STD.
    logits_lr: multiplies the learning rate of the logits or of the weights' network (see `parameter_groups`); above 0,
        1 by default.

    Parameters: basis (K*C_out, C_in, kh, kw) with K outermost (a list of (C_out, C_in, kh, kw) where banks
    vary), `combining` (see combining.py), bias (C_out), and bias_row (H'), bias_column (W') or bias_table
    (H', W').

    Raises LayerError for an invalid argument, InputError for an input of the wrong shape.

    Source: the paper above, sections 3.1 and 3.2, and the authors' code.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Banks,
        *,
        input_size: Pair,
        rank: int,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Banks = 1,
        bias: bool = True,
        spatial_bias: bool = True,
        share: str = "both",
        normalize: str = "softmax",
        input_dependent: bool = False,
        start_logits: str = "constant",
        logits_lr: float = 1.0,
    ) -> None:
        super().__init__()
        check_counts(in_channels=in_channels, out_channels=out_channels, rank=rank)
        check_flag("spatial_bias", spatial_bias)
        check_factor("logits_lr", logits_lr)
        check_choice("start_logits", start_logits, LOGIT_STARTS)
        check_choice("share", share, SHARES)
        self.in_channels, self.out_channels, self.rank = in_channels, out_channels, rank
        self.kernel_size, self.dilation, self.stride, self.padding = kernel_size, dilation, stride, padding
        self.geometries = _geometries(input_size, kernel_size, stride, padding, dilation, rank)
        self.input_size = self.geometries[0].input_size
        self.output_size = self.geometries[0].output_size
        self.varied = len(self.geometries) > 1
        self.basis = self._empty_basis()
        self.combining: FixedCombiningWeights | InputDependentCombiningWeights
        if input_dependent:
            share = "none"
            self.combining = InputDependentCombiningWeights(
                in_channels, rank, self.input_size, self.output_size, normalize, logits_lr
            )
        else:
            self.combining = FixedCombiningWeights(
                rank,
                self.output_size,
                share,
                normalize,
                start_std=RANDOM_LOGITS_STD if start_logits == "random" else 0.0,
                learning_rate_factor=logits_lr,
            )
        H, W = self.output_size
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        row, column = (
            spatial_bias and share in ("both", "rows"),
            spatial_bias and share in ("both", "columns"),
        )
        self.bias_row = nn.Parameter(torch.empty(H)) if row else None
        self.bias_column = nn.Parameter(torch.empty(W)) if column else None
        self.bias_table = nn.Parameter(torch.empty(H, W)) if spatial_bias and share == "none" else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Basis He uniform with fan_in = kh * kw * C_in, biases zero; `combining` resets itself."""
        for bank in self._bank_parameters():
            he_uniform_(bank, bank[0].numel())
        for bias in (self.bias, self.bias_row, self.bias_column, self.bias_table):
            if bias is not None:
                nn.init.zeros_(bias)

    def forward(self, x: Tensor) -> Tensor:
        return enter(self, x)

    def of_images(self, x: Tensor) -> Tensor:
        """The forward pass of a checked batch."""
        weights = self.combining(x)
        banks = self._bank_parameters()
        if self.varied:
            maps = torch.split(weights, 1, 1)
            parts = zip(banks, maps, self.geometries, strict=True)
            terms = (combine(x, bank, part, g) for bank, part, g in parts)
            y = reduce(torch.add, terms)
        else:
            y = combine(x, banks[0], weights, self.geometries[0])
        bias = self.bias_map()
        return y if bias is None else y + bias.to(y.dtype)

    def combining_weights(self, x: Tensor | None = None) -> Tensor:
        """The normalised weights (1, K, H', W'), or (N, K, H', W') of the input `x` if they depend on it."""
        if isinstance(self.combining, InputDependentCombiningWeights):
            if x is None:
                raise LayerError("these combining weights depend on the input: give x (N, C_in, H, W)")
            check_input(self, x)
            x = x if x.ndim == 4 else x[None]
        return self.combining(x)  # type: ignore[no-any-return]

    def local_filters(self, x: Tensor | None = None) -> Tensor:
        """The filter at each position, (H', W', C_out, C_in, kh, kw); (N, H', ...) if it depends on `x`.

        Banks of different geometry are embedded in one undilated kernel that covers them all.
        """
        weights = self.combining_weights(x)
        filters = torch.einsum("nkij,koabc->nijoabc", weights, self._common_banks())
        return filters if isinstance(self.combining, InputDependentCombiningWeights) else filters[0]

    def bias_map(self) -> Tensor | None:
        """b(i,j,c) as a tensor that broadcasts to (C_out, H', W'), or None."""
        parts = [
            None if self.bias is None else self.bias[:, None, None],
            None if self.bias_row is None else self.bias_row[None, :, None],
            None if self.bias_column is None else self.bias_column[None, None, :],
            None if self.bias_table is None else self.bias_table[None],
        ]
        present = [part for part in parts if part is not None]
        return sum(present[1:], present[0]) if present else None

    @classmethod
    def from_conv(
        cls,
        conv: nn.Conv2d | Convolution2d,
        *,
        input_size: Pair,
        rank: int,
        spread: float = SPREAD,
        **options: Any,
    ) -> Self:
        """A layer that computes what `conv` (nn.Conv2d or Convolution2d) does, ready to relax it.

        `options` as for the class; `spread` as for `start_from_conv`.
        """
        weight, bias = as_plain_conv(conv)
        layer = cls(
            weight.shape[1],
            weight.shape[0],
            (weight.shape[2], weight.shape[3]),
            input_size=input_size,
            rank=rank,
            stride=conv.stride,
            padding=conv.padding,
            dilation=conv.dilation,
            bias=bias is not None,
            **options,
        ).to(weight)
        layer.start_from_conv(conv, spread=spread)
        return layer

    @torch.no_grad()
    def start_from_conv(self, conv: nn.Conv2d | Convolution2d, *, spread: float = SPREAD) -> None:
        """Start as `conv`, with banks that training can separate.

        Equal banks with constant weights would always get equal gradients, and their logits none. The banks therefore
        differ from the filter by normal noise of `spread` times its standard deviation, which cancels in their
        average: with constant weights the output is that of `conv`. The network of input-dependent weights starts
        with constant output. LayerError if banks vary.
        """
        weight, bias = as_plain_conv(conv)
        if self.varied:
            raise LayerError("banks of different kernel_size or dilation cannot start from a convolution")
        self._start_constant_network()
        assert isinstance(self.basis, Tensor)
        share = 1 / self.rank if self.combining.normalize == "softmax" else self.rank**-0.5
        # Drawn on the CPU, so that a trial's numbers do not depend on the device's generator.
        noise = torch.randn(self.rank, *weight.shape, dtype=weight.dtype, device="cpu").to(weight.device)
        deviation = weight.std() if weight.numel() > 1 else weight.abs().squeeze()
        noise = (noise - noise.mean(0)) * (spread * deviation)
        self.basis.copy_((weight / (share * self.rank) + noise).flatten(0, 1))
        if self.bias is not None:
            self.bias.copy_(torch.zeros_like(self.bias) if bias is None else bias)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, rank={self.rank}, "
            f"input_size={self.input_size}, stride={self.stride}, padding={self.padding!r}, "
            f"dilation={self.dilation}, bias={self.bias is not None}"
        )

    def _start_constant_network(self) -> None:
        if isinstance(self.combining, InputDependentCombiningWeights):
            nn.init.zeros_(self.combining.project.weight)
            assert self.combining.project.bias is not None
            nn.init.constant_(self.combining.project.bias, self.rank**-0.5)

    def _bank_parameters(self) -> list[Tensor]:
        return list(self.basis) if isinstance(self.basis, nn.ParameterList) else [self.basis]

    def _empty_basis(self) -> nn.Parameter | nn.ParameterList:
        C_out = self.out_channels if self.varied else self.out_channels * self.rank
        banks = [nn.Parameter(torch.empty(C_out, self.in_channels, *g.kernel_size)) for g in self.geometries]
        return nn.ParameterList(banks) if self.varied else banks[0]

    def _common_banks(self) -> Tensor:
        banks = self._bank_parameters()
        if not self.varied:
            return split_banks(banks[0], self.rank)
        tops = [g.padding[0] for g in self.geometries]
        lefts = [g.padding[2] for g in self.geometries]
        starts = [(max(tops) - t, max(lefts) - f) for t, f in zip(tops, lefts, strict=True)]
        height, width = (
            max(start[axis] + g.extent[axis] for start, g in zip(starts, self.geometries, strict=True))
            for axis in (0, 1)
        )
        frame = banks[0].new_zeros(self.rank, self.out_channels, self.in_channels, height, width)
        for k, (bank, (top, left), g) in enumerate(zip(banks, starts, self.geometries, strict=True)):
            rows = slice(top, top + g.extent[0], g.dilation[0])
            columns = slice(left, left + g.extent[1], g.dilation[1])
            frame[k, :, :, rows, columns] = bank
        return frame


class InputDependentLowRankLocallyConnected2d(LowRankLocallyConnected2d):
    """LowRankLocallyConnected2d(..., input_dependent=True): the weights come from the layer's input.

    in_channels: C_in.
    out_channels: C_out.
    kernel_size: as for LowRankLocallyConnected2d.
    input_size: H = W, or (H, W), of the inputs.
    rank: K, the number of filter banks.
    options: stride, padding, dilation, bias, spatial_bias, normalize and logits_lr of LowRankLocallyConnected2d.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Banks,
        *,
        input_size: Pair,
        rank: int,
        **options: Any,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            input_size=input_size,
            rank=rank,
            input_dependent=True,
            **options,
        )


def _geometries(
    input_size: Pair, kernel_size: Banks, stride: Pair, padding: Padding, dilation: Banks, rank: int
) -> tuple[Geometry, ...]:
    """One geometry for all banks, or one per bank if kernel_size or dilation is a list."""
    if not isinstance(kernel_size, list) and not isinstance(dilation, list):
        return (make_geometry(input_size, kernel_size, stride, padding, dilation),)  # type: ignore[arg-type]
    for name, value in (("kernel_size", kernel_size), ("dilation", dilation)):
        if isinstance(value, list) and len(value) != rank:
            raise LayerError(f"{name} lists {len(value)} banks, but rank is {rank}")
    if padding != "same":
        raise LayerError(f"banks of different kernel_size or dilation need padding='same', not {padding!r}")
    kernels = kernel_size if isinstance(kernel_size, list) else [kernel_size] * rank
    spreads = dilation if isinstance(dilation, list) else [dilation] * rank
    return tuple(
        make_geometry(input_size, kernel, stride, padding, spread)
        for kernel, spread in zip(kernels, spreads, strict=True)
    )


SpatialBias = Annotated[bool, Option("whether there is a bias for every position")]
Normalize = Annotated[str, Option("how combining weights are normalised over the banks", NORMALIZATIONS)]
LogitsRate = Annotated[
    float,
    Option("multiplies the learning rate of the logits, or of the weights' network", above=0, learning=True),
]


@layer_kind("lrlc", ranked=True, from_conv=True)
def _lrlc(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    input_size: Pair,
    rank: int,
    stride: Pair = 1,
    padding: Padding = 0,
    bias: bool = False,
    spatial_bias: SpatialBias = True,
    share: Annotated[
        str, Option("what logits and spatial bias are shared along; none is a table", SHARES)
    ] = "both",
    normalize: Normalize = "softmax",
    start_logits: Annotated[str, Option("how the logits start", LOGIT_STARTS, learning=True)] = "constant",
    logits_lr: LogitsRate = 1.0,
) -> nn.Module:
    return LowRankLocallyConnected2d(
        in_channels,
        out_channels,
        kernel_size,
        input_size=input_size,
        rank=rank,
        stride=stride,
        padding=padding,
        bias=bias,
        spatial_bias=spatial_bias,
        share=share,
        normalize=normalize,
        start_logits=start_logits,
        logits_lr=logits_lr,
    )


@layer_kind("lrlc_input_dependent", ranked=True, from_conv=True)
def _lrlc_input_dependent(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    input_size: Pair,
    rank: int,
    stride: Pair = 1,
    padding: Padding = 0,
    bias: bool = False,
    spatial_bias: SpatialBias = True,
    normalize: Normalize = "softmax",
    logits_lr: LogitsRate = 1.0,
) -> nn.Module:
    return InputDependentLowRankLocallyConnected2d(
        in_channels,
        out_channels,
        kernel_size,
        input_size=input_size,
        rank=rank,
        stride=stride,
        padding=padding,
        bias=bias,
        spatial_bias=spatial_bias,
        normalize=normalize,
        logits_lr=logits_lr,
    )
