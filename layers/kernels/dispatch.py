"""Choice of the kernel that computes an operator, per device and shape.

On a CPU by rule; on a GPU by measurement at a shape's first call (measured.py). LRLC_BACKEND forces a family if it
supports the call: portable (pure torch), cpp (the C++ kernels), triton, banks (K convolutions, one after the other),
authors (a K-fold convolution and a weighted sum, the paper's way), filters (each position's filter written to memory,
then local connectivity), or auto (the default).
"""

import hashlib
import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lrlc.layers.errors import LayerError, unknown
from lrlc.layers.geometry import Geometry
from lrlc.layers.kernels import (
    at_once,
    bfloat16_convolution,
    cpp_build,
    cpp_kernels,
    measured,
    portable,
    unfolded,
)
from lrlc.layers.kernels.bfloat16_convolution import CLIFF, MEASURED_IMAGES
from lrlc.layers.kernels.triton_launch import in_tf32

Needs = tuple[bool, ...]
Combined = Callable[[Tensor, Tensor, Tensor, Geometry], Tensor]
CombinedBackward = Callable[[Tensor, Tensor, Tensor, Tensor, Geometry, Needs], tuple[Tensor, Tensor, Tensor]]
Local = Callable[[Tensor, Tensor, Geometry], Tensor]
LocalBackward = Callable[[Tensor, Tensor, Tensor, Geometry, Needs], tuple[Tensor, Tensor]]

TRITON_DTYPES = (torch.float32, torch.bfloat16, torch.float16)

TRITON_RANKS = 16
"""The kernels unroll their loops over the banks; with more banks, compiling takes long and registers spill."""

LARGEST_IMAGE = 2**31 // 256
"""Elements of an image and of its output: the kernels' offsets inside a block of images have 32 bits."""

LARGEST_FILTERS = 2**31
"""Elements of the banks or of all positions' filters, for the same reason."""

MOST_PIXELS = 2**31
"""Upper bound on a batch's pixels, at the input and at the output, as the kernels count them in 32 bits."""

BACKENDS = ("auto", "portable", "cpp", "triton", "banks", "authors", "filters")


def backend() -> str:
    """The family named by LRLC_BACKEND; LayerError for an unknown name."""
    name = os.environ.get("LRLC_BACKEND") or "auto"
    if name not in BACKENDS:
        raise unknown("LRLC_BACKEND", name, BACKENDS)
    return name


FORMING_PAYS = {"cpp": 32, "portable": 192}
"""From this product of images and banks on, forming each position's filter is faster than running K convolutions.

Measured on 2 cores with AVX2, 64 channels at 30x30 and 256 at 14x14; at half of it the two are about equally fast.
"""


def combined(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Combined:
    """The forward kernel of low-rank local connectivity."""
    return _combined_family(_family(x, basis, weights, geometry))[0]


def combined_backward(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> CombinedBackward:
    """Its backward kernel."""
    return _combined_family(_family(x, basis, weights, geometry))[1]


def may_keep_banks(x: Tensor) -> bool:
    """Whether `keeps_banks` can be true for this input: never under tracing compilers or on other devices."""
    tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    if torch.compiler.is_compiling() or tracing or not len(x):
        return False
    return x.device.type == "cuda" or backend() == "authors"


def keeps_banks(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> bool:
    """Whether low-rank local connectivity is computed the authors' way, whose activations are kept (`at_once.keep`)."""
    return _family(x, basis, weights, geometry) == "authors"


def local(x: Tensor, filters: Tensor, geometry: Geometry) -> Local:
    """The forward kernel of local connectivity."""
    return _local_family(_local_name(x, filters, geometry))[0]


def local_backward(x: Tensor, filters: Tensor, geometry: Geometry) -> LocalBackward:
    """Its backward kernel."""
    return _local_family(_local_name(x, filters, geometry))[1]


def _combined_family(name: str) -> tuple[Combined, CombinedBackward]:
    if name == "triton":
        return _triton_kernels().combined, _triton_kernels().combined_backward
    if name == "cpp":
        return cpp_kernels.combined, cpp_kernels.combined_backward
    if name == "filters":
        return _through_filters, _through_filters_backward
    if name == "authors":
        return at_once.combined, at_once.combined_backward
    if name == "portable":
        return portable.combined, portable.combined_backward
    if name == "banks32":
        return bfloat16_convolution.dependent, bfloat16_convolution.dependent_backward
    return portable.dependent, portable.dependent_backward


def _local_family(name: str) -> tuple[Local, LocalBackward]:
    if name == "triton":
        return _triton_kernels().local, _triton_kernels().local_backward
    if name == "cpp":
        return cpp_kernels.local, cpp_kernels.local_backward
    if name == "unfolded":
        return unfolded.local, unfolded.local_backward
    return portable.local, portable.local_backward


def _family(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> str:
    """One of "triton", "cpp" and "portable", forming local filters; "filters", storing them; "banks"; "authors".

    Local filters need weights shared by the whole batch, more than one bank, and enough images to be worthwhile.
    """
    wanted, forms = backend(), weights.shape[0] == 1 and weights.shape[1] > 1
    if wanted in ("banks", "authors"):
        return wanted
    if wanted == "filters" and forms:
        return "filters"
    if _triton(x, basis.shape[0] // weights.shape[1], geometry, filters=basis):
        if wanted == "triton" or x.device.type != "cuda":
            return "triton"
        names: tuple[str, ...] = ("triton",) if weights.shape[1] <= TRITON_RANKS else ()
        names += ("filters", "banks") if forms else ("banks",)
        names += ("authors",) if at_once.activation_bytes(x, basis, geometry) <= at_once.MOST_BYTES else ()
        return _fastest("combined", names, _combined_family, (x, basis, weights), geometry)
    if x.device.type != "cpu":
        return "banks"
    family = "cpp" if _cpp(x) else "portable"
    pays = x.shape[0] * weights.shape[1] >= FORMING_PAYS[family] or wanted == "cpp"
    return family if forms and pays else _banks_name(x, basis, weights, geometry)


def _banks_name(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> str:
    """Banks on a CPU: in float32 where bfloat16 convolutions are slow (see bfloat16_convolution.py)."""
    if x.dtype != torch.bfloat16 or backend() != "auto":
        return "banks"
    some = slice(MEASURED_IMAGES)
    tensors = (x[some], basis, weights if len(weights) == 1 else weights[some])
    return _fastest("combined", ("banks", "banks32"), _combined_family, tensors, geometry, margin=CLIFF)


def _local_name(x: Tensor, filters: Tensor, geometry: Geometry) -> str:
    """The family that computes local connectivity."""
    if _triton(x, filters.shape[2], geometry, filters):
        if backend() == "triton" or x.device.type != "cuda":
            return "triton"
        return _fastest("local", ("triton", "unfolded"), _local_family, (x, filters), geometry)
    if x.device.type != "cpu":
        return "unfolded"
    return "cpp" if _cpp(x) else "portable"


def _fastest(
    operator: str,
    names: tuple[str, ...],
    family: Callable[[str], tuple[Callable[..., Any], Callable[..., Any]]],
    tensors: tuple[Tensor, ...],
    geometry: Geometry,
    margin: float = 1.0,
) -> str:
    """The family in `names` that is fastest for a forward and a backward pass of these tensors."""

    def work(name: str) -> Callable[[], object]:
        if name == "authors":
            x, basis, weights = tensors
            return lambda: at_once.forward_backward(x, basis, weights, geometry)
        forward, backward = family(name)
        # The output is used as its gradient: drawing one would change the run's random numbers.
        return lambda: backward(forward(*tensors, geometry), *tensors, geometry, (True,) * len(tensors))

    candidates = {name: work(name) for name in names}
    question = _question(operator, names, tensors, geometry)
    return measured.choose(question, candidates, tensors[0].device, default=names[0], margin=margin)


def _question(operator: str, names: tuple[str, ...], tensors: tuple[Tensor, ...], g: Geometry) -> str:
    """A text with everything that a choice depends on."""
    x = tensors[0]
    shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in tensors)
    kinds = " ".join(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors}))
    how = f"stride {g.stride}, padding {g.padding}, dilation {g.dilation}"
    device = torch.cuda.get_device_name(x.device) if x.device.type == "cuda" else cpp_build.processor_name()
    where = f"{device}, torch {torch.__version__}, kernels {_kernels_version()}"
    return f"{operator} {kinds}{_settings(x)} {shapes}, {how}: {' or '.join(names)} on {where}"


def _settings(x: Tensor) -> str:
    """The settings of torch on which the candidates' times depend."""
    backends, wide = torch.backends, x.dtype == torch.float32
    deterministic = torch.are_deterministic_algorithms_enabled() or backends.cudnn.deterministic
    found = {
        " in TF32": wide and in_tf32(),
        " with products in TF32": wide and in_tf32(backends.cuda.matmul),
        " deterministic": deterministic,
        " benchmarked": backends.cudnn.benchmark,
    }
    return "".join(words for words, holds in found.items() if holds)


def _through_filters(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
    filters = unfolded.form_filters(basis, weights)
    return local(x, filters, geometry)(x, filters, geometry)


def _through_filters_backward(
    grad: Tensor, x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry, needs: Needs
) -> tuple[Tensor, Tensor, Tensor]:
    filters = unfolded.form_filters(basis, weights)
    kernel = local_backward(x, filters, geometry)
    of_x, of_filters = kernel(grad, x, filters, geometry, (needs[0], needs[1] or needs[2]))
    if not (needs[1] or needs[2]):
        return of_x, basis.new_empty(0), weights.new_empty(0)
    return of_x, *unfolded.form_filters_backward(of_filters, basis, weights, needs)


def _cpp(x: Tensor) -> bool:
    wanted = backend()
    if wanted == "cpp" and not cpp_kernels.available(x):
        raise LayerError(f"LRLC_BACKEND=cpp, but the C++ kernels cannot serve {x.dtype} on {x.device} here")
    return wanted in ("auto", "cpp") and cpp_kernels.available(x)


def _triton(x: Tensor, out_channels: int, geometry: Geometry, filters: Tensor) -> bool:
    wanted = backend()
    if wanted not in ("auto", "triton", "filters"):
        return False
    on_device = x.device.type == "cuda" or (os.environ.get("TRITON_INTERPRET") == "1" and wanted == "triton")
    serves = on_device and find_spec("triton") is not None and x.dtype in TRITON_DTYPES
    (H, W), (TH, TW) = geometry.input_size, geometry.output_size
    serves = serves and max(x.shape[1] * H * W, out_channels * TH * TW) < LARGEST_IMAGE
    serves = serves and filters.numel() < LARGEST_FILTERS and len(x) * max(H * W, TH * TW) < MOST_PIXELS
    if wanted == "triton" and not serves:
        raise LayerError(f"LRLC_BACKEND=triton, but Triton cannot serve {x.dtype} {H}x{W} on {x.device} here")
    return serves


@cache
def _kernels_version() -> str:
    """A version that changes with Triton and with the kernels, and thus with their times."""
    here = Path(__file__).parent
    triton = version("triton") if find_spec("triton") else ""
    texts = [triton, *(path.read_text("utf-8") for path in sorted(here.glob("triton_*.py")))]
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:8]


@cache
def _triton_kernels() -> Any:
    """Imported only when used, as not every machine has Triton."""
    return import_module("lrlc.layers.kernels.triton_kernels")
