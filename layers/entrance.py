"""Input checks of the layers and kernels: anything but an image of the right size, device and dtype is refused.

A layer behaves like nn.Conv2d: its forward is `enter`. The operators (ops.py) check their arguments with
`check_combined` and `check_local`, before a kernel in C++ or Triton sees an address.
"""

import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from lrlc.layers.errors import InputError, InputTypeError
from lrlc.layers.geometry import Geometry

KERNEL_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
"""Dtypes that the kernels support; others go through torch's own operators (see functional.py)."""


def enter(layer: Any, x: Tensor) -> Tensor:
    """The output of `layer`, a module with `in_channels` and a method `of_images`, for the inputs that nn.Conv2d takes.

    `of_images` only gets x (N, C_in, H, W) of the layer's device and dtype, and of its `input_size` if it has one. A
    single image (C_in, H, W) gives a single output (C_out, H', W'). InputError, a RuntimeError as nn.Conv2d's, for
    another number of channels, size, device or dtype; also a TypeError if x is not a tensor.
    """
    if _asks_for_shape(layer, x):
        shadows = {name: tensor.to("meta") for name, tensor in _tensors(layer)}
        return torch.func.functional_call(layer, shadows, (x,))  # type: ignore[no-any-return]
    check_input(layer, x)
    y: Tensor = layer.of_images(x) if x.ndim == 4 else layer.of_images(x[None])[0]
    return y


def _asks_for_shape(layer: nn.Module, x: Tensor) -> bool:
    """Whether `x` is on the meta device and the layer is not; the output is then on it too, as with nn.Conv2d."""
    return getattr(x, "is_meta", False) and not all(tensor.is_meta for _, tensor in _tensors(layer))


def _tensors(layer: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return itertools.chain(layer.named_parameters(), layer.named_buffers())


def check_input(layer: nn.Module, x: Tensor) -> None:
    """InputError unless `layer` takes x (N, C_in, H, W) or (C_in, H, W)."""
    if not isinstance(x, Tensor):
        raise InputTypeError(f"the input must be a tensor, not {type(x).__name__}")
    if x.ndim not in (3, 4):
        raise InputError(
            f"the input must be images (N, C, H, W) or one image (C, H, W), not {x.ndim} dimensions"
        )
    channels, height, width = fixed_sizes(x)[-3:]
    if channels != layer.in_channels:
        raise InputError(f"the layer takes {layer.in_channels} input channels, but the input has {channels}")
    if x.layout not in (torch.strided, torch._mkldnn):  # type: ignore[attr-defined]
        raise InputError(f"the input must be a dense tensor, not {_say(x.layout)}")
    if not symbolic() and not (height and width):
        raise InputError(f"the input has no pixels: {height}x{width}")
    size = getattr(layer, "input_size", None)
    if size is not None and (height, width) != size:
        raise InputError(f"the layer was built for inputs of {size[0]}x{size[1]}, not {height}x{width}")
    for parameter in _own(layer):
        check_alike(x, parameter)


def _own(layer: nn.Module) -> list[nn.Parameter]:
    """The layer's first parameter, or that of the layers it contains."""
    return list(layer.parameters(recurse=False)) or list(itertools.islice(layer.parameters(), 1))


def jit_tracing() -> bool:
    """Whether torch.jit.trace is recording: sizes are then tensors, and branches that depend on them are fixed."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def symbolic() -> bool:
    """Whether a graph is being recorded that must also work for inputs of other sizes."""
    return torch.compiler.is_compiling() or jit_tracing()


def transforming() -> bool:
    """Whether this is inside torch.func's grad or vmap, or forward-mode differentiation, which refuse operators with
    `register_autograd` (torch 2.13).
    """
    if torch.compiler.is_compiling():
        return False
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def fixed_sizes(x: Tensor) -> tuple[Any, ...]:
    """The shape of `x` as ints, without the warning of torch.jit.trace, under which sizes are tensors."""
    if not jit_tracing():
        return tuple(x.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        return tuple(int(size) for size in x.shape)


def check_alike(x: Tensor, parameter: Tensor, name: str = "the layer's parameters") -> None:
    """InputError unless a convolution would accept both: one device, and one floating dtype after autocast."""
    if x.device != parameter.device:
        raise InputError(f"the input is on {x.device}, but {name} are on {parameter.device}")
    given, own = computed_in(x), computed_in(parameter)
    if given != own or not (given.is_floating_point or given.is_complex):
        raise InputError(f"the input is {_say(given)}, but {name} are {_say(own)}")


def computed_in(tensor: Tensor) -> torch.dtype:
    """The dtype a convolution would use for `tensor`: autocast's, if on, except for float64 and integers."""
    kind = tensor.device.type
    if tensor.dtype == torch.float64 or not tensor.dtype.is_floating_point:
        return tensor.dtype
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return tensor.dtype
    return torch.get_autocast_dtype(kind)


def check_combined(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> None:
    """InputError unless these fit together: one device, one dtype, and shapes.

    x (N, C_in, H, W); basis (K*C_out, C_in, kh, kw); weights (1 or N, K, H', W') of any floating dtype.
    """
    _check_tensors(x, basis=basis)
    _check_device(x, weights=weights)
    if not weights.is_floating_point() and weights.dtype != x.dtype:
        raise InputError(f"weights must be floating-point numbers, not {_say(weights.dtype)}")
    if weights.shape[0] != 1 and weights.shape[0] != x.shape[0]:
        raise InputError(f"weights are for {weights.shape[0]} images, but x has {x.shape[0]}")
    _check_geometry(x, geometry)
    if tuple(weights.shape[2:]) != geometry.output_size:
        raise InputError(
            f"weights cover {weights.shape[2]}x{weights.shape[3]} positions, but the output has "
            f"{geometry.output_size[0]}x{geometry.output_size[1]}"
        )
    if not weights.shape[1] or not basis.shape[0] or basis.shape[0] % weights.shape[1]:
        raise InputError(
            f"basis has {basis.shape[0]} filters, not a multiple of the weights' {weights.shape[1]} banks"
        )
    if basis.shape[1] != x.shape[1]:
        raise InputError(f"basis expects {basis.shape[1]} input channels, but x has {x.shape[1]}")


def check_local(x: Tensor, filters: Tensor, geometry: Geometry) -> None:
    """InputError unless these fit together: one device, one dtype, and filters (H'*W', kh*kw*C_in, C_out)."""
    _check_tensors(x, filters=filters)
    _check_geometry(x, geometry)
    (H, W), (kh, kw) = geometry.output_size, geometry.kernel_size
    expected = (H * W, kh * kw * x.shape[1])
    if filters.ndim != 3 or tuple(filters.shape[:2]) != expected or not filters.shape[2]:
        raise InputError(
            f"filters must be {expected[0]} positions x {expected[1]} values x output channels, "
            f"not {'x'.join(map(str, filters.shape))}"
        )


def check_kernel_input(x: Tensor, **others: Tensor) -> None:
    """InputError unless all have 4 dimensions and the kernels support the dtype of x."""
    for name, tensor in {"x": x, **others}.items():
        if tensor.ndim != 4:
            raise InputError(f"{name} must have 4 dimensions, not {tensor.ndim}")
    if x.dtype not in KERNEL_DTYPES:
        raise InputError(f"x must be {', '.join(map(_say, KERNEL_DTYPES))}, not {_say(x.dtype)}")


def check_gradient(grad: Tensor, x: Tensor, channels: int, geometry: Geometry) -> None:
    """InputError unless `grad` is (N, channels, H', W') and on x's device."""
    _check_device(x, grad=grad)
    expected = (x.shape[0], channels, *geometry.output_size)
    if tuple(grad.shape) != expected:
        raise InputError(f"the gradient's shape must be {expected}, not {tuple(grad.shape)}")


def _check_tensors(x: Tensor, **others: Tensor) -> None:
    for name, tensor in others.items():
        if tensor.dtype != x.dtype:
            raise InputError(f"x is {_say(x.dtype)}, but {name} is {_say(tensor.dtype)}")
    _check_device(x, **others)


def _check_device(x: Tensor, **others: Tensor) -> None:
    for name, tensor in {"x": x, **others}.items():
        if tensor.layout != torch.strided:
            raise InputError(
                f"{name} must be a dense tensor, not {str(tensor.layout).removeprefix('torch.')}"
            )
        if tensor.device != x.device:
            raise InputError(f"x is on {x.device}, but {name} is on {tensor.device}")


def _check_geometry(x: Tensor, g: Geometry) -> None:
    if not x.shape[1]:
        raise InputError("x must have at least one channel")
    if min(*g.kernel_size, *g.stride, *g.dilation) < 1 or min(g.padding) < 0:
        raise InputError("kernel_size, stride and dilation must be at least 1, padding at least 0")
    if min(g.output_size) < 1:
        (H, W), (eh, ew) = g.padded_size, g.extent
        raise InputError(f"the kernel covers {eh}x{ew}, more than the padded input of {H}x{W}")


def _say(given: torch.dtype | torch.layout) -> str:
    return str(given).removeprefix("torch.")
