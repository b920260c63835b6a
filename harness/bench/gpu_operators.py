"""The operators: compared with float64, checked for bitwise repeatability, and timed against a convolution on a GPU.

Operators only, without the modules around them, so that little has to be installed: torch, triton and `layers`.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lrlc.layers import plain
from lrlc.layers.functional import combine
from lrlc.layers.geometry import Geometry, make_geometry
from lrlc.layers.kernels import ops
from lrlc.layers.kernels.dispatch import backend

DTYPES = {
    "bfloat16": torch.bfloat16, "float16": torch.float16, "tf32": torch.float32, "float32": torch.float32,
}  # fmt: skip
TOLERANCES = {"bfloat16": 1e-2, "float16": 2e-3, "tf32": 1.5e-3, "float32": 1e-5}
"""Bounds on ||found - exact|| / ||exact||; tf32 is float32 where torch.backends.cudnn.allow_tf32 is on."""
PATHS = {
    "fixed": ("triton", "filters", "banks", "authors"), "dependent": ("triton", "banks", "authors"),
    "local": ("triton", "unfolded"),
}  # fmt: skip


IN_THE_INPUTS_DTYPE = ("banks", "authors", "portable")
"""Paths that round the combining weights to the dtype of the images."""


def checked_paths(paths: Sequence[str]) -> Sequence[str]:
    """The `paths` that trials could take here: only the one in LRLC_BACKEND if it is set."""
    forced = backend()
    return paths if forced == "auto" else [forced]


def triton_fault() -> str | None:
    """Why Triton kernels do not run here, in one line (a missing C compiler, for example); None if they do."""
    try:
        tensors, local, _ = make(Operator("local"), Shape(16, 16, 16, 4), "tf32")
        with path("triton"):
            local(*tensors)
        torch.cuda.synchronize()
    except Exception as problem:
        return one_line(problem)
    return None


def one_line(problem: Exception) -> str:
    """The exception's type and the first line of its message."""
    return f"{type(problem).__name__}: {problem}".splitlines()[0]


@dataclass(frozen=True)
class Shape:
    """Images (N, channels, size, size) and 3x3 filters to `out` channels."""

    batch: int
    channels: int
    out: int
    size: int
    padding: str = "valid"
    stride: int = 1

    @property
    def geometry(self) -> Geometry:
        return make_geometry(self.size, 3, self.stride, self.padding)


@dataclass(frozen=True)
class Operator:
    """`kind`: conv, fixed (weights for all images), dependent (weights for each image) or local; `rank`: its banks."""

    kind: str
    rank: int = 1

    def __str__(self) -> str:
        return f"{self.kind} K={self.rank}" if self.kind in ("fixed", "dependent") else self.kind


Call = Callable[..., Tensor]


def make(
    operator: Operator, shape: Shape, dtype: str, device: str = "cuda"
) -> tuple[list[Tensor], Call, Call]:
    """The operator's tensors, x first; the operator; and the same in plain torch."""
    geometry, kind = shape.geometry, DTYPES[dtype]
    (kh, kw), (TH, TW) = geometry.kernel_size, geometry.output_size

    def normal(*sizes: int, scale: float = 1.0, dtype: torch.dtype = kind) -> Tensor:
        return (torch.randn(sizes, device=device) * scale).to(dtype)

    x = normal(shape.batch, shape.channels, shape.size, shape.size).contiguous(
        memory_format=torch.channels_last
    )
    scale = (2 / (kh * kw * shape.channels)) ** 0.5
    g = (geometry.stride, geometry.padding, geometry.dilation)
    if operator.kind == "local":
        filters = normal(TH * TW, kh * kw * shape.channels, shape.out, scale=scale)
        return (
            [x, filters],
            lambda x, f: ops.local(x, f, geometry.kernel_size, *g),
            lambda x, f: plain.local(x, f, geometry),
        )
    basis = normal(operator.rank * shape.out, shape.channels, kh, kw, scale=scale)
    basis = basis.contiguous(memory_format=torch.channels_last)
    if operator.kind == "conv":
        padding = (geometry.padding[0], geometry.padding[2])

        def convolve(x: Tensor, f: Tensor) -> Tensor:
            return F.conv2d(x, f, None, geometry.stride, padding)

        return [x, basis], convolve, convolve
    images = 1 if operator.kind == "fixed" else shape.batch
    weights = normal(images, operator.rank, TH, TW, dtype=torch.float32).softmax(1)
    return (
        [x, basis, weights],
        lambda x, b, w: combine(x, b, w, geometry),
        lambda x, b, w: plain.combined(x, b, w, geometry),
    )


def authors(x: Tensor, basis: Tensor, weights: Tensor, geometry: Geometry) -> Tensor:
    """One convolution to K * C_out channels, then the weighted sum over the banks."""
    x, padding = plain.conv_input(x, geometry)
    banks = F.conv2d(x, basis, None, geometry.stride, padding)
    banks = banks.view(len(x), weights.shape[1], -1, *banks.shape[2:])
    y: Tensor = (banks * weights.to(x.dtype)[:, :, None]).sum(1)
    return y


@contextmanager
def path(name: str) -> Iterator[None]:
    """Use this path inside the context: a value of LRLC_BACKEND, or auto."""
    before = os.environ.get("LRLC_BACKEND")
    os.environ["LRLC_BACKEND"] = "portable" if name == "unfolded" else name
    try:
        yield
    finally:
        os.environ.pop("LRLC_BACKEND")
        if before is not None:
            os.environ["LRLC_BACKEND"] = before


def forward_backward(call: Call, tensors: Sequence[Tensor], grad: Tensor) -> list[Tensor]:
    """The output, and the gradients of all tensors."""
    y = call(*tensors)
    return [y, *torch.autograd.grad(y, tensors, grad)]


@dataclass(frozen=True)
class Check:
    """`errors` of output and gradients, relative to their norms; `repeats`: whether a second run gave the same bits;
    `fault`: the exception that ended the check, in one line.
    """

    name: str
    kind: str
    errors: tuple[float, ...]
    tolerance: float
    repeats: bool
    fault: str | None = None

    @property
    def holds(self) -> bool:
        return self.repeats and all(error <= self.tolerance for error in self.errors)


def check(operator: Operator, shape: Shape, dtype: str, by: str, device: str = "cuda") -> Check:
    """Compare with torch's own convolutions in float64; memory that is never written is NaN.

    An exception fails the check, and does not end the others.
    """
    name = (
        f"{operator} {dtype} {by} {shape.batch}x{shape.channels}x{shape.size} to {shape.out} {shape.padding}"
    )
    tolerance = TOLERANCES[dtype] * (3 if by in IN_THE_INPUTS_DTYPE else 1)
    errors: tuple[float, ...] = (float("inf"),)
    repeats, fault = False, None
    try:
        errors, repeats = _compared(operator, shape, dtype, by, device)
    except Exception as problem:
        fault = one_line(problem)
    kind = f"{operator.kind} {dtype} {by}"
    return Check(f"{name} stride {shape.stride}", kind, errors, tolerance, repeats, fault)


def _compared(
    operator: Operator, shape: Shape, dtype: str, by: str, device: str
) -> tuple[tuple[float, ...], bool]:
    """The errors, and whether a second run gave the same bits."""
    torch.backends.cudnn.allow_tf32 = dtype == "tf32"
    torch.use_deterministic_algorithms(True, warn_only=True)  # also fills every new tensor with NaN
    tensors, ours, plainly = make(operator, shape, dtype, device)
    exact = [t.double().requires_grad_() for t in tensors]
    tensors = [t.requires_grad_() for t in tensors]
    y = plainly(*exact)
    grad = torch.randn_like(y).to(tensors[0].dtype)
    expected = [y, *torch.autograd.grad(y, exact, grad.double())]
    with path(by):
        found, again = (forward_backward(ours, tensors, grad) for _ in range(2))
    errors = tuple(_relative(a, b) for a, b in zip(found, expected, strict=True))
    return errors, all(torch.equal(a, b) for a, b in zip(found, again, strict=True))


def _relative(found: Tensor, exact: Tensor) -> float:
    error = float((found.detach().double() - exact.detach()).norm() / exact.detach().norm().clamp_min(1e-30))
    return error if error == error else float("inf")


@dataclass(frozen=True)
class Timing:
    """Milliseconds of a forward and backward pass: replayed from a CUDA graph, and called from Python."""

    operator: str
    by: str
    graph: float
    eager: float


def time_operator(operator: Operator, shape: Shape, dtype: str, by: str, milliseconds: float = 8.0) -> Timing:
    """The median of replays, and of calls."""
    torch.backends.cudnn.allow_tf32 = dtype in ("tf32", "bfloat16", "float16")
    torch.backends.cudnn.benchmark = True
    tensors, call, _ = make(operator, shape, dtype)
    if by == "authors":
        call = lambda x, b, w: authors(x, b, w, shape.geometry)  # noqa: E731
    tensors = [t.requires_grad_() for t in tensors]
    with path("auto" if by in ("authors", "cudnn") else by):
        grad = torch.randn_like(call(*tensors))
        work = lambda: forward_backward(call, tensors, grad)  # noqa: E731
        graph = _captured(work)
        return Timing(str(operator), by, _median(graph.replay, milliseconds), _median(work, milliseconds))


def _captured(work: Callable[[], object]) -> torch.cuda.CUDAGraph:
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


def _median(work: Callable[[], object], milliseconds: float) -> float:
    """Milliseconds of one call, the median of five batches of calls that take `milliseconds` together."""
    work()
    torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    torch.cuda.synchronize()
    count = max(1, min(100, int(milliseconds / 5e3 / (time.perf_counter() - started))))
    batches = []
    for _ in range(5):
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(count):
            work()
        torch.cuda.synchronize()
        batches.append(1e3 * (time.perf_counter() - started) / count)
    return statistics.median(batches)
