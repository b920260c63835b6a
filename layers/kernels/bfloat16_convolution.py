"""Convolutions in bfloat16 on a CPU, by the fastest of several ways, as measured at the first call of a shape.

oneDNN's gradient of the weight takes about ten times as long in bfloat16 as in float32 on processors without bfloat16
instructions, and with them while other processes compete for the cores (torch 2.13). The other ways avoid it.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from lrlc.layers.entrance import computed_in, symbolic, transforming
from lrlc.layers.geometry import Geometry
from lrlc.layers.kernels import cpp_build, measured, portable

MEASURED_IMAGES = 16
"""Images of the batch that are measured: enough to compare the ways, as all take a time proportional to the batch."""

PATCHES_OF = 32
"""Images whose patches are held in memory at once, each up to kh * kw times as large as the image."""

CLIFF = 1.5
"""How many times slower than another way the library must be to be replaced, which changes the rounding."""

Two = tuple[int, int]


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Two, padding: Two, dilation: Two
) -> Tensor:
    """`F.conv2d`, under autocast too: x (N, C_in, H, W), weight (C_out, C_in, kh, kw), bias (C_out)."""
    how = (stride, padding, dilation)
    if computed_in(x) != torch.bfloat16 or x.device.type != "cpu" or not _measurable(x):
        return F.conv2d(x, weight, bias, *how)
    return convolve_by(_fastest(x, weight, *how), x, weight, bias, *how)


def convolve_by(
    way: str, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Two, padding: Two, dilation: Two
) -> Tensor:
    """`convolve` by the library's own operator, with the weight's gradient over patches, or in float32."""
    how = (stride, padding, dilation)
    if way == "library":
        return F.conv2d(x, weight, bias, *how)
    with torch.autocast("cpu", enabled=False):
        if way == "float32":
            wide = F.conv2d(x.float(), weight.float(), None if bias is None else bias.float(), *how)
            return wide.to(torch.bfloat16)
        y: Tensor = _OverPatches.apply(x.to(torch.bfloat16), weight.to(torch.bfloat16), *how)  # type: ignore[no-untyped-call]
        return y if bias is None else y + bias.to(torch.bfloat16)[:, None, None]


def dependent(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
    """portable.dependent, computed in float32."""
    return portable.dependent(x.float(), basis.float(), weights.float(), geometry).to(x.dtype)


def dependent_backward(
    grad: Tensor, x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry, needs: tuple[bool, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """portable.dependent_backward, computed in float32."""
    of_x, of_basis, of_weights = portable.dependent_backward(
        grad.float(), x.float(), basis.float(), weights.float(), geometry, needs
    )
    return of_x.to(x.dtype), of_basis.to(basis.dtype), of_weights.to(weights.dtype)


def _measurable(x: Tensor) -> bool:
    """Whether this is an ordinary call: not recorded as a graph, not within torch.func, and of one image or more."""
    ordinary = type(x) is Tensor and x.layout == torch.strided and len(x) > 0
    return ordinary and not symbolic() and not transforming()


def _fastest(x: Tensor, weight: Tensor, stride: Two, padding: Two, dilation: Two) -> str:
    """The way whose forward and backward pass is fastest here."""
    how = (stride, padding, dilation)

    @cache  # only a first call of a shape is measured, and needs them
    def measured_tensors() -> tuple[Tensor, Tensor]:
        return x.detach()[:MEASURED_IMAGES].to(torch.bfloat16), weight.detach().to(torch.bfloat16)

    def library() -> object:
        some, filters = measured_tensors()
        return _gradients(torch.conv2d(some, filters, None, *how), some, filters, *how)

    def over_patches() -> object:
        some, filters = measured_tensors()
        y = torch.conv2d(some, filters, None, *how)
        return _input_gradient(y, some, filters, *how), _weight_gradient(y, some, filters, *how)

    def in_float32() -> object:
        some, filters = (each.float() for each in measured_tensors())
        y = torch.conv2d(some, filters, None, *how).to(torch.bfloat16)
        return _gradients(y.float(), some, filters, *how)

    candidates = {"library": library, "patches": over_patches, "float32": in_float32}
    size, filters = ("x".join(map(str, tensor.shape[1:])) for tensor in (x, weight))
    where = f"{cpp_build.processor_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    shape = f"{len(weight)}x{filters} of {size}, stride {stride}, padding {padding}, dilation {dilation}"
    question = f"convolution bfloat16 {shape}: {' or '.join(candidates)} on {where}"
    return measured.choose(question, candidates, x.device, default="library", margin=CLIFF)


class _OverPatches(Function):
    """The library's convolution, with its weight's gradient over patches."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Two, padding: Two, dilation: Two) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = (stride, padding, dilation)
        return torch.conv2d(x, weight, None, *ctx.how)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight = ctx.needs_input_grad[:2]
        with torch.autocast("cpu", enabled=False):
            if torch.is_grad_enabled():  # a gradient of the gradient, which the library's own gradients have
                return *_gradients(grad, x, weight, *ctx.how), None, None, None
            return (
                _input_gradient(grad, x, weight, *ctx.how) if of_x else None,
                _weight_gradient(grad, x, weight, *ctx.how) if of_weight else None,
                None, None, None,
            )  # fmt: skip


def _gradients(
    grad: Tensor, x: Tensor, weight: Tensor, stride: Two, padding: Two, dilation: Two, of_weight: bool = True
) -> tuple[Tensor, Tensor]:
    """The library's gradients of x and, if wanted, of the weight."""
    of_x, of_w, _ = torch.ops.aten.convolution_backward(
        grad, x, weight, None, stride, padding, dilation, False, (0, 0), 1, (True, of_weight, False)
    )
    return of_x, of_w


def _input_gradient(
    grad: Tensor, x: Tensor, weight: Tensor, stride: Two, padding: Two, dilation: Two
) -> Tensor:
    return _gradients(grad, x, weight, stride, padding, dilation, of_weight=False)[0]


def _weight_gradient(
    grad: Tensor, x: Tensor, weight: Tensor, stride: Two, padding: Two, dilation: Two
) -> Tensor:
    """The sum over images and positions of gradient (C_out) times patch (kh * kw * C_in), in float32."""
    (C_out, C_in, kh, kw), (sh, sw), (dh, dw) = weight.shape, stride, dilation
    H, W = grad.shape[2:]
    padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))
    images = padded.permute(0, 2, 3, 1).contiguous()  # (N, H, W, C_in)
    n, h, w, c = images.stride()
    total = torch.zeros(C_out, kh * kw * C_in)
    for start in range(0, len(x), PATCHES_OF):
        some = images[start : start + PATCHES_OF]
        patches = some.as_strided((len(some), H, W, kh, kw, C_in), (n, sh * h, sw * w, dh * h, dw * w, c))
        gradients = grad[start : start + PATCHES_OF].permute(0, 2, 3, 1).reshape(-1, C_out)
        total += (gradients.t() @ patches.reshape(-1, kh * kw * C_in)).float()
    return total.view(C_out, kh, kw, C_in).permute(0, 3, 1, 2).to(weight.dtype).contiguous()
