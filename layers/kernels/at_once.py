"""Low-rank local connectivity as its authors wrote it: one convolution to K * C_out channels, then a weighted sum.

It keeps the K-fold activation for the backward pass, whereas the other kernels keep only their inputs; on a GPU it can
be the fastest for small batches. As a kernel of ops.combined, which keeps nothing, it convolves again.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from lrlc.layers import plain
from lrlc.layers.geometry import Geometry
from lrlc.layers.kernels import portable

MOST_BYTES = 2**28
"""Bytes of a layer's K-fold activation above which the authors' way is neither measured nor chosen automatically."""


def activation_bytes(x: Tensor, basis: Tensor, geometry: Geometry) -> int:
    """Bytes of the banks' outputs."""
    height, width = geometry.output_size
    return x.element_size() * x.shape[0] * basis.shape[0] * height * width


def keep(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
    """ops.combined, with the banks' outputs kept for the backward pass."""
    y: Tensor = _Keeping.apply(x, basis, weights, geometry)  # type: ignore[no-untyped-call]
    return y


def combined(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
    """ops.combined."""
    return _sum(_banks(x, basis, geometry), weights)


def combined_backward(
    grad: Tensor,
    x: Tensor,
    basis: Tensor,
    weights: Tensor,
    geometry: Geometry,
    needs: tuple[bool, ...],
) -> tuple[Tensor, Tensor, Tensor]:
    """ops.combined_backward."""
    banks = _banks(x, basis, geometry) if needs[2] else None
    return _gradients(grad, x, basis, weights, banks, geometry, needs)


def forward_backward(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> tuple[Tensor, ...]:
    """The work that is measured: `keep` and its gradients, with the output in place of its gradient."""
    banks = _banks(x, basis, geometry)
    y = _sum(banks, weights)
    return _gradients(y, x, basis, weights, banks, geometry, (True, True, True))


class _Keeping(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
        ctx.geometry = geometry
        with torch.autocast(x.device.type, enabled=False):
            banks = _banks(x, basis, geometry)
            ctx.save_for_backward(x, basis, weights, banks)
            return _sum(banks, weights)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, basis, weights, banks = ctx.saved_tensors
        needs = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():  # a gradient of the gradient
            found = plain.gradients(plain.combined, ctx.geometry, grad, x, basis, weights)
        else:
            with torch.autocast(x.device.type, enabled=False):
                found = _gradients(grad.to(x.dtype), x, basis, weights, banks, ctx.geometry, needs)
        return *plain.needed(found, needs), None


def _banks(x: Tensor, basis: Tensor, geometry: Geometry) -> Tensor:
    """The outputs (N, K * C_out, H', W') of all banks."""
    inner, padding = plain.conv_input(x, geometry)
    inner = inner.contiguous(memory_format=torch.channels_last)
    return torch.conv2d(inner, basis, None, geometry.stride, padding, geometry.dilation)


def _sum(banks: Tensor, weights: Tensor) -> Tensor:
    y: Tensor = (_by_bank(banks, weights) * weights.to(banks.dtype)[:, :, None]).sum(1)
    return y.contiguous(memory_format=torch.channels_last)


def _by_bank(banks: Tensor, weights: Tensor) -> Tensor:
    """(N, K, C_out, H', W')."""
    return banks.view(banks.shape[0], weights.shape[1], -1, *banks.shape[2:])


def _gradients(
    grad: Tensor,
    x: Tensor,
    basis: Tensor,
    weights: Tensor,
    banks: Tensor | None,
    geometry: Geometry,
    needs: tuple[bool, ...],
) -> tuple[Tensor, Tensor, Tensor]:
    if geometry.kernel_size == (1, 1) and geometry.stride != (1, 1):  # see portable._sparse_backward
        return portable.dependent_backward(grad, x, basis, weights, geometry, needs)
    of_x, of_basis, of_weights = x.new_empty(0), basis.new_empty(0), weights.new_empty(0)
    if needs[2]:
        assert banks is not None
        products = (_by_bank(banks, weights) * grad[:, None]).sum(2)  # (N, K, H', W')
        of_weights = products.sum_to_size(weights.shape).to(weights.dtype)
    if needs[0] or needs[1]:
        inner, padding = plain.conv_input(x, geometry)
        inner = inner.contiguous(memory_format=torch.channels_last)
        of_banks = (grad[:, None] * weights.to(grad.dtype)[:, :, None]).flatten(1, 2)
        of_inner, of_basis, _ = torch.ops.aten.convolution_backward(
            of_banks.contiguous(memory_format=torch.channels_last), inner, basis, None, geometry.stride, padding,
            geometry.dilation, False, (0, 0), 1, (needs[0], needs[1], False),
        )  # fmt: skip
        if needs[0]:
            of_x = portable.unpad(of_inner, x, inner, geometry)
        of_basis = of_basis if needs[1] else basis.new_empty(0)
    return of_x, of_basis, of_weights
