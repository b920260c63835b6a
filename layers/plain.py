"""The operators in differentiable torch, one bank at a time: for vmap, second derivatives and torch.compile.

Autograd keeps the K-fold activations of this form; the kernels in portable.py do not.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from lrlc.layers.geometry import Geometry


def combined(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
    """ops.combined, term by term."""
    x, padding = conv_input(x, geometry)
    banks = split_banks(basis, weights.shape[1]).unbind(0)
    total: Tensor | None = None
    for bank, weight in zip(banks, torch.split(weights.to(x.dtype), 1, 1), strict=True):
        term = F.conv2d(x, bank, None, geometry.stride, padding, geometry.dilation) * weight
        total = term if total is None else total + term
    assert total is not None
    return total


def local(x: Tensor, filters: Tensor, geometry: Geometry) -> Tensor:
    """ops.local as unfold and one matrix product per position."""
    (N, C), (kh, kw), (H, W) = x.shape[:2], geometry.kernel_size, geometry.output_size
    columns = F.unfold(geometry.pad(x), (kh, kw), geometry.dilation, 0, geometry.stride)  # (N, C*kh*kw, P)
    columns = columns.view(N, C, kh * kw, H * W).transpose(1, 2).flatten(1, 2)
    y = columns.permute(2, 0, 1) @ filters  # (P, N, C_out)
    return y.permute(1, 2, 0).reshape(N, filters.shape[2], H, W)


def gradients(
    operator: Callable[..., Tensor], geometry: Geometry, grad: Tensor, *inputs: Tensor
) -> tuple[Tensor, ...]:
    """The gradients of `combined` or `local` at `inputs`, in a differentiable form."""
    found: tuple[Tensor, ...] = torch.func.vjp(partial(operator, geometry=geometry), *inputs)[1](grad)
    return found


def needed(found: Sequence[Tensor], needs: Sequence[bool]) -> list[Tensor | None]:
    """The gradients that autograd needs; None in place of the others."""
    return [each if need else None for each, need in zip(found, needs, strict=True)]


def split_banks(basis: Tensor, rank: int) -> Tensor:
    """(K*C_out, C_in, kh, kw) as (K, C_out, C_in, kh, kw)."""
    return basis.reshape(rank, -1, *basis.shape[1:])


def conv_input(x: Tensor, geometry: Geometry) -> tuple[Tensor, tuple[int, int]]:
    """`x`, padded here if a convolution cannot do it, and the padding left to the convolution."""
    if geometry.symmetric:
        return x, (geometry.padding[0], geometry.padding[2])
    return geometry.pad(x), (0, 0)
