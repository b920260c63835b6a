"""A Ray started by a run: on loopback only, with a token that is in no file, for any TMPDIR."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import command_of

from lrlc.harness.cluster import ray_setup
from lrlc.harness.errors import UserError
from lrlc.harness.run.ray_watch import LAST_WORD

VARIABLES = (
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
    "RAY_AUTH_MODE",
    "RAY_TMPDIR",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
    "RAY_enable_metrics_collection",
    "RAY_USAGE_STATS_ENABLED",
    *ray_setup.KEEPALIVE,
)

LISTENING = """
import os
from pathlib import Path
from lrlc.harness.cluster import ray_setup
ray_setup.prepare(joins_cluster=False)
from lrlc.harness.run.ray_cluster import connect
connect("local")
mine = {str(os.getpid())}
parents = {p.parent.name: p.read_text().rpartition(")")[2].split()[1] for p in Path("/proc").glob("[0-9]*/stat")}
while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
    mine |= more
sockets = set()
for pid in mine:
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(os.readlink(handle).removeprefix("socket:[").rstrip("]"))
        except OSError:
            pass
for table in ("tcp", "tcp6"):
    for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in sockets:
            print(fields[1].partition(":")[0])
print(*mine - {str(os.getpid())}, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variables of Ray, and a separate home folder; what the test sets is restored."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that monkeypatch restores what `prepare` sets
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_listens_on_loopback_alone_and_leaves_neither_token_nor_process_behind(
    environment: dict[str, str], tmp_path: Path
) -> None:
    deep = tmp_path / "slurm_job_1234567.interactive" / "node-0123456789" / "user_temporary_files"
    deep.mkdir(parents=True)
    there = {"HOME": str(tmp_path), "TMPDIR": str(deep)}
    done = subprocess.run(
        [sys.executable, "-c", LISTENING],
        env={**environment, **there},
        capture_output=True,
        text=True,
        check=False,
    )
    *addresses, processes = done.stdout.splitlines()
    assert addresses
    assert set(addresses) <= {"0100007F", "0000000000000000FFFF00000100007F"}
    assert not (tmp_path / ".ray").exists()
    # If killed, it leaves no Ray process, and the last line is ours.
    assert done.returncode == -signal.SIGKILL
    assert done.stderr.splitlines()[-1] == LAST_WORD
    assert len(processes.split()) > 5
    assert not [command for pid in processes.split() if (command := command_of(int(pid)))]


def test_a_token_readable_by_others_becomes_private(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".ray").mkdir()
    token = tmp_path / ".ray" / "auth_token"
    token.write_text("a" * 64)
    token.chmod(0o644)
    ray_setup.prepare(joins_cluster=True)
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert capsys.readouterr().err == f"others could read the Ray token in {token}; now only you can\n"
    ray_setup.prepare(joins_cluster=True)
    assert capsys.readouterr().err == ""


def test_a_token_is_made_for_our_own_ray_but_not_for_a_cluster() -> None:
    ray_setup.prepare(joins_cluster=True)
    assert "RAY_AUTH_TOKEN" not in os.environ
    ray_setup.prepare(joins_cluster=False)
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64


def test_a_temporary_folder_too_long_for_sockets_is_replaced_unless_set_for_ray(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/tmp/" + "long" * 20)
    ray_setup.prepare(joins_cluster=False)
    assert os.environ["RAY_TMPDIR"] == "/tmp"
    monkeypatch.setenv("RAY_TMPDIR", "/scratch/" + "long" * 20)
    with pytest.raises(UserError, match=r"^RAY_TMPDIR /scratch/.*: too long for the paths of Ray's sockets"):
        ray_setup.prepare(joins_cluster=False)
