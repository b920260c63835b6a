"""Triton kernels with one filter per output position: read from memory, or formed on chip from shared banks.

A program owns a position, a block of images and a block of channels. With `K` banks it forms its tile of the
position's filter from tiles of the banks, so nothing of the size of all filters is written; with K = 0 it reads the
filters of local connectivity. Patches are one axis r = (tap, channel), so a few input channels share one step.

Addresses are a 64-bit base per program and 32-bit offsets inside a block of images. Loads in the loops are masked and
never conditional, so that the compiler can pipeline them.
"""

import triton
import triton.language as tl

SIZES = ("N", "SH", "SW", "TH", "TW", "top", "left")
"""Arguments that are not compiled in, so that one kernel serves every batch and image size."""


@triton.jit  # type: ignore[untyped-decorator]
def source_index(  # type: ignore[no-untyped-def]
    target, tap, size, pad, STRIDE: tl.constexpr, DILATION: tl.constexpr, BACKWARD: tl.constexpr
):  # fmt: skip
    """The source index that `tap` reads for a target index, and whether there is one."""
    if BACKWARD:
        at = target + pad - tap * DILATION
        inside = at >= 0
        if STRIDE > 1:
            inside = inside & (at % STRIDE == 0)
            at = at // STRIDE
    else:
        at = target * STRIDE + tap * DILATION - pad
        inside = at >= 0
    return at, inside & (at < size)


@triton.jit(do_not_specialize=SIZES)  # type: ignore[untyped-decorator]
def apply_kernel(  # type: ignore[no-untyped-def]
    source, filters, weights, target, N, SH, SW, TH, TW, top, left,
    K: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr, SC: tl.constexpr, TC: tl.constexpr,
    STRIDE_H: tl.constexpr, STRIDE_W: tl.constexpr, DILATION_H: tl.constexpr, DILATION_W: tl.constexpr,
    BACKWARD: tl.constexpr, PRECISION: tl.constexpr, BN: tl.constexpr, BR: tl.constexpr, BT: tl.constexpr,
):  # fmt: skip
    """target (N, TH, TW, TC) from source (N, SH, SW, SC).

    K > 0: filters are banks (K, taps, SC, TC), weights (P, K) with P the positions of the layer's output: the
    target's, or the source's where BACKWARD. K = 0: filters (P, taps, input channels, output channels).
    """
    R: tl.constexpr = KH * KW * SC
    tiles_n, tiles_t = tl.cdiv(N, BN), tl.cdiv(TC, BT)
    position = tl.program_id(0) // (
        tiles_n * tiles_t
    )  # slowest: programs that run together share banks and pixels
    first = tl.program_id(0) // tiles_t % tiles_n * BN
    i, j = position // TW, position % TW
    n = tl.arange(0, BN)
    t = tl.program_id(0) % tiles_t * BT + tl.arange(0, BT)
    images = (n < N - first)[:, None]
    columns = (t < TC)[None, :]
    base = source + first.to(tl.int64) * (SH * SW * SC)
    rows = n[:, None] * (SH * SW * SC)
    total = tl.zeros((BN, BT), dtype=tl.float32)
    for r0 in range(0, R, BR):
        r = r0 + tl.arange(0, BR)
        tap, s = r // SC, r % SC
        h, row_inside = source_index(i, tap // KW, SH, top, STRIDE_H, DILATION_H, BACKWARD)
        w, column_inside = source_index(j, tap % KW, SW, left, STRIDE_W, DILATION_W, BACKWARD)
        inside = row_inside & column_inside & (r < R)
        pixel = h * SW + w
        left_tile = tl.load(
            base + (rows + (pixel * SC + s)[None, :]), mask=images & inside[None, :], other=0.0
        )
        mask = inside[:, None] & columns
        if K == 0:
            if BACKWARD:
                place = ((pixel * (KH * KW) + tap) * TC * SC + s)[:, None] + t[None, :] * SC
            else:
                place = position * (R * TC) + r[:, None] * TC + t[None, :]
            tile = tl.load(filters + place, mask=mask, other=0.0)
        else:
            formed = tl.zeros((BR, BT), dtype=tl.float32)
            place = r[:, None] * TC + t[None, :]
            for k in tl.static_range(K):
                bank = tl.load(filters + k * (R * TC) + place, mask=mask, other=0.0)
                if BACKWARD:
                    formed += tl.load(weights + pixel * K + k, mask=inside, other=0.0)[:, None] * bank
                else:
                    formed += tl.load(weights + position * K + k) * bank
            tile = formed.to(left_tile.dtype)
        total = tl.dot(left_tile, tile, total, input_precision=PRECISION)
    to = (
        target
        + first.to(tl.int64) * (TH * TW * TC)
        + (n[:, None] * (TH * TW * TC) + position * TC + t[None, :])
    )
    tl.store(to, total.to(target.dtype.element_ty), mask=images & columns)


@triton.jit(do_not_specialize=SIZES)  # type: ignore[untyped-decorator]
def filter_gradient_kernel(  # type: ignore[no-untyped-def]
    source, grad, of_filters, N, SH, SW, TH, TW, top, left,
    KH: tl.constexpr, KW: tl.constexpr, SC: tl.constexpr, TC: tl.constexpr,
    STRIDE_H: tl.constexpr, STRIDE_W: tl.constexpr, DILATION_H: tl.constexpr, DILATION_W: tl.constexpr,
    PRECISION: tl.constexpr, BN: tl.constexpr, BR: tl.constexpr, BT: tl.constexpr,
):  # fmt: skip
    """of_filters (P, taps * SC, TC): each position's filter gradient, source patch^T grad, summed over the images."""
    R: tl.constexpr = KH * KW * SC
    tiles_r: tl.constexpr = (R + BR - 1) // BR
    tiles_t: tl.constexpr = (TC + BT - 1) // BT
    position = tl.program_id(0) // (tiles_r * tiles_t)
    r = tl.program_id(0) // tiles_t % tiles_r * BR + tl.arange(0, BR)
    t = tl.program_id(0) % tiles_t * BT + tl.arange(0, BT)
    tap, s = r // SC, r % SC
    h, row_inside = source_index(position // TW, tap // KW, SH, top, STRIDE_H, DILATION_H, False)
    w, column_inside = source_index(position % TW, tap % KW, SW, left, STRIDE_W, DILATION_W, False)
    inside = (row_inside & column_inside & (r < R))[None, :]
    patch = ((h * SW + w) * SC + s)[None, :]
    n = tl.arange(0, BN)[:, None]
    total = tl.zeros((BR, BT), dtype=tl.float32)
    for first in range(0, N, BN):
        images = n < N - first
        image = tl.cast(first, tl.int64)
        pixels = source + image * (SH * SW * SC) + (n * (SH * SW * SC) + patch)
        left_tile = tl.load(pixels, mask=images & inside, other=0.0)
        outputs = grad + image * (TH * TW * TC) + (n * (TH * TW * TC) + position * TC + t[None, :])
        right_tile = tl.load(outputs, mask=images & (t < TC)[None, :], other=0.0)
        total = tl.dot(tl.trans(left_tile), right_tile, total, input_precision=PRECISION)
    to = of_filters + position.to(tl.int64) * (R * TC) + (r[:, None] * TC + t[None, :])
    tl.store(to, total.to(of_filters.dtype.element_ty), mask=(r < R)[:, None] & (t < TC)[None, :])


@triton.jit(do_not_specialize=(*SIZES, "run"))  # type: ignore[untyped-decorator]
def bank_gradient_kernel(  # type: ignore[no-untyped-def]
    source, grad, banks, weights, of_banks, of_weights, N, SH, SW, TH, TW, top, left, run,
    K: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr, SC: tl.constexpr, TC: tl.constexpr,
    STRIDE_H: tl.constexpr, STRIDE_W: tl.constexpr, DILATION_H: tl.constexpr, DILATION_W: tl.constexpr,
    PRECISION: tl.constexpr, BN: tl.constexpr, BR: tl.constexpr, BT: tl.constexpr,
):  # fmt: skip
    """The filter gradients of a run of units, each a position and a block of images, folded into K banks' gradients.

    A unit's gradient stays in registers: w_k times it is added to bank k's, and its product with bank k is the gradient
    of w_k. of_banks (runs, K, taps * SC, TC) and of_weights (channel tiles, units, K, taps * SC) hold partial sums.
    """
    R: tl.constexpr = KH * KW * SC
    tiles_r: tl.constexpr = (R + BR - 1) // BR
    tiles_t: tl.constexpr = (TC + BT - 1) // BT
    tile_t = tl.program_id(0) % tiles_t
    r = tl.program_id(0) // tiles_t % tiles_r * BR + tl.arange(0, BR)
    part = tl.program_id(0) // (tiles_r * tiles_t)
    t = tile_t * BT + tl.arange(0, BT)
    tap, s = r // SC, r % SC
    n = tl.arange(0, BN)[:, None]
    place = r[:, None] * TC + t[None, :]
    mask = (r < R)[:, None] & (t < TC)[None, :]
    blocks = tl.cdiv(N, BN)
    units = TH * TW * blocks
    totals = ()
    for _ in tl.static_range(K):
        totals = totals + (tl.zeros((BR, BT), dtype=tl.float32),)  # type: ignore[assignment]  # noqa: RUF005
    for unit in range(part * run, tl.minimum(part * run + run, units)):
        position = unit // blocks
        first = unit % blocks * BN
        h, row_inside = source_index(position // TW, tap // KW, SH, top, STRIDE_H, DILATION_H, False)
        w, column_inside = source_index(position % TW, tap % KW, SW, left, STRIDE_W, DILATION_W, False)
        inside = (row_inside & column_inside & (r < R))[None, :]
        images = n < N - first
        patch = ((h * SW + w) * SC + s)[None, :]
        image = tl.cast(first, tl.int64)
        pixels = source + image * (SH * SW * SC) + (n * (SH * SW * SC) + patch)
        left_tile = tl.load(pixels, mask=images & inside, other=0.0)
        outputs = grad + image * (TH * TW * TC) + (n * (TH * TW * TC) + position * TC + t[None, :])
        right_tile = tl.load(outputs, mask=images & (t < TC)[None, :], other=0.0)
        of_filter = tl.dot(tl.trans(left_tile), right_tile, input_precision=PRECISION)
        added = ()
        for k in tl.static_range(K):
            more = totals[k] + tl.load(weights + position * K + k) * of_filter
            added = added + (more,)  # type: ignore[assignment]  # noqa: RUF005
            bank = tl.load(banks + k * (R * TC) + place, mask=mask, other=0.0)
            to = of_weights + (tl.cast(tile_t * units + unit, tl.int64) * K + k) * R + r
            tl.store(to, tl.sum(of_filter * bank, axis=1), mask=r < R)
        totals = added
    for k in tl.static_range(K):
        tl.store(of_banks + (part * K + k).to(tl.int64) * (R * TC) + place, totals[k], mask=mask)
