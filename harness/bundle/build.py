"""Writing a bundle: a folder that installs and runs studies on a machine without a network."""

import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

import lrlc
from lrlc.harness import provenance
from lrlc.harness.bundle import bundled_studies, there, wheels
from lrlc.harness.bundle.bundled_studies import AskedStudy
from lrlc.harness.bundle.there import parts
from lrlc.harness.bundle.there.facts import Facts
from lrlc.harness.bundle.wheels import Target
from lrlc.harness.data import pack_dataset
from lrlc.harness.errors import UserError
from lrlc.harness.plan.planning import studied_datasets
from lrlc.harness.text import say

DATA = "data"
SCRIPT = "run.sh"
CONTENTS = (wheels.FOLDER, DATA, bundled_studies.FOLDER)
"""The folders of a bundle whose files are cut into parts."""


def write_bundle(
    out: Path, studies: Sequence[AskedStudy], target: Target, data: Path | None, part_bytes: int | None
) -> Facts:
    """Write the bundle to `out`, which appears only when complete; in parts of at most `part_bytes` if that is given.

    UserError, with nothing left behind, if `out` already exists or something is not available.
    """
    if out.exists():
        raise UserError(f"--out {out}: already exists; name a new folder, or delete this one")
    hidden = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.part")
    hidden.mkdir(parents=True)
    try:
        facts = _fill(hidden, studies, target, data, part_bytes)
        hidden.rename(out)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return facts


def size(folder: Path) -> int:
    """Total bytes of all files in the folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _fill(
    folder: Path, studies: Sequence[AskedStudy], target: Target, data: Path | None, part_bytes: int | None
) -> Facts:
    (folder / DATA).mkdir()
    for spec in studied_datasets(*(study.opened for study in studies)):
        say(f"data: {spec.title}")
        pack_dataset(spec, data, folder / DATA)
    copied = tuple(bundled_studies.copy_into(folder, study) for study in studies)
    say(f"wheels: for Python {target.python} on {target.platform}")
    wheels.fill(folder / wheels.FOLDER, target)
    (own,) = (folder / wheels.FOLDER).glob("lrlc_bench-*.whl")
    torch, files = wheels.oldest_torch(own), parts.checksums(folder, CONTENTS)
    pieces = _cut(folder, part_bytes) if part_bytes else []
    facts = Facts(
        version=lrlc.__version__,
        git=provenance.code().as_variable(),
        platform=target.platform,
        python=target.python,
        torch=torch,
        brings_torch=target.torch,
        studies=copied,
        files=files,
        parts={name: parts.checksum(folder / name) for name in pieces},
    )
    facts.write(folder)
    _copy_script(folder, target)
    return facts


def _cut(folder: Path, part_bytes: int) -> list[str]:
    names = parts.cut(folder, CONTENTS, part_bytes)
    for name in CONTENTS:
        shutil.rmtree(folder / name)
    return names


def _copy_script(folder: Path, target: Target) -> None:
    source = Path(there.__path__[0])
    (folder / "there").mkdir()
    for path in source.glob("*.py"):
        shutil.copyfile(path, folder / "there" / path.name)
    script = folder / SCRIPT
    script.write_text((source / SCRIPT).read_text("utf-8").replace("PYTHON_VERSION", target.python), "utf-8")
    script.chmod(0o755)
