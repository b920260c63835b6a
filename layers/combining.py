"""Combining weights: how much of each filter bank is used at each position.

Either learned once for all images (fixed) or computed by a small network from the layer's own input
(input-dependent). Both give maps (1 or N, K, H', W'), normalised over the K banks.
"""

from math import sqrt

import torch
from torch import Tensor, nn

from lrlc.layers.entrance import fixed_sizes
from lrlc.layers.errors import InputError, check_choice
from lrlc.layers.kernels.bfloat16_convolution import convolve

SHARES = ("both", "rows", "columns", "none")
NORMALIZATIONS = ("softmax", "l2", "none")
DILATIONS = (1, 2, 4, 8)
RANDOM_LOGITS_STD = 0.1
"""Standard deviation of random initial logits; softmax weights of 4 banks then vary by about 0.02 over positions."""


def normalize_weights(logits: Tensor, normalize: str) -> Tensor:
    """Normalise (N, K, H', W') over K: 'softmax' sums to 1, 'l2' has unit norm, 'none' leaves as is.

    If the squared norm is under 1e-12, 'l2' divides by 1e-6, as tf.math.l2_normalize does. LayerError for complex
    logits, for which neither norm is defined.
    """
    if logits.is_complex() and normalize != "none":
        raise InputError(f"combining weights normalised by {normalize} must be real, not complex")
    if normalize == "softmax":
        return logits.softmax(1)
    if normalize == "l2":
        return logits * logits.square().sum(1, keepdim=True).clamp_min(1e-12).rsqrt()
    return logits


class FixedCombiningWeights(nn.Module):
    """Learned logits, shared along rows, columns, both or neither (docs/science.md, "Combining weights, fixed").

    Maps (1, K, H', W').

    rank: K, the number of banks.
    output_size: (H', W').
    share: 'both', row (K, H') + column (K, W'); 'rows', row only; 'columns', column only; 'none', table (K, H', W').
    normalize: over the banks, 'softmax', 'l2' or 'none'.
    start: initial value of the logits, 1 / sqrt(K) by default; it is constant, so the layer starts as a convolution.
    start_std: standard deviation of normal noise added to it, 0 by default.
    learning_rate_factor: multiplies the learning rate of the logits (see `parameter_groups`), 1 by default.

    Raises LayerError for an unknown share or normalize.
    """

    no_weight_decay = True
    """Weight decay would pull the weights towards equal shares, and thus the layer towards a convolution."""

    def __init__(
        self,
        rank: int,
        output_size: tuple[int, int],
        share: str,
        normalize: str,
        start: float | None = None,
        start_std: float = 0.0,
        learning_rate_factor: float = 1.0,
    ) -> None:
        super().__init__()
        check_choice("share", share, SHARES)
        check_choice("normalize", normalize, NORMALIZATIONS)
        self.rank, self.output_size, self.share, self.normalize = rank, output_size, share, normalize
        self.start, self.start_std, self.learning_rate_factor = start, start_std, learning_rate_factor
        H, W = output_size
        self.row = nn.Parameter(torch.empty(rank, H)) if share in ("both", "rows") else None
        self.column = nn.Parameter(torch.empty(rank, W)) if share in ("both", "columns") else None
        self.table = nn.Parameter(torch.empty(rank, H, W)) if share == "none" else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        factors = list(self.parameters())
        count, start = len(factors), 1 / sqrt(self.rank) if self.start is None else self.start
        for factor in factors:
            if self.start_std:
                nn.init.normal_(factor, start / count, self.start_std / sqrt(count))
            else:
                nn.init.constant_(factor, start / count)

    def forward(self, x: Tensor | None = None) -> Tensor:
        """The maps (1, K, H', W'); `x` is ignored."""
        return normalize_weights(self._logits()[None], self.normalize)

    def extra_repr(self) -> str:
        size = self.output_size
        return f"rank={self.rank}, output_size={size}, share={self.share!r}, normalize={self.normalize!r}"

    def _logits(self) -> Tensor:
        if self.table is not None:
            return self.table
        H, W = self.output_size
        if self.row is not None and self.column is not None:
            return self.row[:, :, None] + self.column[:, None, :]
        if self.row is not None:
            return self.row[:, :, None].expand(-1, H, W)
        assert self.column is not None
        return self.column[:, None, :].expand(-1, H, W)


class InputDependentCombiningWeights(nn.Module):
    """A multi-scale squeeze-and-excite network from x (N, C_in, H, W) to maps (N, K, H', W').

    See docs/science.md, "Combining weights, input-dependent": reduce to K channels; that map, its average and its
    dilated depthwise convolutions, all resized to (H', W'); squeeze, ReLU, excite, sigmoid, project to K;
    normalise.

    in_channels: C_in.
    rank: K, the number of banks.
    input_size: (H, W).
    output_size: (H', W').
    normalize: over the banks, 'softmax', 'l2' or 'none'.
    learning_rate_factor: multiplies the learning rate of the network's parameters (see `parameter_groups`), 1 by
        default.

    Raises LayerError for an unknown normalize.
    """

    def __init__(
        self,
        in_channels: int,
        rank: int,
        input_size: tuple[int, int],
        output_size: tuple[int, int],
        normalize: str,
        learning_rate_factor: float = 1.0,
    ) -> None:
        super().__init__()
        check_choice("normalize", normalize, NORMALIZATIONS)
        self.rank, self.output_size, self.normalize = rank, output_size, normalize
        self.learning_rate_factor = learning_rate_factor
        kept = [r for r in DILATIONS if r <= (min(input_size) - 1) // 2]
        wide = (len(DILATIONS) + 2) * rank  # the same if branches are left out
        self.dim_reduction = GlorotConv2d(in_channels, rank, 1)
        self.multiscale = nn.ModuleDict(
            {str(r): GlorotConv2d(rank, rank, 3, dilation=r, groups=rank) for r in kept}
        )
        self.squeeze = GlorotConv2d((len(kept) + 2) * rank, wide // 2, 1)
        self.excite = GlorotConv2d(wide // 2, wide, 1)
        self.project = GlorotConv2d(wide, rank, 1)

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.dim_reduction(x)
        maps = [_resize(reduced, self.output_size)]
        maps.append(reduced.mean((2, 3), keepdim=True).expand(-1, -1, *self.output_size))
        maps += [_resize(branch(reduced), self.output_size) for branch in self.multiscale.values()]
        squeezed = self.squeeze(torch.cat(maps, 1)).relu()
        logits: Tensor = self.project(self.excite(squeezed).sigmoid())
        return normalize_weights(logits, self.normalize)

    def extra_repr(self) -> str:
        return f"rank={self.rank}, output_size={self.output_size}, normalize={self.normalize!r}"


class GlorotConv2d(nn.Conv2d):
    """A convolution initialised as in Keras: Glorot uniform, zero bias (the authors' choice here).

    Without padding or stride; if it has no groups, without dilation too.
    """

    def reset_parameters(self) -> None:
        area = self.weight[0, 0].numel()
        # Keras counts a depthwise kernel (3, 3, K, 1) as K channels to 1.
        fan_in, fan_out = self.in_channels * area, self.out_channels // self.groups * area
        with torch.no_grad():
            bound = sqrt(6 / (fan_in + fan_out))
            self.weight.uniform_(-bound, bound)
            if self.bias is not None:
                self.bias.zero_()

    def forward(self, input: Tensor) -> Tensor:
        if self.groups != 1:
            return super().forward(input)
        return convolve(input, self.weight, self.bias, (1, 1), (0, 0), (1, 1))


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, align_corners, as two matrix products.

    F.interpolate's backward is not deterministic on CUDA, and Inductor (torch 2.13, CPU) fuses it into wrong
    gradients in this network.
    """
    H, W = fixed_sizes(maps)[-2:]
    if size == (H, W):
        return maps
    return _interpolation(H, size[0], maps) @ maps @ _interpolation(W, size[1], maps).T


def _interpolation(size: int, to: int, like: Tensor) -> Tensor:
    """(to, size): the weights of each target's two neighbours; the first and last centres coincide."""
    sources = torch.arange(size, dtype=torch.float64, device=like.device)
    targets = torch.linspace(0, size - 1, to, dtype=torch.float64, device=like.device)
    weights = 1 - (targets[:, None] - sources).abs()
    return weights.clamp_min(0).to(like.dtype)
