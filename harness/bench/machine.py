"""A description of the machine that a measurement was taken on."""

import os
from dataclasses import dataclass

import torch

from lrlc.harness import provenance


@dataclass(frozen=True)
class Machine:
    """`load` is the number of runnable processes over the last minute (None if the system does not report it)."""

    cpu: str
    instructions: str
    device: str
    threads: int
    torch: str
    load: float | None

    def __str__(self) -> str:
        load = "" if self.load is None else f", load {self.load:.1f}"
        where = "" if self.device == "cpu" else f", {self.device}"
        return f"{self.cpu}, {self.instructions}{where}, {self.threads} threads, torch {self.torch}{load}"


def describe(device: torch.device) -> Machine:
    """This machine as it is now."""
    return Machine(
        cpu=provenance.cpu_name(),
        instructions=torch.backends.cpu.get_cpu_capability(),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def find_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def memory_bytes() -> int:
    """This machine's main memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
