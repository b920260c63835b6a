"""The operators as registered with torch: forward, backward, shapes and FLOP count.

`lrlc::combined(x, basis, weights, ...)` is low-rank local connectivity, `lrlc::local(x, filters, ...)` local
connectivity. Each keeps only its inputs for the backward pass, so no K-fold activation is ever stored. The
kernel is chosen in dispatch.py at each call, so it may differ between machines but never changes what is
computed.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op
from torch.utils.flop_counter import register_flop_formula

from lrlc.layers import plain
from lrlc.layers.entrance import check_combined, check_gradient, check_kernel_input, check_local
from lrlc.layers.geometry import Geometry
from lrlc.layers.kernels import dispatch

Ints = Sequence[int]


def geometry_of(x: Tensor, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Geometry:
    """The geometry for an input x (N, C_in, H, W), unchecked."""
    (kh, kw), (sh, sw), (dh, dw) = kernel_size, stride, dilation
    top, bottom, left, right = padding
    return Geometry((x.shape[2], x.shape[3]), (kh, kw), (sh, sw), (top, bottom, left, right), (dh, dw))


def _fitting(
    x: Tensor, basis: Tensor, weights: Tensor, stride: Ints, padding: Ints, dilation: Ints
) -> Geometry:
    """The geometry of `combined`; InputError if its arguments do not fit together."""
    check_kernel_input(x, basis=basis, weights=weights)
    geometry = geometry_of(x, basis.shape[2:], stride, padding, dilation)
    check_combined(x, basis, weights, geometry)
    return geometry


def _locally_fitting(
    x: Tensor, filters: Tensor, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints
) -> Geometry:
    """The geometry of `local`; InputError if its arguments do not fit together."""
    check_kernel_input(x)
    geometry = geometry_of(x, kernel_size, stride, padding, dilation)
    check_local(x, filters, geometry)
    return geometry


@custom_op("lrlc::combined", mutates_args=())
def combined(
    x: Tensor, basis: Tensor, weights: Tensor, stride: Ints, padding: Ints, dilation: Ints
) -> Tensor:
    """y[n,:,i,j] = sum_k weights[n,k,i,j] * (x conv basis_k)[n,:,i,j].

    x (N, C_in, H, W); basis (K*C_out, C_in, kh, kw), K outermost; weights (1 or N, K, H', W');
    y (N, C_out, H', W'), channels_last. InputError if they do not fit together.
    """
    geometry = _fitting(x, basis, weights, stride, padding, dilation)
    if not len(x):
        return _channels_last(x, basis.shape[0] // weights.shape[1], *geometry.output_size)
    with torch.autocast(x.device.type, enabled=False):
        kernel = dispatch.combined(x, basis, weights, geometry)
        return _promised(kernel(x, basis, weights, geometry))


@custom_op("lrlc::combined_backward", mutates_args=())
def combined_backward(
    grad: Tensor, x: Tensor, basis: Tensor, weights: Tensor, stride: Ints, padding: Ints, dilation: Ints,
    needs: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The gradients of x, basis and weights; an empty tensor for each that `needs` leaves out."""
    geometry = _fitting(x, basis, weights, stride, padding, dilation)
    check_gradient(grad, x, basis.shape[0] // weights.shape[1], geometry)
    if not len(x):
        return _of_no_images(x, needs[0]), _of_no_images(basis, needs[1]), _of_no_images(weights, needs[2])
    kernel = dispatch.combined_backward(x, basis, weights, geometry)
    with torch.autocast(x.device.type, enabled=False):
        gx, gb, gw = kernel(grad.to(x.dtype), x, basis, weights, geometry, (needs[0], needs[1], needs[2]))
    return _promised(gx), gb.contiguous(), gw.contiguous()


@custom_op("lrlc::local", mutates_args=())
def local(
    x: Tensor, filters: Tensor, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints
) -> Tensor:
    """Each position's own filter: filters (H'*W', kh*kw*C_in, C_out); y (N, C_out, H', W'), channels_last.

    InputError if they do not fit together.
    """
    geometry = _locally_fitting(x, filters, kernel_size, stride, padding, dilation)
    if not len(x):
        return _channels_last(x, filters.shape[2], *geometry.output_size)
    with torch.autocast(x.device.type, enabled=False):
        kernel = dispatch.local(x, filters, geometry)
        return _promised(kernel(x, filters, geometry))


@custom_op("lrlc::local_backward", mutates_args=())
def local_backward(
    grad: Tensor, x: Tensor, filters: Tensor, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints,
    needs: Sequence[bool],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The gradients of x and filters; an empty tensor for each that `needs` leaves out."""
    geometry = _locally_fitting(x, filters, kernel_size, stride, padding, dilation)
    check_gradient(grad, x, filters.shape[2], geometry)
    if not len(x):
        return _of_no_images(x, needs[0]), _of_no_images(filters, needs[1])
    kernel = dispatch.local_backward(x, filters, geometry)
    with torch.autocast(x.device.type, enabled=False):
        gx, gf = kernel(grad.to(x.dtype), x, filters, geometry, (needs[0], needs[1]))
    return _promised(gx), gf.contiguous()


def _of_no_images(tensor: Tensor, needed: bool) -> Tensor:
    """The gradient for an empty batch."""
    return tensor.new_zeros(tensor.shape) if needed else tensor.new_empty(0)


def _promised(images: Tensor) -> Tensor:
    """The tensor in the layout promised by the shape functions below; an empty placeholder is returned unchanged."""
    return images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images


# Shapes, for the meta device, torch.compile and torch.export.


@combined.register_fake
def _(x: Tensor, basis: Tensor, weights: Tensor, stride: Ints, padding: Ints, dilation: Ints) -> Tensor:
    _fitting(x, basis, weights, stride, padding, dilation)
    return _channels_last(x, basis.shape[0] // weights.shape[1], weights.shape[2], weights.shape[3])


@local.register_fake
def _(x: Tensor, filters: Tensor, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Tensor:
    geometry = _locally_fitting(x, filters, kernel_size, stride, padding, dilation)
    return _channels_last(x, filters.shape[2], *geometry.output_size)


@combined_backward.register_fake
def _(grad: Tensor, x: Tensor, basis: Tensor, weights: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    needs = rest[-1]
    gx = _channels_last(x, *x.shape[1:]) if needs[0] else x.new_empty(0)
    of_basis = torch.empty_like(basis, memory_format=torch.contiguous_format)
    of_weights = torch.empty_like(weights, memory_format=torch.contiguous_format)
    return gx, of_basis if needs[1] else basis.new_empty(0), of_weights if needs[2] else weights.new_empty(0)


@local_backward.register_fake
def _(grad: Tensor, x: Tensor, filters: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    needs = rest[-1]
    gx = _channels_last(x, *x.shape[1:]) if needs[0] else x.new_empty(0)
    gf = torch.empty_like(filters, memory_format=torch.contiguous_format)
    return gx, gf if needs[1] else gf.new_empty(0)


def _channels_last(x: Tensor, channels: int, height: int, width: int) -> Tensor:
    return x.new_empty(x.shape[0], height, width, channels).permute(0, 3, 1, 2)


# Gradients. Second-order gradients use the plain formulation.


def _setup_combined(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.rest = inputs[3:]


def _combined_gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, basis, weights = ctx.saved_tensors
    needs = ctx.needs_input_grad[:3]
    if torch.is_grad_enabled():
        geometry = geometry_of(x, basis.shape[2:], *ctx.rest)
        found = plain.gradients(plain.combined, geometry, grad, x, basis, weights)
    else:
        found = combined_backward(grad, x, basis, weights, *ctx.rest, needs)
    return *plain.needed(found, needs), None, None, None


def _setup_local(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.rest = inputs[2:]


def _local_gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, filters = ctx.saved_tensors
    needs = ctx.needs_input_grad[:2]
    if torch.is_grad_enabled():
        found = plain.gradients(plain.local, geometry_of(x, *ctx.rest), grad, x, filters)
    else:
        found = local_backward(grad, x, filters, *ctx.rest, needs)
    return *plain.needed(found, needs), None, None, None, None


combined.register_autograd(_combined_gradients, setup_context=_setup_combined)
local.register_autograd(_local_gradients, setup_context=_setup_local)


# FLOPs as torch's FlopCounterMode counts: 2 per multiply-add of a convolution or matrix product. Forming the
# local filters is work per batch, the rest is per image; input-dependent weights need all K convolutions.


@register_flop_formula(torch.ops.lrlc.combined)
def combined_flops(x: Ints, basis: Ints, weights: Ints, *args: Any, **kwargs: Any) -> int:
    filter_size = basis[0] // weights[1] * basis[1] * basis[2] * basis[3]
    positions = weights[2] * weights[3]
    if weights[1] == 1:
        return 2 * x[0] * positions * filter_size
    if weights[0] == 1:
        return 2 * (x[0] + weights[1]) * positions * filter_size
    return 2 * x[0] * weights[1] * positions * filter_size


@register_flop_formula(torch.ops.lrlc.combined_backward)
def combined_backward_flops(
    grad: Ints, x: Ints, basis: Ints, weights: Ints, *args: Any, **kwargs: Any
) -> int:
    return 2 * combined_flops(x, basis, weights)


@register_flop_formula(torch.ops.lrlc.local)
def local_flops(x: Ints, filters: Ints, *args: Any, **kwargs: Any) -> int:
    return 2 * x[0] * filters[0] * filters[1] * filters[2]


@register_flop_formula(torch.ops.lrlc.local_backward)
def local_backward_flops(grad: Ints, x: Ints, filters: Ints, *args: Any, **kwargs: Any) -> int:
    return 2 * local_flops(x, filters)
