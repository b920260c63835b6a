"""Compile the C++ kernels on first use, for this machine's processor, and keep them in a cache.

The library's name contains a hash of its source, the compiler and the processor's features, so machines that
share a cache each use their own library. It is compiled to a private name and then renamed, so any number of
processes may do so at once. Without a working compiler `library()` is None, and one log line says what to
install.
"""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from lrlc.layers.cache import cache_dir

SOURCE = Path(__file__).with_name("cpp") / "local_filters.cpp"
FLAGS = ("-std=c++17", "-O3", "-fno-math-errno", "-fPIC", "-shared", "-pthread")
FOR_THIS_PROCESSOR = (("-march=native",), ("-mcpu=native",), ())
"""Compiler flags to try in turn: x86, Arm, any."""

log = logging.getLogger("layers")


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None if they are not available."""
    compiler = _compiler()
    if compiler is None:
        log.warning("no C++ compiler (set CXX, or install g++): layers use their slower portable kernels")
        return None
    try:
        found = _cache() / f"local_filters-{_key(compiler)}.so"
        if not found.exists():
            _compile(compiler, found)
        return ctypes.CDLL(str(found))
    except (OSError, subprocess.SubprocessError) as problem:
        log.warning(
            "C++ kernels not usable (%s): layers use their slower portable kernels", _in_line(problem)
        )
        return None


def _compiler() -> str | None:
    given = os.environ.get("CXX")
    names = [given] if given else ["g++", "clang++", "c++"]
    return next((path for name in names if name and (path := shutil.which(name))), None)


def _cache() -> Path:
    folder = cache_dir() / "kernels"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _key(compiler: str) -> str:
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    sources = [path.read_text("utf-8") for path in (SOURCE, *sorted(SOURCE.parent.glob("*.h")))]
    parts = (*sources, compiler, version, " ".join(FLAGS), platform.machine(), _features())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@functools.cache
def processor_name() -> str:
    """A name that processors with the same features share."""
    return f"cpu {hashlib.sha256(_features().encode()).hexdigest()[:8]}"


def _features() -> str:
    """The processor's features: its flags on Linux, else its name."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.lower().startswith(("flags", "features"))), "")


def _compile(compiler: str, to: Path) -> None:
    started = time.perf_counter()
    handle, private = tempfile.mkstemp(dir=to.parent, suffix=".part")
    os.close(handle)
    try:
        for native in FOR_THIS_PROCESSOR:
            command = [compiler, *FLAGS, *native, str(SOURCE), "-o", private]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode == 0:
                break
        else:
            raise OSError(f"{compiler}: {done.stderr.strip().splitlines()[:1]}")
        os.replace(private, to)
    finally:
        Path(private).unlink(missing_ok=True)
    log.info(
        "compiled the C++ kernels in %.0f s with %s, into %s", time.perf_counter() - started, compiler, to
    )


def _in_line(problem: Exception) -> str:
    return str(problem).splitlines()[0] if str(problem) else type(problem).__name__
