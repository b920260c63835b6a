"""How far a layer's filters are of low rank: the (positions x filter) matrix, and the layer truncated to a rank.

Row p of the matrix X (P, D) is all that is used at output position p: P = H'*W', D = C_out*C_in*kh*kw. With the left
singular vectors U_R of its R largest singular values the nearest matrix of rank R is U_R U_R^T X (Eckart and Young
1936).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from layers.local import LocallyConnected2d

_COLUMNS_AT_ONCE = 4096
"""Columns of X that are turned to float64 together."""


@dataclass(frozen=True)
class FilterSpectrum:
    """`singular_values` (min(P, D),), the largest first, and their left singular vectors `left` (P, min(P, D))."""

    singular_values: Tensor
    left: Tensor


def local_layers(model: nn.Module) -> dict[str, LocallyConnected2d]:
    """The modules whose filters differ freely from position to position, by name."""
    found = ((name, module) for name, module in model.named_modules())
    return {name: module for name, module in found if isinstance(module, LocallyConnected2d)}


@torch.no_grad()
def filter_spectrum(layer: LocallyConnected2d) -> FilterSpectrum:
    """The singular value decomposition of the layer's filters, in float64 on the CPU.

    By the eigenvalues of the smaller of X X^T and X^T X: values under 1e-8 of the largest are rounding.
    """
    matrix = layer.filters.flatten(1)
    tall = matrix.shape[0] > matrix.shape[1]
    gram = _gram(matrix.T if tall else matrix).cpu()
    squares, vectors = torch.linalg.eigh(gram)
    values, vectors = squares.clamp_min(0).sqrt().flip(0), vectors.flip(1)
    if tall:  # from right to left singular vectors
        vectors = matrix.double().cpu() @ vectors / values.clamp_min(values[0] * 1e-8 + 1e-300)
    return FilterSpectrum(values, vectors)


@contextmanager
def truncated(layer: LocallyConnected2d, spectrum: FilterSpectrum, rank: int) -> Iterator[None]:
    """Within, the layer's filters are those of the given rank that are nearest to its own."""
    own = layer.filters.data
    left = spectrum.left[:, :rank].to(own)
    try:
        layer.filters.data = (left @ (left.T @ own.flatten(1))).view_as(own)
        yield
    finally:
        layer.filters.data = own


def _gram(rows: Tensor) -> Tensor:
    """X X^T in float64, without a whole copy of X in that type."""
    blocks = (block.double() for block in torch.split(rows, _COLUMNS_AT_ONCE, 1))
    return sum(
        (block @ block.T for block in blocks), torch.zeros((), dtype=torch.float64, device=rows.device)
    )
