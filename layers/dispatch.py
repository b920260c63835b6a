"""Which kernel computes an operator: the one place that decides, per device and shape.

LRLC_BACKEND forces a family where it can serve the call: portable (pure torch), cpp (the C++ kernels),
triton, or auto (the default).
"""

import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from layers import cpp_kernels, portable
from layers.errors import LayerError, unknown
from layers.geometry import Geometry

Needs = tuple[bool, ...]
Combined = Callable[[Tensor, Tensor, Tensor, Geometry], Tensor]
CombinedBackward = Callable[[Tensor, Tensor, Tensor, Tensor, Geometry, Needs], tuple[Tensor, Tensor, Tensor]]
Local = Callable[[Tensor, Tensor, Geometry], Tensor]
LocalBackward = Callable[[Tensor, Tensor, Tensor, Geometry, Needs], tuple[Tensor, Tensor]]

TRITON_DTYPES = (torch.float32, torch.bfloat16, torch.float16)

BACKENDS = ("auto", "portable", "cpp", "triton")


def backend() -> str:
    """The family that LRLC_BACKEND names; LayerError for another name."""
    name = os.environ.get("LRLC_BACKEND") or "auto"
    if name not in BACKENDS:
        raise unknown("LRLC_BACKEND", name, BACKENDS)
    return name


FORMING_PAYS = {"cpp": 32, "portable": 192}
"""From this many images times banks it pays to form each position's filter rather than to run K convolutions.

Measured on 2 cores with AVX2, 64 channels at 30x30 and 256 at 14x14: at half of it the two are about as fast.
"""


def combined(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Combined:
    """The forward kernel of low-rank local connectivity."""
    family = _family(x, weights)
    if family == "triton":
        return _triton_kernels().combined  # type: ignore[no-any-return]
    if family == "cpp":
        return cpp_kernels.combined
    return portable.combined if family == "portable" else portable.dependent


def combined_backward(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> CombinedBackward:
    """Its backward kernel."""
    family = _family(x, weights)
    if family == "triton":
        return _triton_kernels().combined_backward  # type: ignore[no-any-return]
    if family == "cpp":
        return cpp_kernels.combined_backward
    return portable.combined_backward if family == "portable" else portable.dependent_backward


def local(x: Tensor, filters: Tensor, geometry: Geometry) -> Local:
    """The forward kernel of local connectivity."""
    return cpp_kernels.local if _cpp(x) else portable.local


def local_backward(x: Tensor, filters: Tensor, geometry: Geometry) -> LocalBackward:
    """Its backward kernel."""
    return cpp_kernels.local_backward if _cpp(x) else portable.local_backward


def _family(x: Tensor, weights: Tensor) -> str:
    """One of "triton"; the kernels that form local filters, "cpp" or "portable"; or "banks": K convolutions.

    Local filters need weights that the whole batch shares, more than one bank, and enough images to pay for them.
    """
    if weights.shape[1] > 1 and _triton(x):
        return "triton"
    if weights.shape[0] != 1 or weights.shape[1] == 1 or x.device.type != "cpu":
        return "banks"
    family = "cpp" if _cpp(x) else "portable"
    pays = x.shape[0] * weights.shape[1] >= FORMING_PAYS[family] or backend() == "cpp"
    return family if pays else "banks"


def _cpp(x: Tensor) -> bool:
    wanted = backend()
    if wanted == "cpp" and not cpp_kernels.available(x):
        raise LayerError(f"LRLC_BACKEND=cpp, but the C++ kernels cannot serve {x.dtype} on {x.device} here")
    return wanted in ("auto", "cpp") and cpp_kernels.available(x)


def _triton(x: Tensor) -> bool:
    wanted = backend()
    if wanted not in ("auto", "triton"):
        return False
    on_device = x.device.type == "cuda" or (os.environ.get("TRITON_INTERPRET") == "1" and wanted == "triton")
    serves = on_device and find_spec("triton") is not None and x.dtype in TRITON_DTYPES
    if wanted == "triton" and not serves:
        raise LayerError(f"LRLC_BACKEND=triton, but Triton cannot serve {x.dtype} on {x.device} here")
    return serves


@cache
def _triton_kernels() -> Any:
    """Imported only where it is used: Triton is not on every machine."""
    return import_module("layers.triton_kernels")
