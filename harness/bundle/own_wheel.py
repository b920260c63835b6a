"""The wheel of the running lrlc: built from its checkout, or repacked from its installed files."""

import base64
import hashlib
import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path

import lrlc
from lrlc.harness.errors import UserError

PACKAGE = "lrlc-bench"


def checkout() -> Path | None:
    """The checkout that this lrlc is imported from; None for an installed one."""
    top = Path(lrlc.__path__[0]).resolve().parent
    return top if (top / "pyproject.toml").is_file() and (top / "harness").is_dir() else None


def make_wheel(out: Path) -> Path:
    """Write the wheel into `out`; returns its path."""
    top = checkout()
    return _packed(importlib.metadata.distribution(PACKAGE), out) if top is None else _built(top, out)


def _built(top: Path, out: Path) -> Path:
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(top)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{top}: the wheel cannot be built: {last_error(done.stderr)}")
    (wheel,) = out.glob("lrlc_bench-*.whl")
    return wheel


def _packed(installed: importlib.metadata.Distribution, out: Path) -> Path:
    """A wheel of the files recorded by the installed distribution, without those added by its installation."""
    records, name = [], f"lrlc_bench-{installed.version}"
    path = out / f"{name}-py3-none-any.whl"
    added = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for file in installed.files or ():
            if file.parts[0] == ".." or "__pycache__" in file.parts or file.name in added:
                continue
            content = Path(str(file.locate())).read_bytes()
            wheel.writestr(file.as_posix(), content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            records.append(f"{file.as_posix()},sha256={digest},{len(content)}")
        record = f"{name}.dist-info/RECORD"
        wheel.writestr(record, "\n".join([*records, f"{record},,", ""]))
    return path


def last_error(told: str) -> str:
    """The last error line of pip's output."""
    lines = [line for line in told.strip().splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["pip failed without a message"])[-1]
