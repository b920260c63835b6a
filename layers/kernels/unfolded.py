"""Local connectivity as one batched matrix product over all positions, and low-rank local connectivity through it.

For GPUs: a few large launches, at the cost of writing every patch (and, for banks, every position's filter) to memory.
"""

import torch
from torch import Tensor

from lrlc.layers.geometry import Geometry
from lrlc.layers.plain import split_banks


def local(x: Tensor, filters: Tensor, geometry: Geometry) -> Tensor:
    """ops.local."""
    products = torch.bmm(_patches(geometry.pad(x), geometry), filters.to(x.dtype))  # (P, N, C_out)
    return products.view(*geometry.output_size, *products.shape[1:]).permute(2, 3, 0, 1)


def local_backward(
    grad: Tensor, x: Tensor, filters: Tensor, geometry: Geometry, needs: tuple[bool, ...]
) -> tuple[Tensor, Tensor]:
    """ops.local_backward."""
    of_x, of_filters = x.new_empty(0), filters.new_empty(0)
    outputs = grad.permute(2, 3, 0, 1).flatten(0, 1).contiguous()  # (P, N, C_out)
    padded = geometry.pad(x)
    if needs[0]:
        of_patches = torch.bmm(outputs, filters.to(x.dtype).transpose(1, 2))
        top, _, left, _ = geometry.padding
        of_x = _add_patches(of_patches, padded, geometry)[
            :, :, top : top + x.shape[2], left : left + x.shape[3]
        ]
    if needs[1]:
        of_filters = torch.bmm(_patches(padded, geometry).transpose(1, 2), outputs).to(filters.dtype)
    return of_x, of_filters


def form_filters(basis: Tensor, weights: Tensor) -> Tensor:
    """The filters (P, kh * kw * C_in, C_out) of banks (K * C_out, C_in, kh, kw) and weights (1, K, H', W')."""
    K = weights.shape[1]
    banks = split_banks(basis, K).permute(0, 3, 4, 2, 1).reshape(K, -1)
    maps = weights[0].flatten(1).to(basis.dtype)
    return (maps.T @ banks).view(maps.shape[1], -1, basis.shape[0] // K)


def form_filters_backward(
    of_filters: Tensor, basis: Tensor, weights: Tensor, needs: tuple[bool, ...]
) -> tuple[Tensor, Tensor]:
    """The gradients of basis and weights; `needs` as in ops.combined_backward."""
    K, flat = weights.shape[1], of_filters.flatten(1)  # (P, kh * kw * C_in * C_out)
    of_basis, of_weights = basis.new_empty(0), weights.new_empty(0)
    _, C_in, kh, kw = basis.shape
    if needs[1]:
        of_banks = weights[0].flatten(1).to(flat.dtype) @ flat
        of_basis = of_banks.view(K, kh, kw, C_in, -1).permute(0, 4, 3, 1, 2).reshape(basis.shape)
    if needs[2]:
        banks = split_banks(basis, K).permute(0, 3, 4, 2, 1).reshape(K, -1)
        of_weights = (banks @ flat.T).view(weights.shape).to(weights.dtype)
    return of_basis.to(basis.dtype), of_weights


def _patches(padded: Tensor, geometry: Geometry) -> Tensor:
    """(P, N, kh * kw * C) from x (N, C, H, W), which is already padded."""
    pixels = padded.permute(0, 2, 3, 1).contiguous()
    (kh, kw), (sh, sw), (dh, dw) = geometry.kernel_size, geometry.stride, geometry.dilation
    image, row, column, channel = pixels.stride()
    shape = (*geometry.output_size, pixels.shape[0], kh, kw, pixels.shape[3])
    patches = pixels.as_strided(shape, (sh * row, sw * column, image, dh * row, dw * column, channel))
    return patches.reshape(shape[0] * shape[1], shape[2], -1)


def _add_patches(of_patches: Tensor, padded: Tensor, geometry: Geometry) -> Tensor:
    """The gradient (N, C, H, W) of the padded x, tap by tap, so that repeated runs agree."""
    (kh, kw), (sh, sw), (dh, dw) = geometry.kernel_size, geometry.stride, geometry.dilation
    (TH, TW), (N, C, H, W) = geometry.output_size, padded.shape
    taps = of_patches.view(TH, TW, N, kh, kw, C).permute(2, 0, 1, 3, 4, 5)
    total = of_patches.new_zeros(N, H, W, C)
    for a in range(kh):
        rows = slice(a * dh, a * dh + (TH - 1) * sh + 1, sh)
        for b in range(kw):
            total[:, rows, b * dw : b * dw + (TW - 1) * sw + 1 : sw] += taps[:, :, :, a, b]
    return total.permute(0, 3, 1, 2)
