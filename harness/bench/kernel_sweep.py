"""`make kernels-table`: compile every Triton kernel that our networks need for every target; show the worst of each.

No GPU is needed, and nothing runs. Launches that need the same machine code are compiled once.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

from torch import Tensor

from lrlc.harness.bench.compile_ahead import Compiled, compile_launch
from lrlc.harness.bench.kernels import DTYPES, KINDS, TARGETS, Problem, launches
from lrlc.layers.kernels.triton_launch import Launch

SHAPES = (
    Problem(128, 3, 64, 32),
    Problem(32, 64, 64, 30),
    Problem(128, 64, 64, 30),
    Problem(512, 64, 64, 30),
    *(Problem(64, channels, channels, 3584 // channels, "same") for channels in (64, 128, 256, 512)),
    *(Problem(64, channels, channels, 7168 // channels, "same", stride=2) for channels in (128, 256, 512)),
)
"""Of the three-layer network at 32x32, at three batch sizes, and of the 3x3 convolutions of ResNet-50 at 224x224."""


@dataclass(frozen=True)
class Worst:
    """The worst values among `kernels` compiled kernels: registers and stack per thread, shared memory per block,
    blocks that fit on a multiprocessor; and the tensor-core instructions, with None for a kernel that has none.
    """

    target: str
    dtype: str
    kernels: int
    registers: int
    stack: int
    shared_bytes: int
    blocks: int
    instructions: tuple[str | None, ...]
    misfits: tuple[str, ...] = ()
    """A line for each kernel that does not fit."""

    @property
    def fits(self) -> bool:
        """No spills, two blocks a multiprocessor, tensor cores."""
        return _fits(self.stack, self.blocks, self.instructions)


def _fits(stack: int, blocks: int, instructions: Iterable[str | None]) -> bool:
    return stack == 0 and blocks >= 2 and None not in instructions


def worst(target: str, dtype: str, compiled: Sequence[Compiled]) -> Worst:
    """The worst values among these kernels."""
    names = sorted({next(iter(each.matrix), None) for each in compiled}, key=str)
    return Worst(
        target,
        dtype,
        len(compiled),
        max(each.registers for each in compiled),
        max(each.stack for each in compiled),
        max(each.shared_bytes for each in compiled),
        min(each.blocks for each in compiled),
        tuple(names),
    )


def different_launches(
    problems: Iterable[Problem], ranks: Sequence[int], kinds: Sequence[str], target: str
) -> Iterator[Launch]:
    """The launches of these problems, one for each different kernel to compile."""
    seen = set()
    for problem in problems:
        for kind in kinds:
            for launch in [each for K in ranks for each in launches(problem, kind, K, target)]:
                types = tuple(each.dtype if isinstance(each, Tensor) else None for each in launch.arguments)
                key = launch.kernel.__name__, types, tuple(sorted(launch.constants.items()))
                if key not in seen:
                    seen.add(key)
                    yield launch


def _compiled(target: str, dtype: str, ranks: Sequence[int]) -> Worst:
    problems = [shape.of(dtype) for shape in SHAPES]
    found = list(different_launches(problems, ranks, KINDS, target))
    compiled = [compile_launch(launch, TARGETS[target]) for launch in found]
    misfits = [
        f"{each.kernel} {launch.constants}: {each.registers} registers, stack {each.stack}, {each.blocks} blocks"
        for launch, each in zip(found, compiled, strict=True)
        if not _fits(each.stack, each.blocks, each.matrix or [None])
    ]
    return replace(worst(target, dtype, compiled), misfits=tuple(misfits))


HEADER = """\
| target | type | kernels | registers | stack | shared KB | blocks/SM | instructions |
|---|---|---|---|---|---|---|---|"""


def line(row: Worst) -> str:
    """A row of the table, in Markdown."""
    instructions = ", ".join(name or "**none**" for name in row.instructions)
    numbers = (row.kernels, row.registers, row.stack, f"{row.shared_bytes / 1024:.0f}", row.blocks)
    return f"| {row.target} | {row.dtype} | {' | '.join(map(str, numbers))} | {instructions} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lrlc.harness.bench.kernel_sweep", description=__doc__)
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--dtypes", nargs="+", default=list(DTYPES), choices=list(DTYPES))
    parser.add_argument("--ranks", nargs="+", type=int, default=[1, 2, 3, 4, 5, 6, 7])
    parser.add_argument("--workers", type=int, default=1, help="processes that compile")
    asked = parser.parse_args()
    cells = [(target, dtype, asked.ranks) for target in asked.targets for dtype in asked.dtypes]
    print(HEADER, flush=True)
    with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as pool:
        fitting = [_shown(row).fits for row in pool.map(_compiled, *zip(*cells, strict=True))]
    sys.exit(0 if all(fitting) else 1)


def _shown(row: Worst) -> Worst:
    print(line(row), *row.misfits, sep="\n", flush=True)
    return row


if __name__ == "__main__":
    main()
