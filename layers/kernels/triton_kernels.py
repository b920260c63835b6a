"""The kernels in Triton, for CUDA devices; with TRITON_INTERPRET=1 they run on a CPU, for tests.

Combining weights that all images share, and local connectivity: triton_local.py. Weights that differ between images:
triton_dependent.py. Sums are float32 and partial sums are added by torch, so repeated runs agree to the last bit.
"""

from typing import Any

import torch
import triton
from torch import Tensor

from lrlc.layers.geometry import Geometry
from lrlc.layers.kernels import triton_dependent, triton_local, triton_tiles
from lrlc.layers.kernels.triton_launch import launch
from lrlc.layers.kernels.triton_tiles import precision, programs
from lrlc.layers.plain import split_banks

FORWARD, BACKWARD = (0, 3, 4, 2, 1), (0, 3, 4, 1, 2)
"""Orders of a basis (K, C_out, C_in, kh, kw): source channels, then target channels innermost."""


def combined(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
    """ops.combined."""
    K = weights.shape[1]
    y = x.new_empty(x.shape[0], *geometry.output_size, basis.shape[0] // K)
    maps = _by_position(weights)
    if weights.shape[0] == 1:
        _apply(_nhwc(x), _banks(basis, K, FORWARD), maps, y, geometry, backward=False)
    else:
        _dependent_output(_nhwc(x), basis, maps, None, y, geometry)
    return y.permute(0, 3, 1, 2)


def combined_backward(
    grad: Tensor, x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry, needs: tuple[bool, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """ops.combined_backward."""
    of_x, of_basis, of_weights = x.new_empty(0), basis.new_empty(0), weights.new_empty(0)
    maps, x_nhwc, grad_nhwc = _by_position(weights), _nhwc(x), _nhwc(grad)
    fixed, K = weights.shape[0] == 1, weights.shape[1]
    if needs[0]:
        into = torch.empty_like(x_nhwc)
        if fixed:
            _apply(grad_nhwc, _banks(basis, K, BACKWARD), maps, into, geometry, backward=True)
        else:
            _dependent_input_gradient(grad_nhwc, basis, maps, into, geometry)
        of_x = into.permute(0, 3, 1, 2)
    if needs[1] or needs[2]:
        gradients = _fixed_gradients if fixed else _dependent_gradients
        of_banks, of_maps = gradients(x_nhwc, grad_nhwc, basis, maps, geometry, needs)
        if needs[1]:
            of_basis = of_banks.reshape(basis.shape).to(basis.dtype)
        if needs[2]:
            of_weights = of_maps.transpose(1, 2).reshape(weights.shape).to(weights.dtype)
    return of_x, of_basis, of_weights


def local(x: Tensor, filters: Tensor, geometry: Geometry) -> Tensor:
    """ops.local."""
    y = x.new_empty(x.shape[0], *geometry.output_size, filters.shape[2])
    _apply(_nhwc(x), filters.contiguous(), None, y, geometry, backward=False)
    return y.permute(0, 3, 1, 2)


def local_backward(
    grad: Tensor, x: Tensor, filters: Tensor, geometry: Geometry, needs: tuple[bool, ...]
) -> tuple[Tensor, Tensor]:
    """ops.local_backward."""
    of_x, of_filters = x.new_empty(0), filters.new_empty(0)
    x_nhwc, grad_nhwc = _nhwc(x), _nhwc(grad)
    if needs[0]:
        into = torch.empty_like(x_nhwc)
        _apply(grad_nhwc, filters.contiguous(), None, into, geometry, backward=True)
        of_x = into.permute(0, 3, 1, 2)
    if needs[1]:
        of_filters = torch.empty_like(filters, memory_format=torch.contiguous_format)
        tiles = triton_tiles.filter_gradient(x, len(x), filters.shape[1], grad.shape[1])
        count = (
            filters.shape[0] * triton.cdiv(filters.shape[1], tiles.R) * triton.cdiv(grad.shape[1], tiles.T)
        )
        launch(
            triton_local.filter_gradient_kernel, count,
            x_nhwc, grad_nhwc, of_filters, *_sizes(x_nhwc, grad_nhwc, geometry),
            **_constants(geometry, x_nhwc, grad_nhwc), **tiles.options("BN"),
        )  # fmt: skip
    return of_x, of_filters


def _apply(
    source: Tensor,
    filters: Tensor,
    maps: Tensor | None,
    target: Tensor,
    geometry: Geometry,
    *,
    backward: bool,
) -> None:
    """The target from the source, by each position's filter: `filters` itself, or formed from banks by `maps`."""
    K = 0 if maps is None else maps.shape[2]
    (N, TH, TW, TC), R = target.shape, geometry.kernel_size[0] * geometry.kernel_size[1] * source.shape[3]
    tiles = triton_tiles.apply(source, N, R, TC, K)
    launch(
            triton_local.apply_kernel, TH * TW * triton.cdiv(N, tiles.rows) * triton.cdiv(TC, tiles.T),
        source, filters, source if maps is None else maps, target, *_sizes(source, target, geometry),
        K=K, BACKWARD=backward, **_constants(geometry, source, target), **tiles.options("BN"),
    )  # fmt: skip


def _fixed_gradients(
    x: Tensor, grad: Tensor, basis: Tensor, maps: Tensor, geometry: Geometry, needs: tuple[bool, ...]
) -> tuple[Tensor, Tensor]:
    """The gradients of the basis, as (K, C_out, C_in, kh, kw), and of the maps (1, P, K)."""
    (N, TH, TW, TC), K = grad.shape, maps.shape[2]
    banks = _banks(basis, K, FORWARD)
    R = banks[0, ..., 0].numel()
    tiles = triton_tiles.fixed_bank_gradient(x, N, R, TC, K)
    tiles_t = triton.cdiv(TC, tiles.T)
    units = TH * TW * triton.cdiv(N, tiles.rows)
    run, runs = programs(x, units, triton.cdiv(R, tiles.R) * tiles_t)
    of_banks = maps.new_empty(runs, *banks.shape)
    of_maps = maps.new_empty(tiles_t, TH * TW, units // (TH * TW), K, R)
    launch(
            triton_local.bank_gradient_kernel, runs * triton.cdiv(R, tiles.R) * tiles_t,
        x, grad, banks, maps, of_banks, of_maps, *_sizes(x, grad, geometry), run,
        K=K, **_constants(geometry, x, grad), **tiles.options("BN"),
    )  # fmt: skip
    return of_banks.sum(0).permute(0, 4, 3, 1, 2), of_maps.sum((0, 2, 4))[None]


def _dependent_output(
    x: Tensor, basis: Tensor, maps: Tensor, grad: Tensor | None, y: Tensor, geometry: Geometry
) -> Tensor:
    """y (N, H', W', C_out) in place; with `grad`, instead the gradient of the maps (N, P, K)."""
    TC, K, M, taps = y.shape[3], maps.shape[2], y.shape[:3].numel(), basis.shape[2] * basis.shape[3]
    KP = triton.next_power_of_2(K)
    tiles = triton_tiles.dependent_output(x, M, x.shape[3], TC, KP)
    tiles_t = triton.cdiv(TC, tiles.T)
    target = y if grad is None else maps.new_empty(tiles_t, *maps.shape)
    launch(
        triton_dependent.output_kernel, triton.cdiv(M, tiles.rows) * tiles_t,
        x, _side_by_side(basis, K, FORWARD), maps, y if grad is None else grad, target,
        M, taps * triton.cdiv(x.shape[3], tiles.R), *_sizes(x, y, geometry)[1:],
        K=K, KP=KP, OF_WEIGHTS=grad is not None, **_constants(geometry, x, y), **tiles.options("BM"),
    )  # fmt: skip
    return target if grad is None else target.sum(0)


def _dependent_input_gradient(
    grad: Tensor, basis: Tensor, maps: Tensor, into: Tensor, geometry: Geometry
) -> None:
    TC, K, M = into.shape[3], maps.shape[2], into.shape[:3].numel()
    tiles = triton_tiles.dependent_input_gradient(grad, M, grad.shape[3], TC, K)
    launch(
        triton_dependent.input_gradient_kernel, triton.cdiv(M, tiles.rows) * triton.cdiv(TC, tiles.T),
        grad, _side_by_side(basis, K, BACKWARD), maps, into, M, *_sizes(grad, into, geometry)[1:],
        K=K, **_constants(geometry, grad, into), **tiles.options("BM"),
    )  # fmt: skip


def _dependent_gradients(
    x: Tensor, grad: Tensor, basis: Tensor, maps: Tensor, geometry: Geometry, needs: tuple[bool, ...]
) -> tuple[Tensor, Tensor]:
    """The gradients of the basis, as (K, C_out, C_in, kh, kw), and of the maps (N, P, K)."""
    TC, K, M = grad.shape[3], maps.shape[2], grad.shape[:3].numel()
    (kh, kw), C, KP = geometry.kernel_size, x.shape[3], triton.next_power_of_2(K)
    of_banks, of_maps = basis, maps
    if needs[1]:
        tiles = triton_tiles.dependent_bank_gradient(x, M, C, TC, KP)
        count = kh * kw * triton.cdiv(C, tiles.R) * triton.cdiv(TC, tiles.T)
        run, runs = programs(x, triton.cdiv(M, tiles.rows), count)
        parts = maps.new_empty(runs, kh, kw, C, K, TC)
        launch(
            triton_dependent.bank_gradient_kernel, runs * count,
            x, grad, maps, parts, M, *_sizes(x, grad, geometry)[1:], run,
            K=K, KP=KP, **_constants(geometry, x, grad), **tiles.options("BM"),
        )  # fmt: skip
        of_banks = parts.sum(0).permute(3, 4, 2, 0, 1)
    if needs[2]:
        of_maps = _dependent_output(x, basis, maps, grad, grad, geometry)
    return of_banks, of_maps


def _sizes(source: Tensor, target: Tensor, geometry: Geometry) -> tuple[int, ...]:
    """The kernels' arguments N, SH, SW, TH, TW, top, left."""
    return (target.shape[0], *source.shape[1:3], *target.shape[1:3], geometry.padding[0], geometry.padding[2])


def _constants(geometry: Geometry, source: Tensor, target: Tensor) -> dict[str, Any]:
    """What the kernels are compiled for."""
    names = ("KH", "KW", "STRIDE_H", "STRIDE_W", "DILATION_H", "DILATION_W")
    values = (*geometry.kernel_size, *geometry.stride, *geometry.dilation)
    channels = {"SC": source.shape[3], "TC": target.shape[3], "PRECISION": precision(source.dtype)}
    return dict(zip(names, values, strict=True)) | channels


def _nhwc(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).contiguous()


def _banks(basis: Tensor, rank: int, order: tuple[int, ...]) -> Tensor:
    """(K, kh, kw, source channels, target channels)."""
    return split_banks(basis, rank).permute(order).contiguous()


def _side_by_side(basis: Tensor, rank: int, order: tuple[int, ...]) -> Tensor:
    """(kh, kw, source channels, K, target channels)."""
    _, rows, columns, source, target = order
    return split_banks(basis, rank).permute(rows, columns, source, 0, target).contiguous()


def _by_position(weights: Tensor) -> Tensor:
    """(1 or N, H'*W', K) in float32."""
    return weights.flatten(2).transpose(1, 2).float().contiguous()
