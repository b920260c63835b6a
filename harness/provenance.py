"""The provenance of a row: commit, package versions, host and device."""

import functools
import importlib.metadata
import json
import os
import platform
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

RECORDED_PACKAGES = (
    "lrlc-bench",
    "torch",
    "ray",
    "optuna",
    "numpy",
    "pandas",
    "pyarrow",
    "torchvision",
    "timm",
)


@dataclass(frozen=True)
class Code:
    """The commit of the checkout the trials run from; None outside a git checkout."""

    git_commit: str | None
    git_dirty: bool | None

    def as_variable(self) -> str:
        """The value of LRLC_GIT for a copy of this code that runs elsewhere."""
        return f"{self.git_commit or ''}:{'dirty' if self.git_dirty else 'clean'}"


def _git(*arguments: str) -> str | None:
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@functools.cache
def code() -> Code:
    """Commit and dirty flag of the running harness, or those the submitter recorded for a shipped copy.

    A Ray job runs from an uploaded copy without .git, a bundle from a wheel; both get the commit in LRLC_GIT.
    """
    if shipped := os.environ.get("LRLC_GIT"):
        shipped_commit, _, state = shipped.partition(":")
        return Code(shipped_commit or None, state == "dirty" if shipped_commit else None)
    tracked = _git("ls-files", "--error-unmatch", Path(__file__).name)
    if not tracked:  # installed somewhere inside another project's checkout
        return Code(None, None)
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return Code(commit, None if changes is None else bool(changes))


@functools.cache
def versions() -> str:
    """Versions of Python and the recorded packages as JSON text."""
    found: dict[str, str] = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return json.dumps(found, sort_keys=True)


def gather() -> None:
    """Look up and cache what every row contains; git and the versions take 20 ms of CPU time."""
    code()
    versions()


def host() -> str:
    return socket.gethostname()


@functools.cache
def cpu_name() -> str:
    """The processor's model name, for example 'AMD EPYC (2 cores)'."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{name} ({os.cpu_count()} cores)"
