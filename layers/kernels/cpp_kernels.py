"""The C++ kernels as functions of tensors, with the signatures of those in portable.py; fixed weights only."""

import ctypes
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lrlc.layers.errors import InputError
from lrlc.layers.geometry import Geometry
from lrlc.layers.kernels.cpp_build import library
from lrlc.layers.plain import split_banks

NAMES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}


def available(x: Tensor) -> bool:
    """Whether these kernels can be used for `x` here; compiles them at the first call."""
    return x.device.type == "cpu" and x.dtype in NAMES and library() is not None


def combined(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
    """ops.combined for weights (1, K, H', W')."""
    K, C_out = weights.shape[1], basis.shape[0] // weights.shape[1]
    y = x.new_empty(x.shape[0], *geometry.output_size, C_out)
    banks = _banks(basis, K, (0, 3, 4, 2, 1), x.dtype)
    _apply(_nhwc(x), y, geometry, banks=banks, weights=_by_position(weights, x.dtype))
    return y.permute(0, 3, 1, 2)


def combined_backward(
    grad: Tensor, x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry, needs: tuple[bool, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """ops.combined_backward for weights (1, K, H', W')."""
    K, C_in = weights.shape[1], x.shape[1]
    by_position, grad_nhwc = _by_position(weights, x.dtype), _nhwc(grad)
    grad_x, grad_basis, grad_weights = x.new_empty(0), basis.new_empty(0), weights.new_empty(0)
    if needs[0]:
        of_x = x.new_empty(x.shape[0], *geometry.input_size, C_in)
        banks = _banks(basis, K, (0, 3, 4, 1, 2), x.dtype)
        _apply(grad_nhwc, of_x, geometry, banks=banks, weights=by_position, backward=True)
        grad_x = of_x.permute(0, 3, 1, 2)
    if needs[1] or needs[2]:
        banks = _banks(basis, K, (0, 3, 4, 2, 1), x.dtype)
        parts = banks.new_zeros(_parts(geometry.output_size[0]), *banks.shape)
        of_weights = torch.zeros_like(by_position)
        _filter_gradients(_nhwc(x), grad_nhwc, geometry, parts, of_weights, banks=banks, weights=by_position)
        of_basis = parts.sum(0)[..., : grad.shape[1]].permute(0, 4, 3, 1, 2)
        grad_basis = of_basis.reshape(basis.shape).to(basis.dtype)
        grad_weights = of_weights.T.reshape(weights.shape).to(weights.dtype)
    return (
        grad_x,
        grad_basis if needs[1] else basis.new_empty(0),
        grad_weights if needs[2] else weights.new_empty(0),
    )


def local(x: Tensor, filters: Tensor, geometry: Geometry) -> Tensor:
    """ops.local."""
    y = x.new_empty(x.shape[0], *geometry.output_size, filters.shape[2])
    _apply(_nhwc(x), y, geometry, filters=filters.contiguous())
    return y.permute(0, 3, 1, 2)


def local_backward(
    grad: Tensor, x: Tensor, filters: Tensor, geometry: Geometry, needs: tuple[bool, ...]
) -> tuple[Tensor, Tensor]:
    """ops.local_backward."""
    grad_nhwc = _nhwc(grad)
    grad_x, grad_filters = x.new_empty(0), filters.new_empty(0)
    if needs[0]:
        of_x = x.new_empty(x.shape[0], *geometry.input_size, x.shape[1])
        _apply(grad_nhwc, of_x, geometry, filters=filters.contiguous(), backward=True)
        grad_x = of_x.permute(0, 3, 1, 2)
    if needs[1]:
        grad_filters = torch.empty_like(filters, memory_format=torch.contiguous_format)
        _filter_gradients(_nhwc(x), grad_nhwc, geometry, None, None, of_filters=grad_filters)
    return grad_x, grad_filters


def _apply(
    source: Tensor,
    target: Tensor,
    geometry: Geometry,
    *,
    banks: Tensor | None = None,
    weights: Tensor | None = None,
    filters: Tensor | None = None,
    backward: bool = False,
) -> None:
    sizes = _sizes(source, target, geometry, 0 if banks is None else banks.shape[0], backward)
    call = _function("lrlc_apply", source.dtype)
    images = [_address(tensor, source.dtype) for tensor in (source, target)]
    sums = [_address(tensor, _real(source.dtype)) for tensor in (banks, weights)]
    call(sizes, *images, *sums, _address(filters, source.dtype), *_division(target.shape[1]))


def _filter_gradients(
    source: Tensor,
    grad: Tensor,
    geometry: Geometry,
    of_banks: Tensor | None,
    of_weights: Tensor | None,
    *,
    banks: Tensor | None = None,
    weights: Tensor | None = None,
    of_filters: Tensor | None = None,
) -> None:
    sizes = _sizes(source, grad, geometry, 0 if banks is None else banks.shape[0], False)
    call = _function("lrlc_filter_gradients", source.dtype)
    images = [_address(tensor, source.dtype) for tensor in (source, grad)]
    sums = [_address(tensor, _real(source.dtype)) for tensor in (banks, weights, of_banks, of_weights)]
    call(sizes, *images, *sums, _address(of_filters, source.dtype), *_division(grad.shape[1]))


def _sizes(source: Tensor, target: Tensor, g: Geometry, banks: int, backward: bool) -> Any:
    """The fields of the C++ struct Sizes, in its order."""
    top, _, left, _ = g.padding
    fields = (
        *source.shape,
        *target.shape[1:],
        banks,
        *g.kernel_size,
        *g.stride,
        top,
        left,
        *g.dilation,
        backward,
    )
    return (ctypes.c_int64 * len(fields))(*fields)


def _function(name: str, dtype: torch.dtype) -> Callable[..., None]:
    loaded = library()
    assert loaded is not None
    function = getattr(loaded, f"{name}_{NAMES[dtype]}")
    function.restype = None
    return function  # type: ignore[no-any-return]


def _address(tensor: Tensor | None, dtype: torch.dtype) -> ctypes.c_void_p:
    """The address of the values for C++; null for no tensor. InputError for a tensor that it would misread."""
    if tensor is None:
        return ctypes.c_void_p(None)
    if tensor.device.type != "cpu" or tensor.dtype != dtype or not tensor.is_contiguous():
        raise InputError(
            f"the C++ kernels read contiguous {dtype} on the CPU here, "
            f"not {tensor.dtype} with strides {tensor.stride()} on {tensor.device}"
        )
    return ctypes.c_void_p(tensor.data_ptr())


def _nhwc(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).contiguous()


def _banks(basis: Tensor, rank: int, order: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """(K, kh, kw, source channels, target channels padded to whole vectors), in the dtype of the arithmetic."""
    banks = split_banks(basis.to(_real(dtype)), rank).permute(order)
    loaded = library()
    assert loaded is not None
    width = getattr(loaded, f"lrlc_padded_{NAMES[dtype]}")
    width.argtypes, width.restype = [ctypes.c_int64], ctypes.c_int64
    return torch.nn.functional.pad(banks, (0, width(banks.shape[-1]) - banks.shape[-1])).contiguous()


def _by_position(weights: Tensor, dtype: torch.dtype) -> Tensor:
    """(H'*W', K) in the dtype of the arithmetic."""
    return weights[0].flatten(1).T.to(_real(dtype)).contiguous()


def _real(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _division(rows: int) -> tuple[ctypes.c_int64, ctypes.c_int64]:
    return ctypes.c_int64(_parts(rows)), ctypes.c_int64(torch.get_num_threads())


def _parts(rows: int) -> int:
    """Runs of rows that threads take in turn: enough to share the work evenly, long enough to reuse rows."""
    return min(rows, max(8, 2 * torch.get_num_threads()))
