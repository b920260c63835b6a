"""Jobs on a real `ray start --head` cluster with token authentication on; one cluster for all tests."""

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.own_modules import write_own_modules

from lrlc.harness.cluster.runtime_env import read_runtime_env
from lrlc.harness.cluster.shipped import not_files
from lrlc.harness.cluster.submit import Order, on_nodes, refuse_secrets, shipped_path
from lrlc.harness.errors import UserError
from lrlc.harness.plugins import Plugin
from lrlc.results.store import Store

Lrlc = Callable[..., subprocess.CompletedProcess[str]]

RAY = Path(sys.executable).with_name("ray")
pytestmark = pytest.mark.xdist_group("submit")  # one cluster for all of them

PORTS = ("--port", "--dashboard-port", "--dashboard-agent-listen-port", "--ray-client-server-port")


def free_ports(count: int) -> list[int]:
    """Free ports, above those of Ray's workers and below those that systems assign at random."""
    free: list[int] = []
    for port in random.sample(range(20001, 30000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            free.append(port)
    return free[:count]


@pytest.fixture(scope="session")
def ports(environment: dict[str, str]) -> Iterator[dict[str, int]]:
    """The ports of a head node on loopback with a fresh token, which is always ended, leaving others alone."""
    asked = {**environment, "RAY_AUTH_MODE": "token"}
    subprocess.run([RAY, "get-auth-token", "--generate"], env=asked, check=True, capture_output=True)
    folder = tempfile.mkdtemp(prefix="lrlc-", dir="/tmp")  # Ray's sockets need a short path
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    options = [f"{name}={port}" for name, port in ports.items()]
    options += ["--num-cpus=2", "--disable-usage-stats", f"--temp-dir={folder}"]
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
    yield ports
    head.terminate()  # ray ends what it started
    head.stdout.close()
    head.wait(timeout=60)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def on_cluster(ports: dict[str, int], lrlc: Lrlc) -> Lrlc:
    """`lrlc` with the cluster's address in its environment."""
    address = {"RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{ports['--dashboard-port']}"}

    def run(*words: object, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        return lrlc(*words, code=code, **{**address, **variables})

    return run


def wait_for_rows(store: Store, count: int) -> None:
    deadline = time.monotonic() + 240
    while sum(store.counts().values()) < count:
        assert time.monotonic() < deadline, f"{store.counts()} after 240 s"
        time.sleep(0.2)


OWN_KIND = """
from lrlc.layers import LowRankLocallyConnected2d, layer_kind

layer_kind("own", ranked=True)(LowRankLocallyConnected2d)
"""


def test_a_followed_job_shows_its_log_and_ends_in_a_table_beside_modules_with_our_packages_names(
    on_cluster: Lrlc, tiny_study: Path, tmp_path: Path
) -> None:
    write_own_modules(tmp_path)
    (tmp_path / "own_kind.py").write_text(OWN_KIND)
    named = tiny_study.read_text().replace("kind: lrlc", "kind: own")
    tiny_study.write_text(f"{named}plugins: [own_kind.py]\n")
    asked, cache = tmp_path / "nodes.yaml", tmp_path / "cache-of-the-job"
    asked.write_text(f"env_vars: {{LRLC_CACHE: {cache}, OMP_NUM_THREADS: 1}}")
    words = ["seeds=1", "--max-in-flight=1", "--runtime-env", asked, "--follow"]
    sent = on_cluster("submit", tiny_study, *words, "--results", tmp_path / "out")
    assert list(cache.glob("digits-*"))
    job_id = sent.stdout.splitlines()[0]
    assert "3 finished" in sent.stdout
    assert sent.stderr.strip().splitlines()[-1] == f"{job_id}: succeeded"
    assert sorted(Store(tmp_path / "out/tiny").trials()["kind"]) == ["conv", "own", "own"]
    (listed,) = [job for job in json.loads(on_cluster("jobs", "--json").stdout) if job["id"] == job_id]
    assert (listed["study"], listed["status"]) == ("tiny", "succeeded")
    assert listed["duration_seconds"] > 1


def test_a_stopped_job_keeps_its_rows_and_submitting_again_resumes(
    on_cluster: Lrlc, tiny_study: Path, tmp_path: Path
) -> None:
    job = ["submit", tiny_study, "name=halted", "seeds=200", "--max-in-flight=1"]
    job += ["--results", tmp_path / "out"]
    store = Store(tmp_path / "out/halted")
    first = json.loads(on_cluster(*job, "--json").stdout)
    assert not first["attached"]
    second = json.loads(on_cluster(*job, "--json").stdout)
    assert (second["job"], second["attached"]) == (first["job"], True)
    wait_for_rows(store, 1)
    assert f"{first['job']}: stopped" in on_cluster("stop", "halted").stderr
    kept = set(store.trials()["trial_id"])
    assert kept
    assert "stopped; finished trials are kept" in on_cluster("logs", "halted").stdout
    third = json.loads(on_cluster(*job, "--json").stdout)
    assert third["job"] == f"{first['job']}-2"
    wait_for_rows(store, len(kept) + 1)
    on_cluster("stop", third["job"])
    assert kept < set(store.trials()["trial_id"])


def test_a_job_that_fails_gives_exit_code_1_and_an_unknown_one_2(
    on_cluster: Lrlc, tiny_study: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("no folder")
    failed = on_cluster("submit", tiny_study, "--results", tmp_path / "taken", "--follow", code=1)
    assert "failed" in failed.stderr.strip().splitlines()[-1]
    unknown = on_cluster("stop", "tny", code=2)
    assert unknown.stderr == "lrlc: tny: no such job or study on the cluster; did you mean 'tiny'?\n"


@pytest.mark.parametrize("token", [None, "0" * 64])
def test_a_missing_or_wrong_token_is_reported_in_one_line_with_the_fix(
    token: str | None, on_cluster: Lrlc, tmp_path: Path
) -> None:
    given = {"RAY_AUTH_TOKEN": token} if token else {}
    done = on_cluster("jobs", HOME=str(tmp_path), code=2, **given)
    (line,) = done.stderr.splitlines()
    assert "ray get-auth-token" in line
    assert ("RAY_AUTH_TOKEN;" in line) == (token is not None)


def test_no_cluster_is_one_line(lrlc: Lrlc) -> None:
    (line,) = lrlc("jobs", "--address", "http://127.0.0.1:9", code=2).stderr.splitlines()
    assert "no Ray dashboard answered there" in line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("envvars: {A: b}", "envvars: unknown key; did you mean 'env_vars'?"),
        ("env_vars: [A]", "runtime_env['env_vars'] must be of type Dict[str, str], got <class 'list'>"),
        ("py_modules: here", "py_modules: expected a list of texts, got 'here'"),
        ("excludes: {a: b}", "excludes: expected a list of texts, got {'a': 'b'}"),
        ("pip: 3", "runtime_env['pip'] must be of type str or List[str], got <class 'int'>"),
        (
            "pip: [",
            "not YAML: line 1, column 7: expected the node content, but found '<stream end>'; "
            "expected a YAML mapping such as {pip: [...], env_vars: {...}}",
        ),
        ("", "expected a YAML mapping such as {pip: [...], env_vars: {...}}"),
    ],
)
def test_a_wrong_runtime_environment_is_one_line(text: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "nodes.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        read_runtime_env(tmp_path / "nodes.yaml")
    assert str(caught.value) == f"--runtime-env {tmp_path}/nodes.yaml: {line}"


def test_a_missing_runtime_environment_is_reported_before_connecting(lrlc: Lrlc, tiny_study: Path) -> None:
    words = ["--results", "/runs", "--address", "127.0.0.1:9", "--runtime-env", "nodes.yaml"]
    said = lrlc("submit", tiny_study, *words, code=2).stderr
    assert said == "lrlc: --runtime-env nodes.yaml: No such file or directory\n"


def test_the_order_of_overrides_does_not_change_a_jobs_name() -> None:
    def name(*overrides: str, results: str = "/runs", slots: int | None = None) -> str:
        return Order("tiny", "tiny", overrides, None, results, None, slots).job_id

    assert name("seeds=1", "train.epochs=2") == name("train.epochs=2", "seeds=1", slots=4)
    assert len({name(), name("seeds=1"), name("seeds=1", "seeds=2"), name(results="s3://bucket/runs")}) == 4


def test_a_jobs_command_names_its_trackers() -> None:
    log = ("tensorboard:/shared/tb", "wandb:spatial")
    order = Order("tiny.yaml", "tiny", (), None, "/runs", None, None, log)
    assert order.words[-4:] == ["--log", "tensorboard:/shared/tb", "--log", "wandb:spatial"]
    assert order.job_id == Order("tiny.yaml", "tiny", (), None, "/runs", None, None).job_id


@pytest.mark.parametrize("place", ["s3://bucket/runs", "file:///shared/runs", "/shared/runs"])
def test_places_on_the_cluster_are_passed_on_unchanged(place: str) -> None:
    assert on_nodes(place, "/data", "http://head:8265") == (place, "/data")


@pytest.mark.parametrize(("results", "data"), [(None, None), ("runs", None), ("/runs", "data")])
def test_a_place_that_would_be_lost_is_refused(results: str | None, data: str | None) -> None:
    with pytest.raises(UserError, match="temporary folder" if results else "name a folder"):
        on_nodes(results, data, "http://head:8265")


def test_a_study_or_plugin_outside_the_shipped_folder_is_refused(tiny_study: Path, tmp_path: Path) -> None:
    inside, outside = Plugin(str(tmp_path / "p.py"), ""), Plugin("/elsewhere/p.py", "")
    assert shipped_path(str(tiny_study), [inside], tmp_path) == "tiny.yaml"
    with pytest.raises(UserError, match=r"/elsewhere/p\.py lies outside"):
        shipped_path(str(tiny_study), [outside], tmp_path)
    with pytest.raises(UserError, match=r"tiny\.yaml lies outside"):
        shipped_path(str(tiny_study), [], tmp_path / "studies")


@pytest.mark.parametrize("pattern", ["private/", "*.yaml", "p.py"])
def test_ignored_files_are_refused_before_anything_is_sent(pattern: str, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    study, plugin = tmp_path / "private" / "s.yaml", tmp_path / "private" / "p.py"
    study.write_text("name: s")
    plugin.write_text("")
    plugins = [Plugin(str(plugin), "")]
    assert shipped_path(str(study), plugins, tmp_path) == "private/s.yaml"
    (tmp_path / ".gitignore").write_text(pattern)
    with pytest.raises(
        UserError, match=r"private/(s\.yaml|p\.py): \.gitignore, \.rayignore or `excludes` keeps it"
    ):
        shipped_path(str(study), plugins, tmp_path)


def test_a_study_in_a_folder_that_is_never_sent_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "s.yaml").write_text("name: s")
    with pytest.raises(UserError, match="keeps it from being sent"):
        shipped_path(str(tmp_path / "runs" / "s.yaml"), [], tmp_path)


def test_a_pipe_is_not_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "a pipe")
    (tmp_path / "file").write_text("")
    assert not_files(tmp_path, []) == ["/a\\ pipe"]
    assert capsys.readouterr().err == f"not sent: 1 pipe or socket in {tmp_path}, a pipe first\n"
    assert not_files(tmp_path, ["/a\\ pipe"]) == []


def test_a_password_is_not_put_into_a_jobs_command() -> None:
    refuse_secrets(["train.epochs=2", "search.storage=postgresql://me@h/x"])
    with pytest.raises(
        UserError, match=r"^search\.storage=postgresql://me:\*\*\*@h/x: the password would stand"
    ):
        refuse_secrets(["search.storage=postgresql://me:hunter2@h/x"])


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("wandb", "--log wandb: say where: tensorboard:FOLDER, mlflow:URI or wandb:PROJECT"),
        ("tensorflow:tb", "--log tensorflow:tb: unknown tracker 'tensorflow'; did you mean 'tensorboard'?"),
        ("tensorboard:tb", "--log tensorboard:tb: a relative path would lie in the job's temporary folder"),
        ("mlflow:sqlite:///runs.db", "--log mlflow:sqlite:///runs.db: a relative path would lie in"),
        (
            "mlflow:http://me:hunter2@h",
            "mlflow:http://me:***@h: the password would stand in the job's command",
        ),
    ],
)
def test_a_tracker_that_the_job_could_not_use_is_refused_before_anything_is_sent(
    target: str, line: str, lrlc: Lrlc, tiny_study: Path
) -> None:
    words = ["--results", "/runs", "--address", "127.0.0.1:9", "--log", target]
    said = lrlc("submit", tiny_study, *words, code=2).stderr
    assert said.startswith(f"lrlc: {line}")
    assert said.count("\n") == 1


def test_a_dashboard_on_this_machine_is_reached_past_a_proxy(lrlc: Lrlc) -> None:
    proxy = "http://me:hunter2@127.0.0.1:9"
    here = lrlc("jobs", "--address", "127.0.0.1:7", code=2, http_proxy=proxy).stderr
    assert "proxy" not in here
    there = lrlc("jobs", "--address", "ray.invalid:8265", code=2, http_proxy=proxy).stderr
    assert "(through the proxy http://me:***@127.0.0.1:9, set in http_proxy; no_proxy=ray.invalid" in there
