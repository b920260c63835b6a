"""What a notebook's process lends to a run, and gets back: torch's global settings, and the folder of data sets."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from lrlc.studies.paths import absolute


def data_folder(given: str | Path | None) -> Path | None:
    """As `--data` does: the folder given, else the one that LRLC_DATA names."""
    named = given if given is not None else os.environ.get("LRLC_DATA") or None
    return None if named is None else absolute(Path(named))


@contextlib.contextmanager
def torch_as_it_was() -> Iterator[None]:
    """A worker in this process sets threads and determinism for all of it; afterwards they are the caller's again."""
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    deterministic = torch.get_deterministic_debug_mode()
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = benchmark
