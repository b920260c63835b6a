"""The machine for a forecast: this one's slots and GPUs, or those named in `lrlc plan --on 8xH100`."""

import math
import os
import re
from dataclasses import dataclass

import torch

from lrlc.harness import provenance
from lrlc.harness.errors import UserError
from lrlc.studies import Resources

_NAMED = re.compile(r"(?:(\d+)\s*[x×]\s*)?([A-Za-z][\w .-]*)")


@dataclass(frozen=True)
class Machine:
    """A number of equal devices: GPUs, or slots of a CPU, with one trial each."""

    count: int
    device: str
    """The device as in the rows' column `device`, or a part of it: 'H100'."""
    is_gpu: bool
    is_named: bool
    """Whether the user named it; otherwise it is this machine."""

    @property
    def said(self) -> str:
        """'8 x H100', '1 slot of this machine'."""
        if self.is_named or self.is_gpu:
            return f"{self.count} x {self.device}"
        return f"{self.count} slot{'s' * (self.count != 1)} of this machine"


def machine_at_hand(asked: Resources) -> Machine:
    """This machine's GPUs, if there are any and the study uses them, else as many slots as its CPUs fit trials."""
    gpus = torch.cuda.device_count() if asked.gpus != 0 else 0
    if gpus:
        return Machine(gpus, torch.cuda.get_device_name(0), is_gpu=True, is_named=False)
    slots = max(1, math.floor((os.cpu_count() or 1) / asked.cpus))
    return Machine(slots, provenance.cpu_name(), is_gpu=False, is_named=False)


def named_machine(given: str) -> Machine:
    """The machine in `--on`: '8xH100', 'H100'; a name with 'cpu' or 'cores' means a CPU, with a number of slots."""
    found = _NAMED.fullmatch(given.strip())
    count = int(found[1] or 1) if found else 0
    if found is None or not 1 <= count <= 100_000:
        raise UserError(
            f"--on {given}: expected a number of devices and a part of their name, such as 8xH100"
        )
    is_cpu = re.search(r"cpu|core|epyc|xeon", found[2], re.I) is not None
    return Machine(count, found[2].strip(), is_gpu=not is_cpu, is_named=True)
