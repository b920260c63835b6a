"""Submitting to a real `ray start --head` cluster with token authentication on."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from results.store import Store

RAY = Path(sys.executable).with_name("ray")
PORTS = {
    "--port": 26379,
    "--dashboard-port": 28265,
    "--ray-client-server-port": 20001,
}  # outside Ray's workers' range


@pytest.fixture
def cluster(environment: dict[str, str]) -> Iterator[str]:
    """A head node on loopback with a fresh token; ended again whatever happens, other clusters left alone."""
    asked = {**environment, "RAY_AUTH_MODE": "token"}
    subprocess.run([RAY, "get-auth-token", "--generate"], env=asked, check=True, capture_output=True)
    options = [f"{name}={port}" for name, port in PORTS.items()] + ["--num-cpus=2", "--disable-usage-stats"]
    head = subprocess.Popen(
        [RAY, "start", "--head", "--block", *options],
        env=asked,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert head.stdout is not None
    said: list[str] = []
    for line in head.stdout:
        said.append(line)
        if "Ray runtime started" in line:
            break
    else:
        raise AssertionError("".join(said))
    yield f"http://127.0.0.1:{PORTS['--dashboard-port']}"
    head.terminate()  # ray ends what it started
    head.stdout.close()
    head.wait(timeout=60)


def test_a_study_is_submitted_attached_to_and_ends_in_a_table(
    cluster: str,
    lrlc: Callable[..., subprocess.CompletedProcess[str]],
    tiny_study: Path,
    tmp_path: Path,
    environment: dict[str, str],
) -> None:
    job = ["submit", tiny_study, "seeds=1", "--address", cluster, "--working-dir", tmp_path]
    job += ["--results", tmp_path / "out", "--json"]
    first = json.loads(lrlc(*job).stdout)
    assert not first["attached"]
    second = json.loads(lrlc(*job).stdout)
    assert second["job"] == first["job"]
    asked = {**environment, "RAY_AUTH_MODE": "token"}
    logs = [RAY, "job", "logs", first["job"], "-f", "--address", cluster]
    said = subprocess.run(logs, env=asked, capture_output=True, text=True, check=False, timeout=240)
    deadline = time.monotonic() + 60
    while not (tmp_path / "out/tiny/trials").is_dir() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert Store(tmp_path / "out/tiny").counts() == {"finished": 3}, said.stdout + said.stderr


def test_a_missing_token_is_one_line_that_says_how_to_get_it(
    cluster: str,
    lrlc: Callable[..., subprocess.CompletedProcess[str]],
    tiny_study: Path,
    tmp_path: Path,
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = lrlc(
        "submit", tiny_study, "--address", cluster, "--working-dir", tmp_path, HOME=str(elsewhere), code=2
    )
    assert "ray get-auth-token" in done.stderr.strip().splitlines()[-1]


def test_no_cluster_is_one_line(
    lrlc: Callable[..., subprocess.CompletedProcess[str]], tiny_study: Path, tmp_path: Path
) -> None:
    done = lrlc("submit", tiny_study, "--address", "http://127.0.0.1:9", "--working-dir", tmp_path, code=2)
    assert "no Ray dashboard answered there" in done.stderr.strip().splitlines()[-1]
