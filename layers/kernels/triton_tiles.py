"""Tile sizes of the Triton kernels: at least 16, which tl.dot needs; at most what registers and shared memory hold.

Found by compiling ahead (`lrlc bench kernels`): without spills, and so that two programs or more fit a multiprocessor.
"""

from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor

from lrlc.layers.kernels.triton_launch import capability, in_tf32


@dataclass(frozen=True)
class Tiles:
    """A program's tile: `rows` images or pixels, R of the summed axis (taps and channels, or channels), T targets."""

    rows: int
    R: int
    T: int
    stages: int = 3
    warps: int = 8
    registers: int | None = None
    """Upper bound on registers per thread, if the compiler would use a few more than two programs allow."""

    def options(self, rows: str) -> dict[str, Any]:
        """The keyword arguments of a launch, with `rows` under the given name."""
        sizes = {rows: self.rows, "BR": self.R, "BT": self.T}
        limit = {} if self.registers is None else {"maxnreg": self.registers}
        return sizes | limit | {"num_warps": self.warps, "num_stages": self.stages, "enable_fp_fusion": True}


def precision(dtype: torch.dtype) -> str:
    """How float32 is multiplied: in TF32 if torch's convolutions are, else as three products in TF32."""
    if dtype != torch.float32:
        return "ieee"
    return "tf32" if in_tf32() else "tf32x3"


@dataclass(frozen=True)
class Setting:
    """What tiles depend on besides the problem: 4-byte numbers, each product as three, the tensor cores.

    `older` ones take their operands from registers: those before Hopper (9.0) and those of 12.0, whose multiprocessors
    also have less shared memory. Blackwell's (10.0) add up in their own memory.
    """

    wide: bool
    thrice: bool
    older: bool
    blackwell: bool

    @classmethod
    def of(cls, x: Tensor) -> "Setting":
        how, target = precision(x.dtype), capability(x)
        return cls(how != "ieee", how == "tf32x3", target < 90 or target >= 120, 100 <= target < 120)

    @property
    def warps(self) -> int:
        """Warps of a program: half as many if a thread needs more than half of the registers."""
        return 4 if self.thrice else 8

    @property
    def registers(self) -> int | None:
        """Half of all on Blackwell, where the assembler (ptxas 13) would rather spill than take over 64 by itself."""
        return min(255, 1024 // self.warps) if self.blackwell else None

    @property
    def half_registers(self) -> int | None:
        """Half of all, also on older cards and in TF32, where some programs would otherwise use a few more."""
        return 128 if (self.older or self.wide) and not self.thrice else self.registers


def apply(x: Tensor, images: int, R: int, channels: int, K: int) -> Tiles:
    """Of triton_local.apply_kernel."""
    s = Setting.of(x)
    if images > 128 and channels <= 64 and not s.wide and not s.older:
        return Tiles(256, _fit(R, 32), _fit(channels, 64), registers=s.registers)
    shallow = K > 2 or s.wide  # tiles of all K banks wait in shared memory
    many = K > 4 if s.wide else K > 2
    rows = 64 if s.thrice or (s.older and many) else 128
    stages = 2 if shallow else 3
    sizes = _fit(images, rows), _fit(R, 32 if s.wide else 64), _fit(channels, 64)
    return Tiles(*sizes, stages, registers=128 if s.blackwell or not s.wide else None)


def filter_gradient(x: Tensor, images: int, R: int, channels: int) -> Tiles:
    """Of triton_local.filter_gradient_kernel."""
    s = Setting.of(x)
    narrow = s.thrice or (s.wide and s.older)
    rows = 32 if s.wide else 64
    sizes = _fit(images, rows), _fit(R, 64 if narrow else 128), _fit(channels, 64)
    return Tiles(*sizes, warps=s.warps, registers=s.registers)


def fixed_bank_gradient(x: Tensor, images: int, R: int, channels: int, K: int) -> Tiles:
    """Of triton_local.bank_gradient_kernel: a program keeps K sums of R x T."""
    s = Setting.of(x)
    tight = s.wide and channels >= 512
    # More banks than these halve and quarter the tile.
    half = 3 if not s.wide else 1 if s.older else 2 if s.blackwell or tight else 3
    quarter = 8 if not s.wide else 4 if s.older or s.thrice else 5 if tight else 6
    shallow = R <= 32 and not s.wide and not s.older  # the first layer's patches
    most = 16 if quarter < K else 32 if s.thrice or half < K or shallow else 64
    rows, hopper = 64 if s.wide else 128, not s.older and not s.blackwell
    # There the assembler finds 128 registers by itself, and with a limit spills.
    free = (hopper and K == 3 and not shallow) or (s.older and images <= 32)
    limit = None if s.thrice or (free and not s.wide) else 128
    return Tiles(_fit(images, rows), _fit(R, 64), _fit(channels, most), 2, s.warps, limit)


def dependent_output(x: Tensor, pixels: int, R: int, channels: int, K: int) -> Tiles:
    """Of triton_dependent.output_kernel, K a power of two."""
    s = Setting.of(x)
    rows, columns = 64 if s.thrice else 128, 64 if s.older or (s.wide and K == 1) else 128
    T = max(1, _fit(channels * K, columns) // K)
    return Tiles(
        _fit(pixels, rows), _fit(R, 32 if s.wide else 64), T, warps=s.warps, registers=s.half_registers
    )


def dependent_input_gradient(x: Tensor, pixels: int, R: int, channels: int, K: int) -> Tiles:
    """Of triton_dependent.input_gradient_kernel."""
    s = Setting.of(x)
    few = 2 if s.older or s.blackwell else 1
    narrow = s.wide and few < K
    rows = 64 if s.thrice or (s.older and K > 2 and not s.wide) else 128
    most = 32 if s.thrice and K > 4 else 64
    sizes = _fit(pixels, rows), _fit(R, 16 if narrow else 32), _fit(channels, most)
    return Tiles(*sizes, warps=s.warps, registers=s.half_registers)


def dependent_bank_gradient(x: Tensor, pixels: int, R: int, channels: int, K: int) -> Tiles:
    """Of triton_dependent.bank_gradient_kernel, K a power of two."""
    s = Setting.of(x)
    rows = 16 if s.thrice else 32 if s.wide else 64
    if s.older and K == 1 and not s.thrice:
        rows //= 2  # else two registers spill
    T = max(1, _fit(channels * K, 64 if s.thrice or s.older else 128) // K)
    return Tiles(_fit(pixels, rows), _fit(R, 64), T, 3, s.warps, 128 if s.older else s.half_registers)


def programs(x: Tensor, units: int, tiles: int) -> tuple[int, int]:
    """Consecutive units per program, and the resulting number of runs: about two programs per multiprocessor."""
    many = {"cpu": 1, "meta": 2 * 132}.get(x.device.type)
    if many is None:
        many = 2 * torch.cuda.get_device_properties(x.device).multi_processor_count
    run = max(1, triton.cdiv(units * tiles, max(many, 2 * tiles)))
    return run, triton.cdiv(units, run)


def _fit(size: int, most: int) -> int:
    return int(min(most, max(16, triton.next_power_of_2(size))))
