"""The stages of an installed bundle: test the kernels, run benchmarks, run the studies, until the time runs out.

Finished stages are recorded in home/ and not repeated; a study resumes from its tables.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .facts import BundledStudy, BundleError, Facts

HOME = "home"
"""The folder to copy back: tables in results/, measurements in bench/."""

SECONDS_TO_END = 60.0
"""Seconds a command may take to end after it was asked to, before it is killed."""

SPARED = 0.05, 30.0
"""Commands are asked to end before the limit, by this share of it but at most this many seconds."""

BENCHMARKS_SHARE = 0.25
"""Upper bound on the benchmarks' share of the time left after the kernel test."""

TEST = ("kernels", ("-m", "lrlc", "bench", "check"))
AS_GOOD = 0.97

ON_A_GPU = {
    "together": ("-m", "lrlc", "bench", "together", "--dtype", "bfloat16", "--json"),
    "operators": ("-m", "lrlc.harness.bench.gpu", "--no-checks", "--out", f"{HOME}/bench/operators.json"),
    "training": ("-m", "lrlc", "bench", "training", "--dtype", "bfloat16", "--rounds", "5"),
    "layers": ("-m", "lrlc", "bench", "layers", "--rounds", "5", "--dtype", "bfloat16"),
}
ON_A_CPU = {
    "precision": ("-m", "lrlc", "bench", "precision", "--rounds", "3"),
    "training": ("-m", "lrlc", "bench", "training", "--batch", "128", "--rounds", "2"),
    "layers": ("-m", "lrlc", "bench", "layers", "--rounds", "3", "--no-memory"),
}


@dataclass(frozen=True)
class Limit:
    """The time by which everything must have ended, as `time.monotonic` counts."""

    at: float

    @staticmethod
    def of(minutes: float | None) -> "Limit":
        if minutes is None:
            return Limit(float("inf"))
        share, most = SPARED
        return Limit(time.monotonic() + 60 * minutes - min(most, share * 60 * minutes))

    @property
    def left(self) -> float:
        return max(0.0, self.at - time.monotonic())

    def share(self, of: float) -> "Limit":
        return Limit(time.monotonic() + of * self.left)


@dataclass(frozen=True)
class Machine:
    """The bundle's folder, the interpreter of its environment and the variables of its commands."""

    folder: Path
    python: Path
    variables: Mapping[str, str]

    def run(self, words: Sequence[str], limit: Limit, output: Path | None = None) -> int | None:
        """The exit code of the interpreter with these arguments; None if the limit ended it."""
        with open(output or os.devnull, "wb") as file:
            process = subprocess.Popen(
                [str(self.python), *words],
                cwd=self.folder,
                env=dict(self.variables),
                stdout=file if output else None,
                stderr=subprocess.STDOUT if output else None,
            )
            try:
                return process.wait(None if limit.left == float("inf") else limit.left)
            except subprocess.TimeoutExpired:
                _end(process)
                return None
            except BaseException as stop:
                _end(process, asked=isinstance(stop, KeyboardInterrupt))  # Ctrl-C also reaches the command
                raise

    def gpus(self) -> int:
        asked = "import torch; print(torch.cuda.device_count())"
        done = subprocess.run(
            [str(self.python), "-c", asked], env=dict(self.variables), capture_output=True, text=True
        )
        if done.returncode:
            raise BundleError(f"torch does not work here: {done.stderr.strip().splitlines()[-1]}")
        return int(done.stdout)


def machine(folder: Path, python: Path, facts: Facts) -> Machine:
    """Environment variables that make commands write only to the bundle's folder and rows name the bundle's commit."""
    left_out = ("PYTHON", "LRLC_DATA", "LRLC_CACHE", "LRLC_GIT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    caches = {
        "LRLC_CACHE": "",
        "MPLCONFIGDIR": "matplotlib",
        "TRITON_CACHE_DIR": "triton",
        "TORCHINDUCTOR_CACHE_DIR": "inductor",
        "CUDA_CACHE_PATH": "cuda",
    }
    own = {"PYTHONNOUSERSITE": "1", "LRLC_GIT": facts.git}
    own |= {variable: str(folder / "cache" / name) for variable, name in caches.items()}
    return Machine(folder, python, {**kept, **own})


def test_kernels(on: Machine, limit: Limit) -> None:
    """BundleError if a kernel is wrong here, so that nothing is trained with it."""
    name, words = TEST
    if (code := _once(on, name, words, limit)) not in (0, None):
        raise BundleError(
            f"kernels failed their test (exit code {code}), see {HOME}/bench/{name}.log; "
            "--no-tests continues anyway, LRLC_BACKEND=portable runs without them"
        )


def measure(on: Machine, limit: Limit) -> None:
    """Run the benchmarks that have no result yet; one that fails or takes too long is reported and skipped."""
    limit = limit.share(BENCHMARKS_SHARE)
    for name, words in (ON_A_GPU if on.gpus() else ON_A_CPU).items():
        if limit.left and _once(on, name, words, limit) not in (0, None):
            print(f"{name}: failed, see {HOME}/bench/{name}.log", flush=True)


def train(on: Machine, studies: Sequence[BundledStudy], processes: int, limit: Limit) -> int:
    """Run the studies, one after the other; 0 if all have ended, 1 if some trials failed, 3 if the time ran out."""
    codes = []
    for study in studies:
        if not limit.left:
            return 3
        words = ["-m", "lrlc", "run", *study.words, "--results", f"{HOME}/results", "--data", "data"]
        code = on.run([*words, "--processes", str(processes)], limit)
        if code is None:
            return 3
        if code not in (0, 1):
            raise BundleError(f"{study.name}: lrlc run ended with exit code {code}")
        codes.append(code)
    return max(codes)


def slots(on: Machine, asked: int | None) -> int:
    """Simultaneous trials: as requested, else one per core; per GPU, the fastest number measured, else 15.

    With GPUs one core is left to the driver. 15 small networks at once were the fastest on an H100 with 16 cores.
    """
    cores, gpus = os.cpu_count() or 1, on.gpus()
    if asked or not gpus:
        return asked or cores
    return max(1, min(cores - 1, gpus * (_measured_best(on) or 15)))


def _measured_best(on: Machine) -> int | None:
    """The smallest number of processes within a few per cent of the fastest measured."""
    try:
        text = (on.folder / HOME / "bench" / "together.txt").read_text("utf-8")
        told, _ = json.JSONDecoder().raw_decode(text, text.index("{\n"))  # after warnings of libraries
        rates = {int(each["processes"]): float(each["images_per_second"]) for each in told["results"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return min(count for count, rate in rates.items() if rate >= AS_GOOD * max(rates.values()))


def _once(on: Machine, name: str, words: Sequence[str], limit: Limit) -> int | None:
    """The command's exit code, keeping its output if it succeeds; 0 if it already has, None if the time ran out."""
    kept = on.folder / HOME / "bench" / f"{name}.txt"
    if kept.exists():
        return 0
    kept.parent.mkdir(parents=True, exist_ok=True)
    writing = kept.with_suffix(".log")
    print(f"{name}: {' '.join(words[1:])}", flush=True)
    started = time.monotonic()
    code = on.run(words, limit, writing)
    if code == 0:
        writing.rename(kept)
    told = "its time ran out" if code is None else f"{time.monotonic() - started:.0f} s"
    print(f"{name}: {told}", flush=True)
    return code


def _end(process: "subprocess.Popen[bytes]", *, asked: bool = False) -> None:
    """Ask the process to end, unless it already was, which a run does after a commit, and make sure that it does."""
    if not asked:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
