"""The kernels in pure torch, for any CPU and without a compiler.

Fixed weights: output row by output row, the row's filters are formed from the banks and used for the whole
batch (paper section 3.2 read backwards), so the rank costs K/N of a convolution. Inputs are read in place: in
channels_last layout a patch's row is contiguous, so an output row is a batched matrix product over strided
views. Input-dependent weights: the banks' convolutions one after the other, recomputed in the backward pass.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from lrlc.layers.geometry import Geometry, make_geometry
from lrlc.layers.plain import conv_input, split_banks

WIDE_SEGMENT = 32
"""Minimum number of contiguous inputs for multiplying a patch's row in place; shorter patches are gathered first."""

GROUP = 32
"""Number of images whose banks are convolved at once."""


def combined(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
    """ops.combined for fixed weights (1, K, H', W')."""
    rows = _Rows(x, geometry)
    banks, per_row = _banks(basis, weights, geometry)
    return _forward(rows, x, (row_weights @ banks for row_weights in per_row), geometry)


def combined_backward(
    grad: Tensor,
    x: Tensor,
    basis: Tensor,
    weights: Tensor,
    geometry: Geometry,
    needs: tuple[bool, ...],
) -> tuple[Tensor, Tensor, Tensor]:
    """ops.combined_backward for fixed weights."""
    rows = _Rows(x, geometry)
    banks, per_row = _banks(basis, weights, geometry)
    grad_banks, grad_weights = torch.zeros_like(banks), torch.zeros_like(per_row)
    grad_nhwc = grad.permute(0, 2, 3, 1)
    for i, row_weights in enumerate(per_row):
        g = grad_nhwc[:, i].transpose(0, 1).to(banks.dtype)  # (W', N, C_out)
        if needs[1] or needs[2]:
            of_filters = rows.filter_gradient(i, g)  # (W', kh*kw*C_in*C_out)
            grad_banks.addmm_(row_weights.T, of_filters)
            grad_weights[i] = of_filters @ banks.T
        if needs[0]:
            rows.add_input_gradient(i, g, row_weights @ banks)
    K, C_in = weights.shape[1], x.shape[1]
    of_basis = grad_banks.view(K, *geometry.kernel_size, C_in, -1).permute(0, 4, 3, 1, 2)
    return (
        rows.input_gradient(x) if needs[0] else x.new_empty(0),
        of_basis.reshape(basis.shape).to(basis.dtype) if needs[1] else basis.new_empty(0),
        grad_weights.permute(2, 0, 1)[None].to(weights.dtype).contiguous()
        if needs[2]
        else weights.new_empty(0),
    )


def local(x: Tensor, filters: Tensor, geometry: Geometry) -> Tensor:
    """ops.local."""
    return _forward(_Rows(x, geometry), x, iter(torch.split(filters, geometry.output_size[1])), geometry)


def local_backward(
    grad: Tensor, x: Tensor, filters: Tensor, geometry: Geometry, needs: tuple[bool, ...]
) -> tuple[Tensor, Tensor]:
    """ops.local_backward."""
    rows = _Rows(x, geometry)
    grad_nhwc = grad.permute(0, 2, 3, 1)
    grad_filters = torch.empty_like(filters, memory_format=torch.contiguous_format)
    grad_rows = torch.split(grad_filters, geometry.output_size[1])
    for i, row_filters in enumerate(torch.split(filters, geometry.output_size[1])):
        g = grad_nhwc[:, i].transpose(0, 1).to(rows.dtype)
        if needs[1]:
            grad_rows[i].copy_(rows.filter_gradient(i, g).view_as(grad_rows[i]))
        if needs[0]:
            rows.add_input_gradient(i, g, row_filters)
    return (
        rows.input_gradient(x) if needs[0] else x.new_empty(0),
        grad_filters if needs[1] else filters.new_empty(0),
    )


def dependent(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
    """ops.combined for weights of any batch size: K convolutions, weighted and added one by one."""
    if len(groups := _groups(x)) == 1:
        return _dependent(x, basis, weights, geometry)
    y = x.new_empty(x.shape[0], *geometry.output_size, basis.shape[0] // weights.shape[1]).permute(0, 3, 1, 2)
    for group in groups:
        y[group] = _dependent(x[group], basis, _of_group(weights, group), geometry)
    return y


def _dependent(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
    x, padding = conv_input(x, geometry)
    x = x.contiguous(memory_format=torch.channels_last)
    total: Tensor | None = None
    for bank, weight in zip(basis.chunk(weights.shape[1]), _per_bank(weights, x), strict=True):
        term = _convolve(x, bank, padding, geometry)
        total = term.mul_(weight) if total is None else total.addcmul_(term, weight)
    assert total is not None
    return total.contiguous(memory_format=torch.channels_last)


def dependent_backward(
    grad: Tensor,
    x: Tensor,
    basis: Tensor,
    weights: Tensor,
    geometry: Geometry,
    needs: tuple[bool, ...],
) -> tuple[Tensor, Tensor, Tensor]:
    """ops.combined_backward for weights of any batch size."""
    if len(groups := _groups(x)) == 1:
        return _dependent_backward(grad, x, basis, weights, geometry, needs)
    of_x = torch.empty_like(x, memory_format=torch.channels_last) if needs[0] else x.new_empty(0)
    of_basis = torch.zeros_like(basis) if needs[1] else basis.new_empty(0)
    of_weights = torch.zeros_like(weights) if needs[2] else weights.new_empty(0)
    for group in groups:
        its_weights = _of_group(weights, group)
        found = _dependent_backward(grad[group], x[group], basis, its_weights, geometry, needs)
        if needs[0]:
            of_x[group] = found[0]
        if needs[1]:
            of_basis += found[1]
        if needs[2]:
            _of_group(of_weights, group).add_(found[2])
    return of_x, of_basis, of_weights


def _dependent_backward(
    grad: Tensor,
    x: Tensor,
    basis: Tensor,
    weights: Tensor,
    geometry: Geometry,
    needs: tuple[bool, ...],
) -> tuple[Tensor, Tensor, Tensor]:
    if geometry.kernel_size == (1, 1) and geometry.stride != (1, 1):
        return _sparse_backward(grad, x, basis, weights, geometry, needs)
    inner, padding = conv_input(x, geometry)
    inner = inner.contiguous(memory_format=torch.channels_last)
    K = weights.shape[1]
    grad_inner, grad_banks, grad_weights = torch.zeros_like(inner) if needs[0] else None, [], []
    for bank, weight in zip(basis.chunk(K), _per_bank(weights, x), strict=True):
        if needs[2]:
            product = _convolve(inner, bank, padding, geometry).mul_(grad).sum(1, keepdim=True)
            grad_weights.append(product.sum_to_size(weight.shape))
        if needs[0] or needs[1]:
            of_x, of_bank, _ = torch.ops.aten.convolution_backward(
                grad * weight, inner, bank, None, geometry.stride, padding, geometry.dilation,
                False, (0, 0), 1, (needs[0], needs[1], False),
            )  # fmt: skip
            grad_banks.append(of_bank)
            if grad_inner is not None:
                grad_inner += of_x
    return (
        unpad(grad_inner, x, inner, geometry) if grad_inner is not None else x.new_empty(0),
        torch.cat(grad_banks) if needs[1] else basis.new_empty(0),
        torch.cat(grad_weights, 1).to(weights.dtype) if needs[2] else weights.new_empty(0),
    )


def _sparse_backward(
    grad: Tensor,
    x: Tensor,
    basis: Tensor,
    weights: Tensor,
    geometry: Geometry,
    needs: tuple[bool, ...],
) -> tuple[Tensor, Tensor, Tensor]:
    """1x1 filters with a stride: convolve only the pixels that they read.

    oneDNN's weight gradient of such a convolution writes past its workspace (torch 2.13, oneDNN issue 6035).
    """
    (sh, sw), padded = geometry.stride, geometry.pad(x)
    seen = padded[:, :, ::sh, ::sw]
    dense = make_geometry(geometry.output_size, 1)
    of_seen, of_basis, of_weights = _dependent_backward(grad, seen, basis, weights, dense, needs)
    if not needs[0]:
        return of_seen, of_basis, of_weights
    of_padded = torch.zeros_like(padded)
    of_padded[:, :, ::sh, ::sw] = of_seen
    return unpad(of_padded, x, padded, geometry), of_basis, of_weights


def _groups(x: Tensor) -> list[slice]:
    """The images in groups, which keeps each bank's temporary memory small; a GPU takes all at once."""
    if x.device.type != "cpu":
        return [slice(None)]
    return [slice(start, start + GROUP) for start in range(0, x.shape[0], GROUP)] or [slice(None)]


def _of_group(weights: Tensor, group: slice) -> Tensor:
    return weights if weights.shape[0] == 1 else weights[group]


class _Rows:
    """An input seen as the patches of one output row at a time, each row as segments (W', N, R).

    R runs over (kw, C_in) where a patch's row is contiguous and wide enough, with one segment per kernel row;
    otherwise the patches are gathered and R runs over (kh, kw, C_in).
    """

    def __init__(self, x: Tensor, geometry: Geometry) -> None:
        self.geometry = geometry
        self.dtype = _compute_dtype(x)
        self.x = geometry.pad(x).permute(0, 2, 3, 1).contiguous()  # (N, H, W, C_in)
        self.in_place = (
            geometry.dilation[1] == 1 and self.x.shape[3] * geometry.kernel_size[1] >= WIDE_SEGMENT
        )
        self.grad_x: Tensor | None = None

    def segments(self, i: int) -> list[Tensor]:
        g = self.geometry
        N, C = self.x.shape[0], self.x.shape[3]
        (kh, kw), (dh, dw), (sh, sw) = g.kernel_size, g.dilation, g.stride
        top, columns = i * sh, g.output_size[1]
        band = self.x[:, top : top + g.extent[0] : dh].to(self.dtype)  # (N, kh, W, C_in)
        s = band.stride()
        if self.in_place:
            shape, strides = (columns, N, kw * C), (sw * s[2], s[0], s[3])
            return [row.as_strided(shape, strides) for row in band.unbind(1)]
        patches = band.as_strided((columns, N, kh, kw, C), (sw * s[2], s[0], s[1], dw * s[2], s[3]))
        return [patches.reshape(columns, N, kh * kw * C)]

    def filter_gradient(self, i: int, grad: Tensor) -> Tensor:
        """(W', kh*kw*C_in*C_out) from grad (W', N, C_out)."""
        products = [segment.transpose(1, 2) @ grad for segment in self.segments(i)]
        return torch.cat(products, 1).flatten(1)

    def add_input_gradient(self, i: int, grad: Tensor, filters: Tensor) -> None:
        """Add the contribution of output row i to the input's gradient; filters (W', kh*kw*C_in*C_out)."""
        g = self.geometry
        if self.grad_x is None:
            self.grad_x = torch.zeros_like(self.x, dtype=self.dtype)
        (kh, kw), (dh, dw), (sh, sw) = g.kernel_size, g.dilation, g.stride
        columns, N = grad.shape[:2]
        flat = filters.to(self.dtype).view(columns, -1, grad.shape[2]).transpose(1, 2)  # (W', C_out, R)
        patches = (grad @ flat).view(columns, N, kh, kw, -1)
        for di in range(kh):
            row = self.grad_x[:, i * sh + di * dh]  # (N, W, C_in)
            for dj in range(kw):
                start = dj * dw
                row[:, start : start + (columns - 1) * sw + 1 : sw] += patches[:, :, di, dj].transpose(0, 1)

    def input_gradient(self, x: Tensor) -> Tensor:
        assert self.grad_x is not None
        return unpad(self.grad_x.permute(0, 3, 1, 2), x, self.x.permute(0, 3, 1, 2), self.geometry)


def _forward(rows: _Rows, x: Tensor, filters: Iterator[Tensor], geometry: Geometry) -> Tensor:
    y: Tensor | None = None
    for i, row_filters in enumerate(filters):
        segments = rows.segments(i)
        count, _, R = segments[0].shape
        per_segment = row_filters.to(rows.dtype).view(count, len(segments), R, -1)
        total = segments[0] @ per_segment[:, 0]  # (W', N, C_out)
        for s, segment in enumerate(segments[1:], 1):
            total.baddbmm_(segment, per_segment[:, s])
        if y is None:
            y = x.new_empty(x.shape[0], *geometry.output_size, total.shape[2])
        y[:, i] = total.transpose(0, 1)
    assert y is not None
    return y.permute(0, 3, 1, 2)


def _banks(basis: Tensor, weights: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """The banks (K, kh*kw*C_in*C_out) and the weights (H', W', K), in the dtype they are combined in."""
    K = weights.shape[1]
    banks = split_banks(basis, K).permute(0, 3, 4, 2, 1).reshape(K, -1)
    dtype = _compute_dtype(basis)
    return banks.to(dtype), weights[0].permute(1, 2, 0).to(dtype).contiguous()


def _compute_dtype(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _per_bank(weights: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    return torch.split(weights.to(x.dtype), 1, 1)


def _convolve(x: Tensor, bank: Tensor, padding: tuple[int, int], geometry: Geometry) -> Tensor:
    return torch.conv2d(x, bank, None, geometry.stride, padding, geometry.dilation)


def unpad(grad: Tensor, x: Tensor, padded: Tensor, geometry: Geometry) -> Tensor:
    """The gradient of `x` from that of `padded`, which is `x` itself or `x` with the padding around it."""
    if padded.shape != x.shape:
        top, _, left, _ = geometry.padding
        grad = grad[:, :, top : top + x.shape[2], left : left + x.shape[3]]
    return grad.to(x.dtype).contiguous(memory_format=torch.channels_last)
