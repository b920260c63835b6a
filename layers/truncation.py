"""How close a layer's filters are to low rank: the (positions x filter) matrix, and the layer truncated to a rank.

Row p of the matrix X (P, D) is the filter used at output position p: P = H'*W', D = C_out*C_in*kh*kw. With the left
singular vectors U_R of its R largest singular values, the nearest matrix of rank R is U_R U_R^T X (Eckart and Young
1936). For relaxed convolution, X is a product W B of weights W (P, K) and banks B, and it suffices to truncate W.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lrlc.layers.local import LocallyConnected2d
from lrlc.layers.relaxed import RelaxedConv2d

LocalLayer = LocallyConnected2d | RelaxedConv2d
"""Layers whose filters may differ freely between positions; those of the latter within the span of its banks."""

_COLUMNS_AT_ONCE = 4096
"""Columns of X that are converted to float64 at once."""


@dataclass(frozen=True)
class FilterSpectrum:
    """`singular_values` (min(P, D),), the largest first, and their left singular vectors `left` (P, min(P, D)).

    Both float64, on the CPU; P and D are as above.
    """

    singular_values: Tensor
    left: Tensor


def local_layers(model: nn.Module) -> dict[str, LocalLayer]:
    """The layers of a network whose filters `filter_spectrum` can decompose, by module name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LocalLayer)}


@torch.no_grad()
def filter_spectrum(layer: LocalLayer) -> FilterSpectrum:
    """The singular value decomposition of the layer's filters X (P, D), in float64 on the CPU.

    Computed from the eigenvalues of the smaller of X X^T and X^T X: values under 1e-8 of the largest are rounding.
    """
    matrix = _filters(layer)
    tall = matrix.shape[0] > matrix.shape[1]
    gram = _gram(matrix.T if tall else matrix).cpu()
    squares, vectors = torch.linalg.eigh(gram)
    values, vectors = squares.clamp_min(0).sqrt().flip(0), vectors.flip(1)
    if tall:  # from right to left singular vectors
        vectors = matrix.double().cpu() @ vectors / values.clamp_min(values[0] * 1e-8 + 1e-300)
    return FilterSpectrum(values, vectors)


@contextmanager
def truncated(layer: LocalLayer, spectrum: FilterSpectrum, rank: int) -> Iterator[None]:
    """A context in which the layer's filters are replaced by their best approximation of the given rank.

    `spectrum` is that of the layer (see `filter_spectrum`); a `rank` of min(P, D) or more only changes rounding.
    Source: Eckart and Young, "The approximation of one matrix by another of lower rank", 1936.
    """
    left = spectrum.left[:, :rank]
    parameter = layer.combining.table if isinstance(layer, RelaxedConv2d) else layer.filters
    assert parameter is not None
    own = parameter.data
    try:
        parameter.data = _projected(left.to(own), own, positions_last=isinstance(layer, RelaxedConv2d))
        yield
    finally:
        parameter.data = own


def _projected(left: Tensor, values: Tensor, positions_last: bool) -> Tensor:
    """U U^T X for `left` U (P, R), and `values` (P, ...) or (K, H', W')."""
    rows = values.flatten(1).T if positions_last else values.flatten(1)  # (P, ...)
    nearest = left @ (left.T @ rows)
    return (nearest.T if positions_last else nearest).reshape(values.shape)


def _filters(layer: LocalLayer) -> Tensor:
    """X (P, D), with columns in any order."""
    if isinstance(layer, RelaxedConv2d):
        return layer.local_filters().flatten(0, 1).flatten(1)
    return layer.filters.flatten(1)


def _gram(rows: Tensor) -> Tensor:
    """X X^T in float64, without copying all of X to that type."""
    blocks = (block.double() for block in torch.split(rows, _COLUMNS_AT_ONCE, 1))
    return sum(
        (block @ block.T for block in blocks), torch.zeros((), dtype=torch.float64, device=rows.device)
    )
