"""`python -m lrlc.harness.bench.gpu`: are the kernels correct on this GPU, and how slow against a convolution?

Needs only torch, triton and this checkout. First, in several processes, every kernel is compiled and compared with
float64; then a single process measures the times. About three minutes on an H100 with 16 processor cores.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from lrlc.harness.bench.gpu_operators import (
    PATHS,
    Check,
    Operator,
    Shape,
    Timing,
    check,
    checked_paths,
    one_line,
    time_operator,
    triton_fault,
)
from lrlc.layers.kernels.dispatch import backend

FIXED = tuple(Operator("fixed", rank) for rank in (1, 2, 4, 7))
DEPENDENT = tuple(Operator("dependent", rank) for rank in (2, 4, 7))
OPERATORS = (*FIXED, *DEPENDENT, Operator("local"))
ODD = (Shape(100, 64, 64, 14), Shape(33, 3, 64, 16, "same"), Shape(20, 64, 128, 9, "same", 2))
"""Shapes that are not divisible by any tile."""
TIMED = (Shape(32, 64, 64, 10), Shape(256, 64, 64, 10))
"""With the first of ODD, these shapes compile the kernels that are timed."""


def main() -> None:
    arguments = _arguments()
    if not torch.cuda.is_available():
        sys.exit(
            "lrlc.harness.bench.gpu: no CUDA device here; `lrlc bench kernels` compiles the kernels without one"
        )
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    started = time.perf_counter()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {os.cpu_count()} cores", flush=True)
    checks = [] if arguments.no_checks else run_checks(arguments.dtypes, arguments.workers)
    report(checks, time.perf_counter() - started)
    rows: dict[str, list[Timing]] = {}
    shapes = [Shape(batch, 64, 64, size) for size in arguments.sizes for batch in arguments.batches]
    for dtype in arguments.dtypes:
        for shape in shapes:
            rows[f"{dtype} {shape.batch}x64x{shape.size}"] = _time(shape, dtype)
    print(_table(rows))
    print(f"{time.perf_counter() - started:.0f} s")
    if arguments.out:
        found = {
            "checks": [asdict(c) for c in checks],
            "times": {k: [asdict(t) for t in v] for k, v in rows.items()},
        }
        Path(arguments.out).write_text(json.dumps(found, indent=1), "utf-8")
    sys.exit(0 if all(each.holds for each in checks) else 1)


def run_checks(dtypes: Sequence[str], workers: int) -> list[Check]:
    """Check every operator with each of our paths; each operator and dtype runs in one of `workers` processes.

    Where Triton cannot run, a line says why, and only the other paths are checked, as trials take those.
    """
    left_out = []
    if backend() == "auto" and (fault := triton_fault()):
        print(f"Triton kernels are not used here: {fault}", flush=True)
        left_out = ["triton"]
    groups = [(operator, dtype) for operator in OPERATORS for dtype in (*dtypes, "float32")]
    groups.sort(key=lambda group: -group[0].rank)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return [
            each
            for found in pool.map(partial(_checks, left_out), *zip(*groups, strict=True))
            for each in found
        ]


def _checks(left_out: Sequence[str], operator: Operator, dtype: str) -> list[Check]:
    """One operator's checks, without the paths in `left_out`."""
    shapes = {"bfloat16": [*ODD, *TIMED], "float32": [*ODD[:1]]}.get(dtype, [*ODD[:2], *TIMED])
    paths = [by for by in checked_paths(PATHS[operator.kind]) if by not in left_out]
    return [check(operator, shape, dtype, by) for shape in shapes for by in paths]


def _time(shape: Shape, dtype: str) -> list[Timing]:
    cases = [(Operator("conv"), "cudnn")]
    cases += [(operator, by) for operator in OPERATORS for by in (*PATHS[operator.kind], "auto")]
    found = []
    for operator, by in cases:
        try:
            found.append(time_operator(operator, shape, dtype, by))
        except Exception as problem:  # out of memory, or a path that does not run here
            if by == "cudnn":  # that all others are compared with
                raise
            print(f"{dtype} {operator} by {by}: {one_line(problem)}", flush=True)
    return found


def report(checks: Sequence[Check], seconds: float) -> None:
    wrong = [each for each in checks if not each.holds]
    worst: dict[str, float] = {}
    for each in checks:
        largest = max(error / each.tolerance for error in each.errors)
        worst[each.kind] = max(worst.get(each.kind, 0.0), largest)
    print(
        f"{len(checks) - len(wrong)} of {len(checks)} checks hold, {seconds:.0f} s; worst error over its bound:"
    )
    print("  " + ", ".join(f"{kind} {value:.2f}" for kind, value in worst.items()))
    for each in wrong[:20]:
        errors = " ".join(f"{error:.1e}" for error in each.errors)
        told = each.fault or f"{errors} (bound {each.tolerance:.0e}){'' if each.repeats else ', varies'}"
        print(f"  WRONG {each.name}: {told}")
    sys.stdout.flush()


def _table(rows: dict[str, list[Timing]]) -> str:
    """Ratios to the convolution, on the GPU alone (and, in brackets, called from Python)."""
    lines = ["forward + backward over cuDNN's convolution: on the GPU alone (called from Python)"]
    for setting, (conv, *rest) in rows.items():
        lines.append(f"{setting}: convolution {1e3 * conv.graph:.0f} us ({1e3 * conv.eager:.0f} us)")
        for operator in dict.fromkeys(each.operator for each in rest):
            cells = [
                f"{each.by} {each.graph / conv.graph:.2f} ({each.eager / conv.eager:.1f})"
                for each in rest
                if each.operator == operator
            ]
            lines.append(f"  {operator:14}" + "  ".join(cells))
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lrlc.harness.bench.gpu", description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 128, 512])
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 32], help="inputs, square")
    parser.add_argument(
        "--dtypes", nargs="+", default=["bfloat16", "tf32"], choices=["bfloat16", "float16", "tf32"]
    )
    parser.add_argument(
        "--workers", type=int, default=min(16, os.cpu_count() or 1), help="processes that check"
    )
    parser.add_argument("--no-checks", action="store_true", help="times only")
    parser.add_argument("--out", help="a JSON file for all numbers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
