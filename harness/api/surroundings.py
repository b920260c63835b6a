"""The surroundings of a run in a caller's process: torch's global settings, and the folder of data sets."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from lrlc.studies.paths import absolute


def data_folder(given: str | Path | None) -> Path | None:
    """The given folder, or by default LRLC_DATA, as with `--data`."""
    named = given if given is not None else os.environ.get("LRLC_DATA") or None
    return None if named is None else absolute(Path(named))


@contextlib.contextmanager
def torch_as_it_was() -> Iterator[None]:
    """Restore the caller's threads, determinism and generators, which a worker in this process changes."""
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    deterministic = torch.get_deterministic_debug_mode()
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = benchmark
