"""One driver per study: a second is refused, a dead one frees its lease, one that slept too long stops writing."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from support.results_samples import result

from lrlc.harness.run import lease
from lrlc.harness.run.lease import Holder, Lease, running_driver
from lrlc.results.errors import StoreError
from lrlc.results.files import Location, locate
from lrlc.results.schema import SCHEMAS
from lrlc.results.store import Store

HOLD = """
import sys
from lrlc.harness.run import lease
from lrlc.results.errors import StoreError
from lrlc.results.files import locate
from lrlc.results.store import Store
from support.results_samples import result
root = locate(sys.argv[1])
lease.HEARTBEAT_SECONDS, lease.EXPIRES_SECONDS, lease.SURE_SECONDS = map(float, sys.argv[2:])
try:
    with lease.Lease(root) as held:
        store = Store(root, before_writing=held.check)
        print("holds", flush=True)
        for line in sys.stdin:
            store.commit([result(line.strip())])
            print("committed", flush=True)
except StoreError as error:
    print(error, flush=True)
    sys.exit(2)
"""

REMOVING = """
import shutil
from lrlc.harness.measuring import metric

@metric("removing")
def removing(evaluated):
    shutil.rmtree("runs/tiny", ignore_errors=True)
    return 0.0
"""


@pytest.fixture
def root(runs: str) -> Location:
    return locate(runs) / "tiny"


@pytest.fixture
def uri(runs: str) -> str:
    """`root` as text for another process."""
    folder, _, options = runs.partition("?")
    return f"{folder}/tiny" + (f"?{options}" if options else "")


def hold(uri: str, *seconds: float) -> subprocess.Popen[str]:
    """Another driver, which commits a trial for every line it reads."""
    here = Path(__file__).parent
    times = seconds or (lease.HEARTBEAT_SECONDS, lease.EXPIRES_SECONDS, lease.SURE_SECONDS)
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HOLD, uri, *map(str, times)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{here}:{here.parent}"},
    )
    assert said(process) == "holds"
    return process


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str], trial_id: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{trial_id}\n")
    process.stdin.flush()


def leave_lease(root: Location, holder: Holder) -> None:
    text = json.dumps(asdict(holder)).encode()
    (root / "lease" / "1-left.json").replace(lambda file: file.write(text))


def test_a_second_driver_is_refused_and_writes_nothing(root: Location) -> None:
    with Lease(root):
        files = (root / "lease").names("")
        with (
            pytest.raises(StoreError, match=f"process {os.getpid()} on .*since .*heartbeat") as refused,
            Lease(root),
        ):
            raise AssertionError("two drivers at once")
        assert "\n" not in str(refused.value)
        assert (root / "lease").names("") == files
        assert running_driver(root) is not None
    assert running_driver(root) is None
    with Lease(root) as again:
        again.check()


def test_a_killed_driver_is_replaced_at_once(root: Location, uri: str) -> None:
    driver = hold(uri)
    held = running_driver(root)
    assert held is not None
    assert held.holder.pid == driver.pid
    driver.kill()
    driver.communicate()
    assert running_driver(root) is None
    with Lease(root):
        assert len((root / "lease").names("")) == 1


@pytest.mark.skipif(not Path("/proc").exists(), reason="processes are told apart by /proc")
def test_another_process_with_the_same_number_does_not_hold_a_dead_drivers_lease(tmp_path: Path) -> None:
    root, me = locate(tmp_path), Holder.this_process()
    leave_lease(root, me)
    assert running_driver(root) is not None
    leave_lease(root, replace(me, process_started="1"))
    assert running_driver(root) is None


def test_a_driver_elsewhere_is_dead_once_its_heartbeat_is_old(
    root: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_lease(root, replace(Holder.this_process(), host="node7", machine="another boot", pid=1))
    with pytest.raises(StoreError, match="process 1 on node7"), Lease(root):
        raise AssertionError("two drivers at once")
    monkeypatch.setattr(lease, "EXPIRES_SECONDS", 0.5)
    while running_driver(root) is not None:
        time.sleep(0.1)
    with Lease(root):
        assert len((root / "lease").names("")) == 1


@pytest.mark.parametrize("hours", [-2, 2])
def test_ages_use_the_storages_clock_and_not_this_machines(
    root: Location, hours: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_lease(root, replace(Holder.this_process(), host="node7", machine="another boot", pid=1))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * hours)
    held = running_driver(root)
    assert held is not None
    assert 0 <= held.heartbeat_age_seconds < 30
    monkeypatch.setattr(lease, "EXPIRES_SECONDS", 0.0)
    assert running_driver(root) is None
    with Lease(root):
        assert len((root / "lease").names("")) == 1
    assert (root / "lease").names("") == []


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b'{"host": 1, "since": 2}', b"[" * 100_000])
def test_a_damaged_lease_belongs_to_nobody_and_stays(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = locate(tmp_path)
    (root / "lease" / "1-left.json").replace(lambda file: file.write(content))
    assert running_driver(root) is None
    with Lease(root):
        pass
    assert (root / "lease" / "1-left.json").read() == content
    assert [each.partition("json: ")[0] for each in caplog.messages] == [
        f"damaged and left out: {tmp_path}/lease/1-left."
    ]


def test_a_driver_that_was_stopped_while_another_took_over_writes_no_more(
    root: Location, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {"HEARTBEAT_SECONDS": 0.5, "EXPIRES_SECONDS": 6.0, "SURE_SECONDS": 3.0}
    for name, seconds in times.items():
        monkeypatch.setattr(lease, name, seconds)
    sleeper = hold(uri, *times.values())
    tell(sleeper, "before")
    assert said(sleeper) == "committed"
    sleeper.send_signal(signal.SIGSTOP)
    while running_driver(root) is not None:
        time.sleep(0.1)
    with Lease(root) as held:
        store = Store(root, before_writing=held.check)
        store.commit([result("by the other")])
        sleeper.send_signal(signal.SIGCONT)
        tell(sleeper, "after")
        line = said(sleeper)
        assert f"lost its lease to process {os.getpid()} on " in line
        sleeper.communicate()
        assert sleeper.returncode == 2
        store.commit([result("still by the other")])
    assert list(store.trials()["trial_id"]) == ["before", "by the other", "still by the other"]
    for table in SCHEMAS:
        assert len((root / table).names(".parquet")) == 3


def test_a_driver_stopped_for_long_continues_if_nobody_took_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "EXPIRES_SECONDS", 1.0)
    driver = hold(str(tmp_path), 0.2, 1.0, 0.5)
    driver.send_signal(signal.SIGSTOP)
    while running_driver(locate(tmp_path)) is not None:
        time.sleep(0.05)
    driver.send_signal(signal.SIGCONT)
    tell(driver, "after")
    assert said(driver) == "committed"
    driver.communicate()
    assert driver.returncode == 0
    assert (locate(tmp_path) / "lease").names("") == []


def test_only_one_of_many_drivers_started_at_once_holds_the_study(root: Location) -> None:
    start, alone = threading.Barrier(6), threading.Lock()
    held, refused, together = [], [], []

    def drive() -> None:
        start.wait()
        try:
            with Lease(root):
                if not alone.acquire(blocking=False):
                    together.append(root)
                    return
                held.append(root)
                time.sleep(0.2)
                alone.release()
        except StoreError as error:
            refused.append(str(error))

    drivers = [threading.Thread(target=drive) for _ in range(6)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    assert not together
    assert held
    assert len(held) + len(refused) == 6
    assert [line for line in refused if "another driver runs this study" not in line] == []
    assert (root / "lease").names("") == []


def test_the_command_line_refuses_a_second_run_and_status_names_the_first(
    lrlc: Callable[..., subprocess.CompletedProcess[str]], tiny_study: Path, tmp_path: Path
) -> None:
    with Lease(locate(tmp_path / "runs/tiny")):
        before = sorted(tmp_path.rglob("*"))
        (line,) = lrlc("run", tiny_study, "--serial", code=2).stderr.splitlines()
        assert f"runs/tiny: another driver runs this study: process {os.getpid()} on " in line
        assert sorted(tmp_path.rglob("*")) == before
        status = json.loads(lrlc("status", tiny_study, "--json").stdout)
        assert status["driver"]["pid"] == os.getpid()
    assert "no driver is running" in lrlc("status", tiny_study).stdout


def test_a_run_whose_folder_is_removed_ends_in_a_line_and_does_not_write_it_again(
    lrlc: Callable[..., subprocess.CompletedProcess[str]], tiny_study: Path, tmp_path: Path
) -> None:
    (tmp_path / "removing.py").write_text(REMOVING)
    words = ["plugins=[removing.py]", "measure.metrics=[removing]"]
    said = lrlc("run", tiny_study, "--serial", *words, code=2).stderr
    assert said.splitlines()[-1] == (
        "lrlc: runs/tiny: the folder was removed or moved meanwhile; nothing more is written"
    )
    assert "Traceback" not in said
    assert not (tmp_path / "runs/tiny").exists()
