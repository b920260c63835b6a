"""The kernels in Triton, for CUDA devices; with TRITON_INTERPRET=1 they run on a CPU, for tests.

Fixed weights: a program owns an output position, some images and some channels, forms its tile of the position's
filter from the banks on chip, and multiplies, so the rank costs K/N of a convolution. Input-dependent weights: the
left tile is scaled by w_k before each multiply, so there is no K-fold activation. Sums are float32; partial sums of
gradients are added by torch, so repeated runs agree.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from layers.geometry import Geometry
from layers.plain import split_banks


@triton.jit  # type: ignore[untyped-decorator]
def _source(target, tap, size, stride, pad, dilation, BACKWARD: tl.constexpr):  # type: ignore[no-untyped-def]
    """The source index that `tap` reads for a target index, and whether there is one."""
    if BACKWARD:
        at = target + pad - tap * dilation
        inside = (at >= 0) & (at % stride == 0)
        at = at // stride
    else:
        at = target * stride + tap * dilation - pad
        inside = at >= 0
    return at, inside & (at < size)


@triton.jit  # type: ignore[untyped-decorator]
def _apply_kernel(  # type: ignore[no-untyped-def]
    source, banks, weights, target,
    N, SH, SW, SC, TH, TW, TC, weights_image,
    stride_h, stride_w, top, left, dilation_h, dilation_w,
    K: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr, BACKWARD: tl.constexpr, DEPENDENT: tl.constexpr,
    BN: tl.constexpr, BS: tl.constexpr, BT: tl.constexpr,
):  # fmt: skip
    """target (N, TH, TW, TC) from source (N, SH, SW, SC), banks (K, taps, SC, TC), weights (1 or N, P, K).

    P are the positions of the layer's output: the target's, or the source's where BACKWARD.
    """
    position = tl.program_id(0)
    i, j = position // TW, position % TW
    n = tl.program_id(1) * BN + tl.arange(0, BN)
    t = tl.program_id(2) * BT + tl.arange(0, BT)
    total = tl.zeros((BN, BT), dtype=tl.float32)
    for a in range(KH):
        h, row_inside = _source(i, a, SH, stride_h, top, dilation_h, BACKWARD)
        for b in range(KW):
            w, column_inside = _source(j, b, SW, stride_w, left, dilation_w, BACKWARD)
            if row_inside & column_inside:
                at = position
                if BACKWARD:
                    at = h * SW + w
                for s0 in range(0, SC, BS):
                    s = s0 + tl.arange(0, BS)
                    pixels = source + ((n[:, None].to(tl.int64) * SH + h) * SW + w) * SC + s[None, :]
                    left_tile = tl.load(pixels, mask=(n[:, None] < N) & (s[None, :] < SC), other=0.0)
                    inside = (s[:, None] < SC) & (t[None, :] < TC)
                    place = ((a * KW + b) * SC + s[:, None]) * TC + t[None, :]
                    if DEPENDENT:
                        for k in range(K):
                            scale = tl.load(
                                weights + n.to(tl.int64) * weights_image + at * K + k, mask=n < N, other=0.0
                            )
                            bank = tl.load(banks + k * (KH * KW * SC * TC) + place, mask=inside, other=0.0)
                            scaled = (left_tile.to(tl.float32) * scale[:, None]).to(left_tile.dtype)
                            total += tl.dot(scaled, bank.to(left_tile.dtype), input_precision="ieee")
                    else:
                        tile = tl.zeros((BS, BT), dtype=tl.float32)
                        for k in range(K):
                            bank = tl.load(banks + k * (KH * KW * SC * TC) + place, mask=inside, other=0.0)
                            tile += tl.load(weights + at * K + k) * bank
                        total += tl.dot(left_tile, tile.to(left_tile.dtype), input_precision="ieee")
    to = target + ((n[:, None].to(tl.int64) * TH + i) * TW + j) * TC + t[None, :]
    tl.store(to, total.to(target.dtype.element_ty), mask=(n[:, None] < N) & (t[None, :] < TC))


@triton.jit  # type: ignore[untyped-decorator]
def _filter_gradient_kernel(  # type: ignore[no-untyped-def]
    source, grad, banks, weights, of_banks, of_weights,
    N, SH, SW, SC, TH, TW, TC,
    stride_h, stride_w, top, left, dilation_h, dilation_w, run,
    K: tl.constexpr, KP: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr,
    BN: tl.constexpr, BS: tl.constexpr, BT: tl.constexpr,
):  # fmt: skip
    """Fixed weights: G(p) = source(p)^T grad(p) for a run of positions, folded into the K banks' gradients.

    of_banks (runs, K, taps, SC, TC) and of_weights (taps * channel tiles, P, K) hold each program's part.
    """
    tile = tl.program_id(1)
    tiles_s, tiles_t = tl.cdiv(SC, BS), tl.cdiv(TC, BT)
    tap = tile // (tiles_s * tiles_t)
    s = (tile // tiles_t) % tiles_s * BS + tl.arange(0, BS)
    t = tile % tiles_t * BT + tl.arange(0, BT)
    ks = tl.arange(0, KP)
    inside = (ks[:, None, None] < K) & (s[None, :, None] < SC) & (t[None, None, :] < TC)
    place = ((ks[:, None, None] * (KH * KW) + tap) * SC + s[None, :, None]) * TC + t[None, None, :]
    bank = tl.load(banks + place, mask=inside, other=0.0)
    total = tl.zeros((KP, BS, BT), dtype=tl.float32)
    for p in range(tl.program_id(0) * run, min((tl.program_id(0) + 1) * run, TH * TW)):
        i, j = p // TW, p % TW
        h, row_inside = _source(i, tap // KW, SH, stride_h, top, dilation_h, False)
        w, column_inside = _source(j, tap % KW, SW, stride_w, left, dilation_w, False)
        of_weight = tl.zeros((KP,), dtype=tl.float32)
        if row_inside & column_inside:
            filter_gradient = tl.zeros((BS, BT), dtype=tl.float32)
            for n0 in range(0, N, BN):
                n = (n0 + tl.arange(0, BN)).to(tl.int64)
                pixels = source + ((n[None, :] * SH + h) * SW + w) * SC + s[:, None]
                left_tile = tl.load(pixels, mask=(n[None, :] < N) & (s[:, None] < SC), other=0.0)
                outputs = grad + ((n[:, None] * TH + i) * TW + j) * TC + t[None, :]
                right_tile = tl.load(outputs, mask=(n[:, None] < N) & (t[None, :] < TC), other=0.0)
                filter_gradient += tl.dot(left_tile, right_tile, input_precision="ieee")
            scale = tl.load(weights + p * K + ks, mask=ks < K, other=0.0)
            total += scale[:, None, None] * filter_gradient[None, :, :]
            of_weight = tl.sum(tl.sum(filter_gradient[None, :, :] * bank, axis=2), axis=1)
        tl.store(of_weights + (tile.to(tl.int64) * TH * TW + p) * K + ks, of_weight, mask=ks < K)
    part = tl.program_id(0).to(tl.int64) * K * KH * KW * SC * TC
    tl.store(of_banks + part + place, total, mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _dependent_bank_gradient_kernel(  # type: ignore[no-untyped-def]
    source, grad, weights, of_banks,
    N, SH, SW, SC, TH, TW, TC, weights_image,
    stride_h, stride_w, top, left, dilation_h, dilation_w, run,
    K: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr,
    BN: tl.constexpr, BS: tl.constexpr, BT: tl.constexpr,
):  # fmt: skip
    """of_banks (runs, K, taps, SC, TC): the sum over images and a run of positions of (w_k source)^T grad."""
    tile = tl.program_id(1)
    tiles_s, tiles_t = tl.cdiv(SC, BS), tl.cdiv(TC, BT)
    k_tap = tile // (tiles_s * tiles_t)
    k, tap = k_tap // (KH * KW), k_tap % (KH * KW)
    s = (tile // tiles_t) % tiles_s * BS + tl.arange(0, BS)
    t = tile % tiles_t * BT + tl.arange(0, BT)
    total = tl.zeros((BS, BT), dtype=tl.float32)
    for p in range(tl.program_id(0) * run, min((tl.program_id(0) + 1) * run, TH * TW)):
        i, j = p // TW, p % TW
        h, row_inside = _source(i, tap // KW, SH, stride_h, top, dilation_h, False)
        w, column_inside = _source(j, tap % KW, SW, stride_w, left, dilation_w, False)
        if row_inside & column_inside:
            for n0 in range(0, N, BN):
                n = (n0 + tl.arange(0, BN)).to(tl.int64)
                pixels = source + ((n[None, :] * SH + h) * SW + w) * SC + s[:, None]
                left_tile = tl.load(pixels, mask=(n[None, :] < N) & (s[:, None] < SC), other=0.0)
                scale = tl.load(weights + n * weights_image + p * K + k, mask=n < N, other=0.0)
                scaled = (left_tile.to(tl.float32) * scale[None, :]).to(left_tile.dtype)
                outputs = grad + ((n[:, None] * TH + i) * TW + j) * TC + t[None, :]
                right_tile = tl.load(outputs, mask=(n[:, None] < N) & (t[None, :] < TC), other=0.0)
                total += tl.dot(scaled, right_tile, input_precision="ieee")
    place = (k_tap * SC + s[:, None]) * TC + t[None, :]
    part = tl.program_id(0).to(tl.int64) * K * KH * KW * SC * TC
    tl.store(of_banks + part + place, total, mask=(s[:, None] < SC) & (t[None, :] < TC))


@triton.jit  # type: ignore[untyped-decorator]
def _dependent_weight_gradient_kernel(  # type: ignore[no-untyped-def]
    source, grad, banks, of_weights,
    N, SH, SW, SC, TH, TW, TC,
    stride_h, stride_w, top, left, dilation_h, dilation_w,
    K: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr,
    BN: tl.constexpr, BS: tl.constexpr, BT: tl.constexpr,
):  # fmt: skip
    """of_weights (N, P, K): the product of grad with bank k's own output, which is computed again."""
    position, k = tl.program_id(0), tl.program_id(2)
    i, j = position // TW, position % TW
    n = (tl.program_id(1) * BN + tl.arange(0, BN)).to(tl.int64)
    found = tl.zeros((BN,), dtype=tl.float32)
    for t0 in range(0, TC, BT):
        t = t0 + tl.arange(0, BT)
        total = tl.zeros((BN, BT), dtype=tl.float32)
        for tap in range(KH * KW):
            h, row_inside = _source(i, tap // KW, SH, stride_h, top, dilation_h, False)
            w, column_inside = _source(j, tap % KW, SW, stride_w, left, dilation_w, False)
            if row_inside & column_inside:
                for s0 in range(0, SC, BS):
                    s = s0 + tl.arange(0, BS)
                    pixels = source + ((n[:, None] * SH + h) * SW + w) * SC + s[None, :]
                    left_tile = tl.load(pixels, mask=(n[:, None] < N) & (s[None, :] < SC), other=0.0)
                    place = ((k * (KH * KW) + tap) * SC + s[:, None]) * TC + t[None, :]
                    bank = tl.load(banks + place, mask=(s[:, None] < SC) & (t[None, :] < TC), other=0.0)
                    total += tl.dot(left_tile, bank.to(left_tile.dtype), input_precision="ieee")
        outputs = grad + ((n[:, None] * TH + i) * TW + j) * TC + t[None, :]
        right_tile = tl.load(outputs, mask=(n[:, None] < N) & (t[None, :] < TC), other=0.0)
        found += tl.sum(total * right_tile.to(tl.float32), axis=1)
    tl.store(of_weights + (n * TH * TW + position) * K + k, found, mask=n < N)


def combined(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
    """ops.combined."""
    K = weights.shape[1]
    y = x.new_empty(x.shape[0], *geometry.output_size, basis.shape[0] // K)
    _apply(_nhwc(x), _banks(basis, K, (0, 3, 4, 2, 1)), _by_position(weights), y, geometry, backward=False)
    return y.permute(0, 3, 1, 2)


def combined_backward(
    grad: Tensor, x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry, needs: tuple[bool, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """ops.combined_backward."""
    K, maps = weights.shape[1], _by_position(weights)
    x_nhwc, grad_nhwc = _nhwc(x), _nhwc(grad)
    grad_x, grad_basis, grad_weights = x.new_empty(0), basis.new_empty(0), weights.new_empty(0)
    if needs[0]:
        of_x = torch.empty_like(x_nhwc)
        _apply(grad_nhwc, _banks(basis, K, (0, 3, 4, 1, 2)), maps, of_x, geometry, backward=True)
        grad_x = of_x.permute(0, 3, 1, 2)
    if needs[1] or needs[2]:
        banks = _banks(basis, K, (0, 3, 4, 2, 1))
        gradients = _fixed_gradients if weights.shape[0] == 1 else _dependent_gradients
        of_banks, of_maps = gradients(x_nhwc, grad_nhwc, banks, maps, geometry, needs)
        if needs[1]:
            grad_basis = of_banks.permute(0, 4, 3, 1, 2).reshape(basis.shape).to(basis.dtype)
        if needs[2]:
            grad_weights = of_maps.transpose(1, 2).reshape(weights.shape).to(weights.dtype)
    return grad_x, grad_basis, grad_weights


def _apply(
    source: Tensor, banks: Tensor, maps: Tensor, target: Tensor, geometry: Geometry, *, backward: bool
) -> None:
    N, TH, TW, TC = target.shape
    blocks = _blocks(N, source.shape[3], TC)
    grid = (TH * TW, triton.cdiv(N, blocks["BN"]), triton.cdiv(TC, blocks["BT"]))
    _apply_kernel[grid](
        source, banks, maps, target, *source.shape, TH, TW, TC, maps.stride(0), *_steps(geometry),
        K=banks.shape[0], KH=banks.shape[1], KW=banks.shape[2], BACKWARD=backward, DEPENDENT=maps.shape[0] > 1,
        **blocks,
    )  # fmt: skip


def _fixed_gradients(
    x: Tensor, grad: Tensor, banks: Tensor, maps: Tensor, geometry: Geometry, needs: tuple[bool, ...]
) -> tuple[Tensor, Tensor]:
    N, TH, TW, TC = grad.shape
    K, KH, KW = banks.shape[:3]
    KP = triton.next_power_of_2(K)
    blocks = {**_blocks(N, x.shape[3], TC), "BS": 16, "BT": 16 if KP > 8 else 32}  # K tiles stay in registers
    run = max(1, TH * TW // 32)
    runs = triton.cdiv(TH * TW, run)
    tiles = KH * KW * triton.cdiv(x.shape[3], blocks["BS"]) * triton.cdiv(TC, blocks["BT"])
    of_banks, of_maps = banks.new_empty(runs, *banks.shape), maps.new_empty(tiles, TH * TW, K)
    _filter_gradient_kernel[(runs, tiles)](
        x, grad, banks, maps, of_banks, of_maps, *x.shape, TH, TW, TC, *_steps(geometry), run,
        K=K, KP=KP, KH=KH, KW=KW, **blocks,
    )  # fmt: skip
    return of_banks.sum(0), of_maps.sum(0, keepdim=True)


def _dependent_gradients(
    x: Tensor, grad: Tensor, banks: Tensor, maps: Tensor, geometry: Geometry, needs: tuple[bool, ...]
) -> tuple[Tensor, Tensor]:
    N, TH, TW, TC = grad.shape
    K, KH, KW = banks.shape[:3]
    blocks = _blocks(N, x.shape[3], TC)
    run = max(1, TH * TW // 32)
    runs = triton.cdiv(TH * TW, run)
    of_banks, of_maps = banks.new_empty(runs, *banks.shape), torch.empty_like(maps)
    if needs[1]:
        tiles = K * KH * KW * triton.cdiv(x.shape[3], blocks["BS"]) * triton.cdiv(TC, blocks["BT"])
        _dependent_bank_gradient_kernel[(runs, tiles)](
            x, grad, maps, of_banks, *x.shape, TH, TW, TC, maps.stride(0), *_steps(geometry), run,
            K=K, KH=KH, KW=KW, **blocks,
        )  # fmt: skip
    if needs[2]:
        _dependent_weight_gradient_kernel[(TH * TW, triton.cdiv(N, blocks["BN"]), K)](
            x, grad, banks, of_maps, *x.shape, TH, TW, TC, *_steps(geometry), K=K, KH=KH, KW=KW, **blocks
        )
    return of_banks.sum(0), of_maps


def _blocks(images: int, source_channels: int, target_channels: int) -> dict[str, Any]:
    """Tile sizes: at least 16, which tl.dot needs; at most what registers hold."""
    return {
        "BN": min(128, max(16, triton.next_power_of_2(images))),
        "BS": min(64, max(16, triton.next_power_of_2(source_channels))),
        "BT": min(64, max(16, triton.next_power_of_2(target_channels))),
    }


def _steps(geometry: Geometry) -> tuple[int, ...]:
    top, _, left, _ = geometry.padding
    return (*geometry.stride, top, left, *geometry.dilation)


def _nhwc(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).contiguous()


def _banks(basis: Tensor, rank: int, order: tuple[int, ...]) -> Tensor:
    """(K, kh, kw, source channels, target channels) in float32."""
    return split_banks(basis, rank).permute(order).float().contiguous()


def _by_position(weights: Tensor) -> Tensor:
    """(1 or N, H'*W', K) in float32."""
    return weights.flatten(2).transpose(1, 2).float().contiguous()
