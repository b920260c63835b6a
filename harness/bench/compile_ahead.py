"""Compile recorded Triton launches for any GPU, present or not, and read the resources that each block takes."""

import importlib.util
import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import torch

from lrlc.layers.kernels.triton_launch import Launch

REGISTERS_PER_MULTIPROCESSOR = 65_536
SHARED_BYTES = {80: 164 * 1024, 90: 228 * 1024, 100: 228 * 1024}
"""Shared memory of a multiprocessor, by compute capability; a block also takes 1 KB for the system."""
THREADS = {80: 2048, 90: 2048, 100: 2048}
TENSOR_COLUMNS = 512
"""Columns of a multiprocessor's tensor memory, where Blackwell's tensor cores add up."""
MATRIX_INSTRUCTIONS = ("UTCHMMA", "UTCQMMA", "UTCMMA", "HGMMA", "HMMA")
OPTIONS = ("num_warps", "num_stages", "maxnreg", "enable_fp_fusion")
TYPES = {
    torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16", torch.int32: "i32", torch.int64: "i64",
}  # fmt: skip


@dataclass(frozen=True)
class Compiled:
    """Registers and stack bytes of a thread (a stack above 0: registers spill to memory), shared bytes of a block,
    blocks that fit on a multiprocessor, and the count of each tensor-core instruction in the machine code.
    """

    kernel: str
    registers: int
    stack: int
    shared_bytes: int
    blocks: int
    matrix: dict[str, int]


def compile_launch(launch: Launch, capability: int) -> Compiled:
    """The launch's kernel, compiled as in its first call on such a GPU."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    constants = dict(launch.constants)
    options = {name: constants.pop(name) for name in OPTIONS if name in constants}
    names = [parameter.name for parameter in launch.kernel.params]
    given = dict(zip(names, launch.arguments, strict=False)) | constants
    general = {parameter.name for parameter in launch.kernel.params if parameter.do_not_specialize}
    fixed = {
        name: value
        for name, value in given.items()
        if name in constants or (isinstance(value, int) and value == 1 and name not in general)
    }
    source = ASTSource(
        fn=launch.kernel,
        signature={name: _type(given[name], name in fixed) for name in names},
        constexprs={(names.index(name),): value for name, value in fixed.items()},
        attrs={
            (i,): [["tt.divisibility", 16]]
            for i, name in enumerate(names)
            if _aligned(given[name]) and name not in (*fixed, *general)
        },
    )
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    with NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        code = _cuobjdump(file.name)
    registers, stack = (int(n) for n in re.findall(r"REG:(\d+) STACK:(\d+)", code)[0])
    shared, columns = int(compiled.metadata.shared), getattr(compiled.metadata, "tmem_size", None) or 0
    instructions = Counter(re.findall(rf"\b({'|'.join(MATRIX_INSTRUCTIONS)})\b", code))
    blocks = blocks_that_fit(capability, 32 * options["num_warps"], registers, shared, columns)
    return Compiled(launch.kernel.__name__, registers, stack, shared, blocks, dict(instructions))


def blocks_that_fit(
    capability: int, threads: int, registers: int, shared_bytes: int, tensor_columns: int = 0
) -> int:
    """Blocks that one multiprocessor can run at once."""
    per_warp = -(-registers * 32 // 256) * 256  # registers are handed out to warps in units of 256
    warps = REGISTERS_PER_MULTIPROCESSOR // per_warp
    by_shared = SHARED_BYTES[capability] // (shared_bytes + 1024)
    by_columns = TENSOR_COLUMNS // max(1, tensor_columns)
    return min(warps // (threads // 32), by_shared, by_columns, THREADS[capability] // threads)


def _type(value: Any, fixed: bool) -> str:
    if fixed:
        return "constexpr"
    if isinstance(value, torch.Tensor):
        return f"*{TYPES[value.dtype]}"
    return "i32" if -(2**31) <= value < 2**31 else "i64"


def _aligned(value: Any) -> bool:
    return isinstance(value, torch.Tensor) or (isinstance(value, int) and value % 16 == 0)


def _cuobjdump(file: str) -> str:
    """Resources and machine code."""
    words = [tools()[1], "-res-usage", "-sass", file]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@cache
def tools() -> tuple[str, str]:
    """The paths of the assembler and the disassembler shipped with Triton, which may not exist."""
    found = importlib.util.find_spec("triton")
    folder = Path(found.origin if found and found.origin else "triton").parent / "backends/nvidia/bin"
    return str(folder / "ptxas"), str(folder / "cuobjdump")
