"""What tests share: the command line as a user calls it, a small study on real digits, the data folder."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

TINY_STUDY = """
name: tiny
title: A small study on real digits
datasets: digits
train_images: 300
network: three_layer
grid:
  - kind: conv
  - kind: lrlc
    rank: [1, 2]
    placement: [3]
seeds: 2
train: {epochs: 2, batch_size: 64, learning_rate: 0.05}
"""


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a command: one cache for the whole test run, one thread, no token."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "LRLC_"))}
    cache = str(tmp_path_factory.mktemp("cache"))
    return {
        **kept,
        "HOME": str(home),
        "LRLC_CACHE": cache,
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture
def lrlc(environment: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `lrlc WORDS...` in a fresh folder; the exit code is the test's to check."""

    def run(*words: object, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "harness.cli", *map(str, words)],
            cwd=tmp_path,
            env={**environment, **variables},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def tiny_study(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY_STUDY)
    return path


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets that LRLC_DATA names; tests that need it skip where it is not set."""
    folder = os.environ.get("LRLC_DATA")
    if not folder:
        pytest.skip("LRLC_DATA names no data folder")
    return Path(folder)


@pytest.fixture
def cluster(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head node without anything to train on; its processes have the environment of the tests' commands."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster  # Ray reads its variables once, when it is imported

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0})
    yield made
    made.shutdown()
