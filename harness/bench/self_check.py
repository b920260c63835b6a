"""`lrlc bench check`: are the kernels used on this machine correct? Each is compared with float64 and runs twice."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lrlc.harness.bench.gpu import OPERATORS, run_checks
from lrlc.harness.bench.gpu_operators import Check, Shape, check, checked_paths

SHAPES = (Shape(20, 16, 24, 14), Shape(33, 3, 16, 12, "same"), Shape(16, 16, 32, 9, "same", 2))
"""Shapes not divisible by any block of the C++ kernels, with enough images for the kernels to be used."""
PATHS = {
    "fixed": ("auto", "portable", "banks", "authors"), "dependent": ("auto", "portable", "authors"),
    "local": ("auto", "portable"),
}  # fmt: skip
GPU_DTYPES = ("bfloat16", "tf32")


def check_kernels() -> list[Check]:
    """Check every operator with every path of this machine's device; on a GPU in several processes, as they compile."""
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        return run_checks(GPU_DTYPES, min(16, os.cpu_count() or 1))
    with _as_a_trial():
        return [
            check(operator, shape, dtype, by, "cpu")
            for operator in OPERATORS
            for shape in SHAPES
            for dtype in ("float32", "bfloat16")
            for by in checked_paths(PATHS[operator.kind])
        ]


@contextmanager
def _as_a_trial() -> Iterator[None]:
    """Run on one thread, which is the default of a trial's worker; torch's setting is restored afterwards."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
