"""The wheels: their contents, and that they work beside a user's modules with our packages' names."""

import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from email import message_from_string
from pathlib import Path

import pytest
from support.own_modules import write_own_modules

from lrlc.results.store import Store

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("harness", "layers", "results", "studies")
LEFT_OUT = ("results/reference", "results/unfinished", "layers/pyproject.toml", "layers/README.md")

pytestmark = [pytest.mark.proof, pytest.mark.xdist_group("wheels")]  # built once for all of them

STUDY = """
name: own
datasets: digits
train_images: 100
plugins: [kinds.py]
grid:
  - {kind: conv}
  - {kind: [lrlc, from_the_wheel], rank: 2, placement: [3]}
train: {epochs: 1, batch_size: 50}
"""

KINDS = """
import os
import lrlc.layers
from lrlc.layers import LowRankLocallyConnected2d, layer_kind

@layer_kind("from_the_wheel", ranked=True)
def from_the_wheel(*shape, **geometry):
    if not lrlc.layers.__file__.startswith(os.environ["SITE"]):
        raise RuntimeError(f"trained with {lrlc.layers.__file__}")
    return LowRankLocallyConnected2d(*shape, **geometry)
"""

COMMANDS = """
import importlib, json, os, sys
import lrlc
from lrlc.harness.cli.app import main
from lrlc.layers import LowRankLocallyConnected2d

assert all(importlib.import_module(name).OWN for name in ("harness", "layers", "results", "studies"))
for words in json.loads(sys.argv[1]):
    sys.argv = ["lrlc", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code
assert lrlc.__file__.startswith(os.environ["SITE"])
"""


@dataclass(frozen=True)
class Built:
    """The distributions built from this checkout, and one built from the sdist."""

    sdist: Path
    wheel: Path
    layers_wheel: Path
    wheel_of_sdist: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    tools, out = tmp_path_factory.mktemp("hatchling"), tmp_path_factory.mktemp("dist")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    installed = subprocess.run(
        [*pip, "install", "--quiet", "--target", str(tools), "hatchling>=1.27"],
        capture_output=True,
        text=True,
    )
    if installed.returncode:
        pytest.skip(f"no hatchling to build with: {installed.stderr.strip().splitlines()[-1]}")

    def build(what: str, source: Path, folder: str) -> Path:
        words = ["hatchling", "build", "--target", what, "--directory", str(out / folder)]
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=source,
            env={"PYTHONPATH": str(tools)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        (file,) = (out / folder).iterdir()
        return file

    sdist = build("sdist", ROOT, "sdist")
    again = out / "of_sdist"
    found = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*found, "--wheel-dir", str(again), str(sdist)],
        env={"PYTHONPATH": str(tools)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return Built(
        sdist, build("wheel", ROOT, "wheel"), build("wheel", ROOT / "layers", "layers"), *again.iterdir()
    )


def contents(wheel: Path) -> dict[str, bytes]:
    """Every file of a wheel, except those about its build."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}


def unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)


def metadata(wheel: Path) -> dict[str, list[str]]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        fields = message_from_string(archive.read(name).decode())
    return {key: fields.get_all(key, []) for key in ("Name", "Requires-Dist")}


def shipped(*packages: str) -> set[str]:
    """The files of this checkout that a wheel of these packages must have."""
    files = {
        path.relative_to(ROOT)
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    left_out = {path for path in files if any(path.is_relative_to(part) for part in LEFT_OUT)}
    return {f"lrlc/{path}" for path in files - left_out}


def test_the_wheel_puts_lrlc_beside_other_packages_and_nothing_else(built: Built) -> None:
    names = contents(built.wheel).keys()
    assert {name.split("/")[0] for name in names} == {"lrlc"}
    assert set(names) == shipped(*PACKAGES) | {"lrlc/__init__.py", "lrlc/__main__.py", "lrlc/py.typed"}


def test_a_wheel_of_the_sdist_is_the_same(built: Built) -> None:
    assert contents(built.wheel_of_sdist) == contents(built.wheel)
    assert metadata(built.wheel_of_sdist) == metadata(built.wheel)


def test_the_wheel_of_the_layers_has_only_them_and_needs_only_torch(built: Built) -> None:
    files = contents(built.layers_wheel)
    own = {"lrlc/__init__.py", "lrlc/py.typed", "lrlc/layers/LICENSE"}
    assert set(files) == shipped("layers") | own
    whole = contents(built.wheel)
    assert all(files[name] == whole[name] for name in files.keys() & whole.keys())
    (needed,) = metadata(built.layers_wheel)["Requires-Dist"]
    assert needed.startswith("torch>=")


def test_the_layers_work_without_the_rest(
    built: Built, own_folder: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    unpack(built.layers_wheel, tmp_path / "layers_only")
    code = """
import importlib.util, layers, lrlc.layers, torch
layer = lrlc.layers.LowRankLocallyConnected2d(3, 5, kernel_size=3, input_size=(6, 6), rank=2, padding=1)
print(lrlc.layers.__file__, layer(torch.ones(2, 3, 6, 6)).shape[1], importlib.util.find_spec("lrlc.harness"))
"""
    done = python(["-c", code], own_folder, {**environment, "PYTHONPATH": str(tmp_path / "layers_only")})
    assert done.stdout.split() == [str(tmp_path / "layers_only/lrlc/layers/__init__.py"), "5", "None"]


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """A folder in which a user's own modules have the names of our packages."""
    folder = tmp_path / "own"
    write_own_modules(folder)
    (folder / "own.yaml").write_text(STUDY)
    (folder / "kinds.py").write_text(KINDS)
    return folder


def python(words: list[str], folder: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


def test_commands_work_where_own_modules_have_our_packages_names(
    built: Built, own_folder: Path, environment: dict[str, str]
) -> None:
    site = own_folder.parent / "site"
    unpack(built.wheel, site)
    commands = [
        ["run", "own.yaml", "seeds=1", "--serial"],
        ["plot", "own", "--format", "png", "--only", "differences"],
        ["run", "own.yaml", "seeds=2", "--max-in-flight", "2"],  # on Ray
        ["report", "own"],
    ]
    python(
        ["-c", COMMANDS, json.dumps(commands)],
        own_folder,
        {**environment, "PYTHONPATH": str(site), "SITE": str(site)},
    )
    rows = Store(own_folder / "runs/own").trials()
    assert set(rows["status"]) == {"finished"}, rows["error"].tolist()
    kinds = {seed: sorted(of_seed["kind"]) for seed, of_seed in rows.groupby("seed")}
    expected = ["conv", "from_the_wheel", "lrlc"]
    assert kinds == {0: expected, 1: expected}
    assert (own_folder / "runs/own/figures/differences.png").exists()
    assert "from_the_wheel" in (own_folder / "runs/own/report.html").read_text()
