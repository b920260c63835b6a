"""The wheels of a bundle: lrlc's own, and pinned ones of its dependencies, for another machine's Python."""

import importlib.metadata
import importlib.util
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from lrlc.harness.bundle.own_wheel import PACKAGE, checkout, last_error, make_wheel
from lrlc.harness.bundle.there.install import MACHINES, PINS
from lrlc.harness.errors import UserError
from lrlc.studies.errors import nearest

FOLDER = "wheels"
OLDEST_PYTHON = (3, 11)

NEWEST_GLIBC = 28
"""Wheels for glibc 2.28 and older run on every Linux from 2019 on."""

OF_TORCH = ("torch", "torchvision")
"""Packages that must match: if torch comes from the other machine, so does torchvision."""

STAND_IN = "+elsewhere"
"""The local version of empty placeholder wheels: pip then leaves out dependencies that only they need."""


@dataclass(frozen=True)
class Target:
    """The machine that a bundle is for, and what it includes."""

    platform: str
    python: str
    torch: bool = True
    extras: tuple[str, ...] = ()
    """Extras of lrlc: ray, and those that the studies need."""

    def __post_init__(self) -> None:
        if self.platform not in MACHINES:
            raise UserError(f"--platform {self.platform}: unknown; {nearest(self.platform, MACHINES)}")
        found = re.fullmatch(r"(\d+)\.(\d+)", self.python)
        if found is None or (int(found[1]), int(found[2])) < OLDEST_PYTHON:
            raise UserError(f"--python {self.python}: expected a version such as 3.12, from 3.11 on")

    @property
    def pip_words(self) -> list[str]:
        """Options that make pip choose wheels for that machine instead of this one."""
        machine = self.platform.partition("-")[2]
        tags = [f"manylinux_2_{minor}_{machine}" for minor in range(NEWEST_GLIBC, 4, -1)]
        tags += [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")] + [f"linux_{machine}"]
        words = ["--only-binary=:all:", "--implementation", "cp", "--python-version", self.python]
        return words + [word for tag in tags for word in ("--platform", tag)]


def this_machine() -> str:
    """This machine's platform, or the most common one if it is not supported."""
    here = (platform.system(), platform.machine())
    return next((name for name, machine in MACHINES.items() if machine == here), "linux-x86_64")


def fill(folder: Path, target: Target) -> None:
    """Write all wheels, and pins.txt with their versions, to the new `folder`.

    UserError if pip is missing here or finds no wheel for the target.
    """
    if importlib.util.find_spec("pip") is None:
        raise UserError(
            f"{sys.executable} has no pip, which fetches the wheels: python -m ensurepip installs it"
        )
    folder.mkdir()
    own = make_wheel(folder)
    extras = f"[{','.join(target.extras)}]" if target.extras else ""
    with tempfile.TemporaryDirectory() as temporary:
        constraints = Path(temporary) / "constraints.txt"
        pins = known_versions()
        words = [f"{own}{extras}", "pip"]
        if not target.torch:
            words += ["--find-links", temporary]
            for name in OF_TORCH:
                pins[name] = f"{pins.get(name, '1').partition('+')[0]}{STAND_IN}"
                _stand_in(Path(temporary), name, pins[name])
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
        _download(folder, [*words, "--constraint", str(constraints), *target.pip_words])
    for wheel in folder.glob(f"*{STAND_IN}-*.whl"):
        wheel.unlink()
    found = [parse_wheel_filename(path.name) for path in sorted(folder.glob("*.whl"))]
    (folder / PINS).write_text("".join(f"{name}=={version}\n" for name, version, *_ in found), "utf-8")


def known_versions() -> dict[str, str]:
    """The version of every package: as pinned in the checkout's constraints.txt, else as installed here."""
    top = checkout()
    installed: dict[str, str] = {
        canonicalize_name(each.name): each.version.partition("+")[0]
        for each in importlib.metadata.distributions()
        if canonicalize_name(each.name) != PACKAGE
    }
    if top is None:
        return installed
    lines = (top / "constraints.txt").read_text("utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {"pip": installed["pip"], **pinned}


def oldest_torch(own: Path) -> str:
    """The minimum version of torch that our wheel needs."""
    with zipfile.ZipFile(own) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    needed = [Requirement(line.partition(": ")[2]) for line in lines if line.startswith("Requires-Dist: ")]
    (torch,) = (each for each in needed if each.name == "torch")
    return next(each.version for each in torch.specifier if each.operator == ">=")


def _stand_in(folder: Path, name: str, version: str) -> None:
    """Write an empty wheel."""
    place = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{place}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{place}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{place}/RECORD", "")


def _download(folder: Path, words: list[str]) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    done = subprocess.run([*pip, "--dest", str(folder), *words], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"the bundle's wheels are not available: {last_error(done.stderr)}")
