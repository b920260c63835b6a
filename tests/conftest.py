"""Shared fixtures: the command line as a user calls it, a small study on real digits, the data folder."""

import gc
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from pyarrow import fs
from support.commands import run_command

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

# As trials, which `lrlc run` gives one thread a core: other sums come out of several.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The suite uses the same examples each time; `make fuzz` draws new ones, and keeps those that fail.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.register_profile("fuzz", deadline=None, print_blob=True)
settings.load_profile("suite")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`make fuzz` has a time limit; tests that have not started by then are skipped."""
    if time.time() > float(os.environ.get("LRLC_FUZZ_UNTIL", "inf")):
        pytest.skip("the time of make fuzz is over")


# If a shell starts the suite in the background, it and its children ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

S3_KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests that run commands first, as they take longest."""
    items.sort(key=lambda item: "environment" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One cache for the whole test run, not the user's, so that compiling and decoding happen once."""
    here = tmp_path_factory.getbasetemp()
    shared = here.parent if "PYTEST_XDIST_WORKER" in os.environ else here
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRLC_CACHE", str(shared / "cache"))
        yield str(shared / "cache")


@pytest.fixture(scope="session")
def environment(cache: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a command: the tests' cache, one thread, no token."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "LRLC_"))}
    return {
        **kept,
        **S3_KEYS,
        "HOME": str(home),
        "LRLC_CACHE": cache,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # with Ray's default, 15, its workers would starve beside the other tests
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture
def lrlc(environment: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `lrlc WORDS...` in a fresh folder; the test must check the exit code."""

    def run(*words: object, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        done = run_command(words, tmp_path, {**environment, **variables})
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
    """The folder of real data sets in LRLC_DATA; tests that need it are skipped if it is not set."""
    folder = os.environ.get("LRLC_DATA")
    if not folder:
        pytest.skip("LRLC_DATA names no data folder")
    return Path(folder)


@pytest.fixture(scope="session")
def head(environment: dict[str, str]) -> Iterator[Any]:
    """A head node without resources for training, shared by all tests on clusters."""
    with pytest.MonkeyPatch.context() as patch:
        _as_in_a_command(patch, environment)
        from ray.cluster_utils import Cluster  # Ray only reads its variables when it is imported

        # Its agent uses any free port, so that another cluster can run on this machine.
        alone = {"dashboard_agent_listen_port": None, "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0, **alone})
    yield made
    made.shutdown()
    del made
    gc.collect()  # Ray leaves log files open; the tests that use this fixture ignore the warnings


@pytest.fixture
def cluster(head: Any, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The head node, to add nodes to; their processes have the environment of the tests' commands."""
    _as_in_a_command(monkeypatch, environment)
    yield head
    for node in list(head.worker_nodes):
        head.remove_node(node)
    head.wait_for_nodes(
        timeout=60
    )  # a run that starts while they still seem to exist would count on their GPUs


def _as_in_a_command(patch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        patch.delenv(name)
    for name, value in environment.items():
        patch.setenv(name, value)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A real S3 server on a port of this machine, with a bucket `results` and keys in the environment.

    It is a separate program, which `make test` installs, as botocore and our pins disagree on python-dateutil.
    """
    program = os.environ.get("LRLC_MOTO_SERVER") or shutil.which("moto_server")
    if program is None:
        pytest.skip("no moto_server on the PATH, nor named by LRLC_MOTO_SERVER")
    os.environ |= S3_KEYS
    with subprocess.Popen(
        [program, "-H", "127.0.0.1", "-p", "0"], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        (endpoint,) = next(
            found for line in server.stderr if (found := re.findall(r"http://127[0-9.:]+", line))
        )
        threading.Thread(target=server.stderr.read, daemon=True).start()  # it writes a line per request
        s3 = fs.S3FileSystem(endpoint_override=endpoint, region="us-east-1", allow_bucket_creation=True)
        s3.create_dir("results")
        yield endpoint
        server.kill()


@pytest.fixture(params=["local", "s3"])
def runs(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty location for results: a local folder, and a prefix in a bucket."""
    if request.param == "local":
        return str(tmp_path / "runs")
    endpoint = request.getfixturevalue("s3_endpoint")
    return f"s3://results/{uuid.uuid4()}?region=us-east-1&endpoint_override={endpoint}"
