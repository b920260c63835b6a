"""A bundle from its creation to its rows, in a bare Python without a network; `make bundle-test` runs it (minutes)."""

import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from lrlc.harness import provenance
from lrlc.results.store import Store

pytestmark = [pytest.mark.bundle, pytest.mark.timeout(3600)]

STUDY = """
name: bundled
datasets: digits
train_images: 300
plugins: [kinds.py]
grid:
  - kind: conv
  - {kind: [lrlc, bundled_kind], rank: 2, placement: [3]}
seeds: 2
train: {epochs: 2, batch_size: 64}
"""
KINDS = """
from lrlc.layers import LowRankLocallyConnected2d, layer_kind

@layer_kind("bundled_kind", ranked=True)
def bundled_kind(*shape, **geometry):
    return LowRankLocallyConnected2d(*shape, **geometry)
"""
NEEDED_BY_TORCH = (
    "torch", "torchgen", "functorch", "sympy", "mpmath", "networkx", "jinja2", "markupsafe", "fsspec",
    "typing_extensions", "filelock",
)  # fmt: skip
UNSHARE = shutil.which("unshare")


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """A Python that has torch and what torch needs, and lists this lrlc among its packages but cannot import it."""
    packages, there = tmp_path / "only_torch/site-packages", Path(torch.__path__[0]).parent
    packages.mkdir(parents=True)
    for path in there.iterdir():
        if path.name.lower().partition("-")[0].removesuffix(".py") in NEEDED_BY_TORCH:
            (packages / path.name).symlink_to(path)
    editable = packages / f"lrlc_bench-{version('lrlc-bench')}.dist-info"
    editable.mkdir()
    (editable / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: lrlc-bench\nVersion: {version('lrlc-bench')}\n"
    )
    venv.create(tmp_path / "bare", symlinks=True)
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (tmp_path / f"bare/lib/{python}/site-packages/torch.pth").write_text(f"{packages}\n")
    return tmp_path / "bare/bin/python"


def no_network() -> list[str]:
    """The command that starts a program in an empty network namespace."""
    words = [str(UNSHARE), "--net"]
    if UNSHARE is None or subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("no empty network namespace can be had here (unshare --net)")
    return words


def test_a_bundle_runs_without_a_network_resumes_and_is_adopted(bare_python: Path, tmp_path: Path) -> None:
    alone = no_network()
    (tmp_path / "bundled.yaml").write_text(STUDY)
    (tmp_path / "kinds.py").write_text(KINDS)
    out = tmp_path / "bundle"
    asked = ["--out", str(out), "--split", "60MB", "--without-ray", "--without-torch"]
    code = provenance.code()
    lrlc(tmp_path, "bundle", "bundled.yaml", "train.epochs=1", *asked)
    assert max(path.stat().st_size for path in out.iterdir()) <= 60_000_000
    seen = {"PYTHON": str(bare_python), "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*alone, "sh", str(out / "run.sh"), "--processes", "1", "--no-benchmarks", *words],
            env=seen,
            capture_output=True,
            text=True,
        )

    cut_short = run("--minutes", "0.001")  # it installs, and then its time is over
    assert cut_short.returncode == 3, cut_short.stdout + cut_short.stderr
    assert "the time has run out; the same command resumes" in cut_short.stdout
    whole = run()
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert "checks hold" in (out / "home/bench/kernels.txt").read_text()
    again = run()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "6 of 6 trials done" in again.stderr
    assert "installing" not in again.stdout
    assert "kernels" not in again.stdout

    lrlc(tmp_path, "adopt", "bundle", "--results", "runs")
    rows = Store(tmp_path / "runs/bundled").trials()
    assert set(rows["status"]) == {"finished"}, rows["error"].tolist()
    assert set(rows["git_commit"]) == {code.git_commit}
    assert set(rows["git_dirty"]) == {code.git_dirty}
    planned = lrlc(tmp_path, "plan", "bundled.yaml", "train.epochs=1", "--results", "runs", "--no-probe")
    assert "6 trials in the grid, 6 done, 0 missing" in planned


def lrlc(folder: Path, *words: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LRLC_DATA")}
    done = subprocess.run(
        [sys.executable, "-m", "lrlc", *words], cwd=folder, env=kept, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
