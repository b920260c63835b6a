"""Triton kernels for combining weights that differ between images: implicit matrix products over all output pixels.

Rows are pixels m = (image, position), so that no batch size wastes a tile. Outputs keep K sums per channel and weight
them at the end; the input's gradient scales the rows of `grad` by w_k before each product. No K-fold activation is
written. A tile has BT channels of each of KP banks, K rounded up to a power of two.
"""

import triton
import triton.language as tl

from lrlc.layers.kernels.triton_local import source_index

SIZES = ("M", "SH", "SW", "TH", "TW", "top", "left")
"""Arguments that are not compiled in, so that one kernel serves every batch and image size."""


@triton.jit(do_not_specialize=(*SIZES, "steps"))  # type: ignore[untyped-decorator]
def output_kernel(  # type: ignore[no-untyped-def]
    source, banks, weights, grad, target, M, steps, SH, SW, TH, TW, top, left,
    K: tl.constexpr, KP: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr, SC: tl.constexpr, TC: tl.constexpr,
    STRIDE_H: tl.constexpr, STRIDE_W: tl.constexpr, DILATION_H: tl.constexpr, DILATION_W: tl.constexpr,
    OF_WEIGHTS: tl.constexpr, PRECISION: tl.constexpr, BM: tl.constexpr, BR: tl.constexpr, BT: tl.constexpr,
):  # fmt: skip
    """source (N, SH, SW, SC), banks (taps, SC, K, TC), weights (M, K), M = N * TH * TW; `steps` = taps * chunks.

    target (M, TC), the layer's output; or, OF_WEIGHTS, (channel tiles, M, K): a tile's part of <grad, bank k's output>.
    """
    tiles_t: tl.constexpr = (TC + BT - 1) // BT
    chunks: tl.constexpr = (SC + BR - 1) // BR
    tile_t = tl.program_id(0) % tiles_t
    first = tl.program_id(0) // tiles_t * BM
    m = first + tl.arange(0, BM)
    P = TH * TW
    image, position = m // P - first // P, m % P
    base = source + (first // P).to(tl.int64) * (SH * SW * SC)
    c = tl.arange(0, KP * BT)
    column_t = tile_t * BT + c % BT
    column = (c // BT) * TC + column_t
    columns = (column_t < TC) & (c // BT < K)
    total = tl.zeros((BM, KP * BT), dtype=tl.float32)
    for step in range(steps):  # not a constant: the compiler would unroll it and run out of registers
        tap = step // chunks
        s = step % chunks * BR + tl.arange(0, BR)
        h, row_inside = source_index(position // TW, tap // KW, SH, top, STRIDE_H, DILATION_H, False)
        w, column_inside = source_index(position % TW, tap % KW, SW, left, STRIDE_W, DILATION_W, False)
        inside = row_inside & column_inside & (m < M)
        pixels = (image * SH + h) * SW + w
        left_tile = tl.load(
            base + (pixels[:, None] * SC + s[None, :]), mask=inside[:, None] & (s < SC)[None, :], other=0.0
        )
        place = (tap * SC + s)[:, None] * (K * TC) + column[None, :]
        bank = tl.load(banks + place, mask=(s < SC)[:, None] & columns[None, :], other=0.0)
        total = tl.dot(left_tile, bank, total, input_precision=PRECISION)
    t = tile_t * BT + tl.arange(0, BT)
    k = tl.arange(0, KP)
    pixels = first.to(tl.int64) * TC + ((m - first)[:, None] * TC + t[None, :])
    outputs_mask = (m < M)[:, None] & (t < TC)[None, :]
    maps = first.to(tl.int64) * K + ((m - first)[:, None] * K + k[None, :])
    maps_mask = (m < M)[:, None] & (k < K)[None, :]
    products = tl.reshape(total, (BM, KP, BT))
    if OF_WEIGHTS:
        outputs = tl.load(grad + pixels, mask=outputs_mask, other=0.0).to(tl.float32)
        found = tl.sum(products * outputs[:, None, :], axis=2)
        tl.store(target + tile_t.to(tl.int64) * M * K + maps, found, mask=maps_mask)
    else:
        scales = tl.load(weights + maps, mask=maps_mask, other=0.0)
        y = tl.sum(products * scales[:, :, None], axis=1)
        tl.store(target + pixels, y.to(target.dtype.element_ty), mask=outputs_mask)


@triton.jit(do_not_specialize=SIZES)  # type: ignore[untyped-decorator]
def input_gradient_kernel(  # type: ignore[no-untyped-def]
    grad, banks, weights, target, M, SH, SW, TH, TW, top, left,
    K: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr, SC: tl.constexpr, TC: tl.constexpr,
    STRIDE_H: tl.constexpr, STRIDE_W: tl.constexpr, DILATION_H: tl.constexpr, DILATION_W: tl.constexpr,
    PRECISION: tl.constexpr, BM: tl.constexpr, BR: tl.constexpr, BT: tl.constexpr,
):  # fmt: skip
    """target (M, TC) with M = N * TH * TW input pixels, from grad (N, SH, SW, SC), banks (taps, SC, K, TC) and weights
    (N * SH * SW, K).
    """
    tiles_t: tl.constexpr = (TC + BT - 1) // BT
    first = tl.program_id(0) // tiles_t * BM
    m = first + tl.arange(0, BM)
    t = tl.program_id(0) % tiles_t * BT + tl.arange(0, BT)
    P = TH * TW
    image, position = m // P - first // P, m % P
    i, j = position // TW, position % TW
    base = (first // P).to(tl.int64) * (SH * SW)
    chunks: tl.constexpr = (SC + BR - 1) // BR
    total = tl.zeros((BM, BT), dtype=tl.float32)
    for step in range(KH * KW * chunks):
        tap = step // chunks
        s = step % chunks * BR + tl.arange(0, BR)
        h, row_inside = source_index(i, tap // KW, SH, top, STRIDE_H, DILATION_H, True)
        w, column_inside = source_index(j, tap % KW, SW, left, STRIDE_W, DILATION_W, True)
        inside = row_inside & column_inside & (m < M)
        pixels = (image * SH + h) * SW + w
        left_tile = tl.load(
            grad + base * SC + (pixels[:, None] * SC + s[None, :]),
            mask=inside[:, None] & (s < SC)[None, :],
            other=0.0,
        )
        place = (tap * SC + s)[:, None] * (K * TC) + t[None, :]
        mask = (s < SC)[:, None] & (t < TC)[None, :]
        for k in tl.static_range(K):
            scale = tl.load(weights + base * K + (pixels * K + k), mask=inside, other=0.0)
            bank = tl.load(banks + k * TC + place, mask=mask, other=0.0)
            scaled = (left_tile.to(tl.float32) * scale[:, None]).to(left_tile.dtype)
            total = tl.dot(scaled, bank, total, input_precision=PRECISION)
    to = target + first.to(tl.int64) * TC + ((m - first)[:, None] * TC + t[None, :])
    tl.store(to, total.to(target.dtype.element_ty), mask=(m < M)[:, None] & (t < TC)[None, :])


@triton.jit(do_not_specialize=(*SIZES, "run"))  # type: ignore[untyped-decorator]
def bank_gradient_kernel(  # type: ignore[no-untyped-def]
    source, grad, weights, of_banks, M, SH, SW, TH, TW, top, left, run,
    K: tl.constexpr, KP: tl.constexpr, KH: tl.constexpr, KW: tl.constexpr, SC: tl.constexpr, TC: tl.constexpr,
    STRIDE_H: tl.constexpr, STRIDE_W: tl.constexpr, DILATION_H: tl.constexpr, DILATION_W: tl.constexpr,
    PRECISION: tl.constexpr, BM: tl.constexpr, BR: tl.constexpr, BT: tl.constexpr,
):  # fmt: skip
    """of_banks (runs, taps, SC, K, TC): the sum over a run of blocks of pixels of source^T (w_k grad)."""
    chunks: tl.constexpr = (SC + BR - 1) // BR
    tiles_t: tl.constexpr = (TC + BT - 1) // BT
    tiles: tl.constexpr = KH * KW * chunks * tiles_t
    part, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    tap = tile // (chunks * tiles_t)
    s = tile // tiles_t % chunks * BR + tl.arange(0, BR)
    t0 = tile % tiles_t * BT
    t = t0 + tl.arange(0, BT)
    k = tl.arange(0, KP)
    P = TH * TW
    total = tl.zeros((BR, BT * KP), dtype=tl.float32)
    for block in range(part * run, tl.minimum(part * run + run, tl.cdiv(M, BM))):
        first = block * BM
        m = first + tl.arange(0, BM)
        image, position = m // P - first // P, m % P
        h, row_inside = source_index(position // TW, tap // KW, SH, top, STRIDE_H, DILATION_H, False)
        w, column_inside = source_index(position % TW, tap % KW, SW, left, STRIDE_W, DILATION_W, False)
        inside = row_inside & column_inside & (m < M)
        pixels = (image * SH + h) * SW + w
        base = source + tl.cast(first // P, tl.int64) * (SH * SW * SC)
        left_tile = tl.load(
            base + (pixels[:, None] * SC + s[None, :]), mask=inside[:, None] & (s < SC)[None, :], other=0.0
        )
        rows = (m - first)[:, None]
        outputs = tl.load(
            grad + tl.cast(first, tl.int64) * TC + (rows * TC + t[None, :]),
            mask=(m < M)[:, None] & (t < TC)[None, :],
            other=0.0,
        )
        scales = tl.load(
            weights + tl.cast(first, tl.int64) * K + (rows * K + k[None, :]),
            mask=(m < M)[:, None] & (k < K)[None, :],
            other=0.0,
        )
        weighted = outputs.to(tl.float32)[:, None, :] * scales[:, :, None]
        right_tile = tl.reshape(weighted.to(outputs.dtype), (BM, KP * BT))
        total = tl.dot(tl.trans(left_tile), right_tile, total, input_precision=PRECISION)
    c = tl.arange(0, KP * BT)
    column_t = t0 + c % BT
    place = (tap * SC + s)[:, None] * (K * TC) + ((c // BT) * TC + column_t)[None, :]
    mask = (s < SC)[:, None] & ((column_t < TC) & (c // BT < K))[None, :]
    tl.store(of_banks + part.to(tl.int64) * (KH * KW * SC * K * TC) + place, total, mask=mask)
