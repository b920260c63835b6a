"""Tile sizes of the Triton kernels: at least 16, which tl.dot needs; at most what registers and shared memory hold."""

from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor


@dataclass(frozen=True)
class Tiles:
    """`rows` images or pixels, R of the summed axis (taps and channels, or channels), T target channels a program."""

    rows: int
    R: int
    T: int
    warps: int = 8
    stages: int = 3
    registers: int | None = None
    """The most registers a thread may take, where the compiler would take a few more than two programs allow."""

    def options(self, rows: str) -> dict[str, Any]:
        """As the keyword arguments of a launch, `rows` under that name."""
        sizes = {rows: self.rows, "BR": self.R, "BT": self.T}
        limit = {} if self.registers is None else {"maxnreg": self.registers}
        return sizes | limit | {"num_warps": self.warps, "num_stages": self.stages, "enable_fp_fusion": True}


def tiles_of(kernel: str, precision: str, rows: int, R: int, T: int, K: int = 0) -> Tiles:
    """The tiles of `kernel` for a problem of this size; K banks, where the kernel's tiles depend on them."""
    wide, thrice = precision.startswith("tf32"), precision == "tf32x3"
    half = 2 if wide else 1
    if kernel == "apply":
        tall = rows > 128 and T <= 64 and not wide
        stages = 3 if (K <= 2 and not wide) or tall else 2
        return Tiles(
            _fit(rows, 256 if tall else 64 if thrice else 128),
            _fit(R, 32 if wide or tall else 64),
            _fit(T, 64),
            stages=stages,
        )
    if kernel == "filter_gradient":
        return Tiles(_fit(rows, 64 // half), _fit(R, 64 if thrice else 128), _fit(T, 64))
    if kernel == "fixed_bank_gradient":
        return Tiles(
            _fit(rows, 128 // half),
            _fit(R, 64),
            _fit(T, 64 if K <= 3 and not thrice else 32),
            stages=2,
            registers=None if thrice else 128,
        )
    if kernel == "dependent_output":
        return Tiles(_fit(rows, 64 if thrice else 128), _fit(R, 64 // half), max(1, _fit(T * K, 128) // K))
    if kernel == "dependent_input_gradient":
        return Tiles(_fit(rows, 64 if thrice else 128), _fit(R, 16 if wide and K > 2 else 32), _fit(T, 64))
    if kernel == "dependent_bank_gradient":
        return Tiles(_fit(rows, 64 // half), _fit(R, 64), max(1, _fit(T * K, 64 if thrice else 128) // K))
    raise ValueError(kernel)


def programs(x: Tensor, units: int, tiles: int) -> tuple[int, int]:
    """How many units a program takes in a row, and how many runs that makes: about two programs a multiprocessor."""
    many = {"cpu": 1, "meta": 2 * 132}.get(x.device.type)
    if many is None:
        many = 2 * torch.cuda.get_device_properties(x.device).multi_processor_count
    run = max(1, triton.cdiv(units * tiles, max(many, 2 * tiles)))
    return run, triton.cdiv(units, run)


def _fit(size: int, most: int) -> int:
    return int(min(most, max(16, triton.next_power_of_2(size))))
