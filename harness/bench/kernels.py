"""`lrlc bench kernels`: the GPU resources of each Triton kernel and a lower bound on its time, without a GPU."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lrlc.harness.bench.compile_ahead import Compiled, compile_launch
from lrlc.harness.errors import UserError
from lrlc.layers.geometry import Geometry, make_geometry
from lrlc.layers.kernels.triton_launch import Launch, recorded


@dataclass(frozen=True)
class Card:
    """Rates from the data sheet: dense tensor-core TFLOP/s by dtype, and TB/s of memory."""

    name: str
    tflops: dict[str, float]
    terabytes_per_second: float


TARGETS = {"sm_80": 80, "sm_90": 90, "sm_100": 100}
CARDS = {
    "sm_80": Card("A100 SXM 80 GB", {"bfloat16": 312, "float16": 312, "float32": 156}, 2.04),
    "sm_90": Card("H100 SXM", {"bfloat16": 989, "float16": 989, "float32": 495}, 3.35),
    "sm_100": Card("B200", {"bfloat16": 2250, "float16": 2250, "float32": 1125}, 8.0),
}
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
KINDS = ("fixed", "dependent", "local")


@dataclass(frozen=True)
class Problem:
    """Images (batch, channels, size, size) and 3x3 filters to `out` channels; `tf32`: how float32 is multiplied."""

    batch: int
    channels: int
    out: int
    size: int
    padding: str = "valid"
    dtype: str = "bfloat16"
    tf32: bool = True
    stride: int = 1

    @property
    def geometry(self) -> Geometry:
        return make_geometry(self.size, 3, self.stride, self.padding)

    def of(self, dtype: str) -> "Problem":
        """The same in another dtype."""
        return replace(self, dtype=dtype)


@dataclass(frozen=True)
class KernelRow:
    """One kernel of a forward and backward pass. FLOPs are the tensor cores', without padding of tiles; bytes count
    each tensor once. `roofline` is the larger of both times on the card, in microseconds, and `convolution` that of
    one pass of a plain convolution.
    """

    operator: str
    programs: int
    compiled: Compiled
    gigaflops: float
    megabytes: float
    roofline: float
    convolution: float


def measure_kernels(
    problem: Problem, ranks: Sequence[int], kinds: Sequence[str], target: str
) -> list[KernelRow]:
    """Compile the kernels of this problem for `target`, and read the resources they need."""
    if target not in TARGETS:
        raise UserError(f"--target: {target!r} is none of {', '.join(TARGETS)}")
    operators = [(kind, K) for kind in kinds for K in (ranks if kind != "local" else [1])]
    rows = []
    for kind, K in operators:
        name = kind if kind == "local" else f"{kind} K={K}"
        banks = K if kind == "dependent" else 1
        rows += [_row(name, launch, banks, problem, target) for launch in launches(problem, kind, K, target)]
    return rows


def launches(problem: Problem, kind: str, K: int, target: str) -> list[Launch]:
    """The launches of a forward and a backward pass, recorded without running them."""
    from lrlc.layers.kernels import triton_kernels

    dtype, geometry = DTYPES[problem.dtype], problem.geometry
    C, out, P = problem.channels, problem.out, geometry.output_size

    def empty(*sizes: int, dtype: torch.dtype = dtype) -> Tensor:
        return torch.empty(sizes, dtype=dtype, device="meta")

    x = empty(problem.batch, *geometry.input_size, C).permute(0, 3, 1, 2)
    grad = empty(problem.batch, *P, out).permute(0, 3, 1, 2)
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = problem.tf32
    try:
        with recorded(TARGETS[target]) as made:
            if kind == "local":
                filters = empty(P[0] * P[1], 9 * C, out)
                triton_kernels.local(x, filters, geometry)
                triton_kernels.local_backward(grad, x, filters, geometry, (True, True))
            else:
                basis = empty(K * out, C, 3, 3)
                weights = empty(1 if kind == "fixed" else problem.batch, K, *P, dtype=torch.float32)
                triton_kernels.combined(x, basis, weights, geometry)
                triton_kernels.combined_backward(grad, x, basis, weights, geometry, (True, True, True))
        return made
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _row(operator: str, launch: Launch, banks: int, problem: Problem, target: str) -> KernelRow:
    card, geometry = CARDS[target], problem.geometry
    positions = geometry.output_size[0] * geometry.output_size[1]
    once = 2 * problem.batch * positions * 9 * problem.channels * problem.out
    tensors = {id(tensor): tensor for tensor in launch.arguments if isinstance(tensor, Tensor)}
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    width = DTYPES[problem.dtype].itemsize
    images = problem.batch * (problem.channels * problem.size**2 + problem.out * positions)
    convolution = (images + 9 * problem.channels * problem.out) * width
    return KernelRow(
        operator, launch.programs, compile_launch(launch, TARGETS[target]), banks * once / 1e9, size / 1e6,
        _microseconds(banks * once, size, card, problem.dtype), _microseconds(once, convolution, card, problem.dtype),
    )  # fmt: skip


def _microseconds(flops: float, size: float, card: Card, dtype: str) -> float:
    return max(flops / card.tflops[dtype] / 1e6, size / card.terabytes_per_second / 1e6)


def kernel_table(rows: Sequence[KernelRow], target: str) -> list[list[str]]:
    """As text; the first row is the header."""
    header = ["programs", "registers", "stack", "shared KB", "blocks/SM", "tensor cores"]
    header += ["GFLOP", "MB", "roofline us", "conv us"]
    table = [[f"{target}, {CARDS[target].name}", *header]]
    for row in rows:
        c = row.compiled
        cells: list[Any] = [row.programs, c.registers, c.stack, f"{c.shared_bytes / 1024:.0f}", c.blocks]
        cells += [" ".join(c.matrix) or "none", f"{row.gigaflops:.1f}", f"{row.megabytes:.0f}"]
        cells += [f"{row.roofline:.0f}", f"{row.convolution:.0f}"]
        table.append([f"{row.operator} {c.kernel.removesuffix('_kernel')}", *map(str, cells)])
    return table
