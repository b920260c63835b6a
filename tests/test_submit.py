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
DASHBOARD = 18265


@pytest.fixture
def cluster(environment: dict[str, str]) -> Iterator[str]:
    """A head node on loopback with a fresh token; stopped again whatever happens."""
    ask = {**environment, "RAY_TMPDIR": "/tmp"}
    subprocess.run([RAY, "get-auth-token", "--generate"], env=ask, check=True, capture_output=True)
    start = ["start", "--head", "--port=16379", f"--dashboard-port={DASHBOARD}", "--num-cpus=2"]
    subprocess.run(
        [RAY, *start, "--disable-usage-stats"],
        env={**ask, "RAY_AUTH_MODE": "token"},
        check=True,
        capture_output=True,
    )
    yield f"http://127.0.0.1:{DASHBOARD}"
    subprocess.run([RAY, "stop", "--force"], env=ask, check=True, capture_output=True)


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
