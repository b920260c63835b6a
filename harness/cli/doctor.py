"""Checks of what a run needs from this machine."""

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from lrlc.harness import provenance
from lrlc.harness.bench.precision import TYPICAL, measure_precision, seconds_of_a_step
from lrlc.harness.cluster import ray_setup
from lrlc.harness.data import describe_datasets
from lrlc.harness.data.cache import cache_dir

PRECISION_SECONDS, IMAGE, BATCH = 2.0, 16, 64
WORTH_IT = 1.15
"""The speed-up of bfloat16 over float32 from which it is worth its rounding errors."""


@dataclass(frozen=True)
class Finding:
    """`ok` is False if something is missing, `blocking` is True if no trial can run without it."""

    what: str
    found: str
    ok: bool = True
    blocking: bool = False

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def examine(data_dir: Path | None) -> list[Finding]:
    """Check packages, devices, Ray, data, cache and disk."""
    return [
        _python(),
        *_packages(),
        _device(),
        _compiler(),
        _precision(),
        _ray(),
        _token(),
        *_data(data_dir),
        _cache(),
        _disk(),
        _code(),
    ]


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    return Finding("python", sys.version.split()[0] + ("" if ok else "; 3.11 or newer is needed"), ok, not ok)


def _packages() -> list[Finding]:
    names = ["torch", "optuna", "pandas", "pyarrow", "seaborn"]
    return [Finding(name, importlib.metadata.version(name)) for name in names]


def _device() -> Finding:
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Finding("device", ", ".join(names))
    return Finding("device", f"{provenance.cpu_name()}, no GPU: trials train in float32 on the CPU")


def _compiler() -> Finding:
    found = next((path for path in map(shutil.which, ("c++", "g++", "clang++")) if path), None)
    if found is None:
        return Finding(
            "compiler",
            "no C++ compiler: CPU layers use the portable path, which is about twice as slow",
            ok=False,
        )
    return Finding("compiler", found)


def _precision() -> Finding:
    """Which precision trains faster, according to two seconds of training a typical network on one thread."""
    if torch.cuda.is_available():
        return Finding("precision", "bfloat16 on the GPU, which train.precision: auto chooses")
    device, threads = torch.device("cpu"), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        seconds = seconds_of_a_step(TYPICAL, IMAGE, BATCH, device)
        rounds = max(3, int(PRECISION_SECONDS / (2 * seconds)))
        (gain,) = measure_precision([TYPICAL], [IMAGE], BATCH, rounds, device)
    finally:
        torch.set_num_threads(threads)
    return Finding("precision", advised(gain.ratio.ratio))


def advised(gain: float) -> str:
    """Which precision to set if bfloat16 trains at `gain` times the speed of float32."""
    advice = "leave train.precision at auto, which is float32 here"
    if gain >= WORTH_IT:
        advice = "set train.precision to bfloat16 to use it"
    return f"bfloat16 trains at {gain:.2f} times the speed of float32 now; {advice}"


def _ray() -> Finding:
    if importlib.util.find_spec("ray") is None:
        return Finding(
            "ray", "not installed: pip install 'lrlc-bench[ray]', or run with --processes N", ok=False
        )
    return Finding("ray", importlib.metadata.version("ray"))


def _token() -> Finding:
    if ray_setup.token_source():
        return Finding("ray token", "found")
    return Finding("ray token", "none; only needed to join or submit to a cluster that requires one")


def _data(data_dir: Path | None) -> list[Finding]:
    if data_dir is None:
        return [Finding("data", "no folder given (--data or LRLC_DATA); only digits can be used", ok=False)]
    if not data_dir.is_dir():
        return [Finding("data", f"{data_dir} is not a folder", ok=False)]
    here = [entry.name for entry in describe_datasets(data_dir) if entry.present]
    return [Finding("data", f"{data_dir}: {', '.join(here)}", bool(here))]


def _cache() -> Finding:
    folder = cache_dir()
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    writable = os.access(nearest, os.W_OK)
    return Finding(
        "cache",
        f"{folder}" + ("" if writable else " is not writable; set LRLC_CACHE"),
        writable,
        not writable,
    )


def _disk() -> Finding:
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    return Finding("disk", f"{free_gb:.0f} GB free here", ok=free_gb > 1)


def _code() -> Finding:
    code = provenance.code()
    if code.git_commit is None:
        return Finding("code", "not a git checkout: rows will only have the package version")
    return Finding("code", code.git_commit[:12] + (" with uncommitted changes" if code.git_dirty else ""))
