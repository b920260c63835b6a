"""The bundle's own virtual environment, installed from its wheels without using an index."""

import os
import platform
import re
import subprocess
import sys
import venv
from pathlib import Path

from .facts import BundleError, Facts

MACHINES = {"linux-x86_64": ("Linux", "x86_64"), "linux-aarch64": ("Linux", "aarch64")}
PINS = "pins.txt"
"""The file beside the wheels with a line name==version for each."""

LOCAL = "system.pth"
"""The file that adds the folders of this machine's packages after the environment's own."""


def check_machine(facts: Facts) -> None:
    """BundleError unless this machine and Python are those that the bundle was made for."""
    here = (platform.system(), platform.machine())
    if here != MACHINES[facts.platform]:
        raise BundleError(f"this is {' '.join(here)}, the bundle is for {facts.platform}; make one for this")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version != facts.python:
        raise BundleError(
            f"{sys.executable} is Python {version}, the bundle is for {facts.python}; name one with PYTHON=, or "
            f"make a bundle with --python {version}"
        )


def environment(folder: Path, facts: Facts, torch: str) -> Path:
    """The interpreter of the bundle's environment, which is created if needed; `torch` is system or bundled."""
    place, done = folder / "venv", folder / "venv" / "installed"
    python = place / "bin" / "python"
    wanted = f"{sys.executable} {torch} {facts.version} {facts.git}"
    if done.is_file() and done.read_text("utf-8") == wanted:
        return python
    shared = _packages_with_torch(facts) if torch == "system" else []
    print(f"installing into {place}, with the torch of {torch}", flush=True)
    venv.create(place, clear=True, with_pip=False, symlinks=True)
    if shared:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        (place / "lib" / version / "site-packages" / LOCAL).write_text("\n".join(shared) + "\n", "utf-8")
    _install(folder, python)
    done.write_text(wanted, "utf-8")
    return python


def chosen_torch(facts: Facts, asked: str | None) -> str:
    """Where torch comes from: as requested, else from the bundle if it includes one."""
    if asked == "bundled" and not facts.brings_torch:
        raise BundleError(
            "--torch bundled: this bundle does not include torch; leave the option out, or make a bundle with torch"
        )
    return asked or ("bundled" if facts.brings_torch else "system")


def _install(folder: Path, python: Path) -> None:
    """Install exactly the bundle's wheels with the bundled pip, as a Debian python3 has none.

    Dependencies were resolved when the wheels were fetched; those of this machine's torch are not checked.
    """
    wheels = folder / "wheels"
    (pip,) = wheels.glob("pip-*.whl")
    words = [str(python), f"{pip}/pip", "install", "--no-index", "--find-links", str(wheels), "--no-deps"]
    # A package beside this machine's torch may be listed without being importable here, such as an editable lrlc.
    words += ["--ignore-installed", "--requirement", str(wheels / PINS)]
    words += ["--no-cache-dir", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run(words, env=_without_pip_settings(), stderr=subprocess.PIPE)
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        errors = [line for line in told if line.startswith("ERROR")] or told
        raise BundleError(
            f"the bundle's wheels cannot be installed: {errors[-1] if errors else 'pip failed'}"
        )


def _without_pip_settings() -> dict[str, str]:
    """The environment variables, without those that redirect pip or add other packages."""
    left_out = ("PIP_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PYTHONNOUSERSITE": "1"}


def _packages_with_torch(facts: Facts) -> list[str]:
    """This Python's package folders, one of which has torch; BundleError if none has a suitable one."""
    asked = "import torch; print(torch.__version__)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)
    if done.returncode:
        raise BundleError(
            f"{sys.executable} has no torch, nor has this bundle: name a Python that has it with PYTHON=, or "
            "make a bundle with torch"
        )
    found = done.stdout.strip()
    if _numbers(found) < _numbers(facts.torch):
        raise BundleError(f"{sys.executable} has torch {found}; {facts.torch} or newer is needed")
    return [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])[:3]))
