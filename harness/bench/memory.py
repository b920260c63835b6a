"""Peak memory of one forward and backward pass, beyond that of its layer and inputs."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from lrlc.harness.bench.cases import Case, Setting, forward_backward
from lrlc.harness.bench.resident import status_bytes

RESET = Path("/proc/self/clear_refs")


def peak_bytes(
    cases: Sequence[Case], setting: Setting, device: torch.device, threads: int
) -> list[int | None]:
    """The peak of each case: on a GPU according to its allocator, on Linux the resident memory of a separate process
    (which includes the kernels' own buffers), elsewhere None.
    """
    if device.type == "cuda":
        return [_on_gpu(case, setting, device) for case in cases]
    if not RESET.exists():
        return [None] * len(cases)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lrlc.harness.bench.cases"])  # so that child processes start quickly
    peaks: list[int | None] = []
    for case in cases:
        with ProcessPoolExecutor(1, mp_context=context) as child:
            peaks.append(child.submit(_resident_peak, case, setting, threads).result())
    return peaks


def _on_gpu(case: Case, setting: Setting, device: torch.device) -> int:
    work = forward_backward(case, setting, device)
    work()
    work()  # leaves the gradients of one pass, which the next one drops first
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    work()
    return torch.cuda.max_memory_allocated(device) - before


def _resident_peak(case: Case, setting: Setting, threads: int) -> int | None:
    torch.set_num_threads(threads)
    forward_backward(
        case, Setting(8, setting.channels, setting.size), torch.device("cpu")
    )()  # loads libraries
    work = forward_backward(case, setting, torch.device("cpu"))
    try:
        RESET.write_text("5", "utf-8")  # resets the peak to the current resident size
        before = status_bytes("VmRSS")
        work()
        return status_bytes("VmHWM") - before
    except OSError:
        return None
