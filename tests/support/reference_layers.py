"""The layers computed position by position from their equations: slow, and differentiable by plain torch."""

import torch
from torch import Tensor
from torch.nn import functional as F

from lrlc.layers.geometry import Geometry


def combined(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
    """x (N, C_in, H, W), basis (K*C_out, C_in, kh, kw), weights (1 or N, K, H', W') -> (N, C_out, H', W')."""
    banks = basis.reshape(weights.shape[1], -1, *basis.shape[1:])
    maps = weights.expand(x.shape[0], -1, -1, -1)

    def filters(i: int, j: int) -> Tensor:  # (N, C_out, C_in, kh, kw)
        return torch.einsum("nk,koabc->noabc", maps[:, :, i, j], banks)

    return _at_each_position(x, filters, geometry)


def local(x: Tensor, filters: Tensor, geometry: Geometry) -> Tensor:
    """x (N, C_in, H, W), filters (H', W', C_out, C_in, kh, kw) -> (N, C_out, H', W')."""
    return _at_each_position(x, lambda i, j: filters[i, j][None], geometry)


def involved(x: Tensor, kernels: Tensor, geometry: Geometry) -> Tensor:
    """x (N, C, H, W), kernels (N, G, kh*kw, H', W') -> (N, C, H', W'): each channel by its group's kernel."""
    C = x.shape[1]
    channel = torch.eye(C, dtype=x.dtype)
    maps = kernels.repeat_interleave(C // kernels.shape[1], 1).unflatten(2, geometry.kernel_size)

    def filters(i: int, j: int) -> Tensor:  # (N, C, C, kh, kw), diagonal in the channels
        return torch.einsum("ncab,cd->ncdab", maps[..., i, j], channel)

    return _at_each_position(x, filters, geometry)


def _at_each_position(x, filters, geometry: Geometry) -> Tensor:
    top, bottom, left, right = geometry.padding
    padded = F.pad(x, (left, right, top, bottom))
    (H, W), (kh, kw) = geometry.output_size, geometry.kernel_size
    (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
    rows = []
    for i in range(H):
        row = []
        for j in range(W):
            taps = [padded[:, :, i * sh + a * dh, j * sw + b * dw] for a in range(kh) for b in range(kw)]
            patch = torch.stack(taps, -1).unflatten(-1, (kh, kw))  # (N, C_in, kh, kw)
            row.append((patch[:, None] * filters(i, j)).sum((2, 3, 4)))
        rows.append(torch.stack(row, -1))
    return torch.stack(rows, -2)
