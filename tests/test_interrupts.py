"""Stopping and watching a run, with real processes and long trials."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from support.commands import RunningCommand
from support.results_samples import START, result

from lrlc.harness.cli.interrupts import ECHO_SECONDS
from lrlc.harness.cli.watch import look
from lrlc.results.schema import TrialStatus
from lrlc.results.store import Store

Lrlc = Callable[..., subprocess.CompletedProcess[str]]

LONG_STUDY = """
name: long
plugins: [slow.py]
datasets: digits
train_images: 300
network: three_layer
grid: {kind: KIND}
seeds: 1
train: {epochs: 1, batch_size: 64, learning_rate: 0.05}
"""

SLOW_PLUGIN = """
import sys, time
import torch
from torch import nn
from lrlc.layers import layer_kind

class Slow(nn.Conv2d):
    def forward(self, x):
        if torch.is_grad_enabled() and not x.is_meta:  # in training, not where its FLOPs are counted
            self.wait()
        return super().forward(x)

    def wait(self):
        print("slow", file=sys.stderr, flush=True)
        time.sleep(600)

class Stubborn(Slow):
    def wait(self):
        try:
            super().wait()
        except KeyboardInterrupt:
            super().wait()

def build(cls):
    return lambda a, b, k, *, input_size, stride=1, padding=0, bias=True: cls(a, b, k, stride, padding, bias=bias)

layer_kind("slow")(build(Slow))
layer_kind("stubborn")(build(Stubborn))
"""


def running(folder: Path, environment: dict[str, str], kind: str, *words: str) -> RunningCommand:
    """A run whose only trial, of this kind, takes ten minutes."""
    (folder / "long.yaml").write_text(LONG_STUDY.replace("KIND", kind))
    (folder / "slow.py").write_text(SLOW_PLUGIN)
    return RunningCommand(["run", "long.yaml", *words], folder, environment)


def read_until(process: RunningCommand, text: str) -> str:
    """The output of the process up to the line with `text`."""
    said = []
    for line in process.stderr:
        said.append(line)
        if text in line:
            return "".join(said)
    raise AssertionError("".join(said))


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_ends_a_long_trial_cleanly(
    sent: signal.Signals, code: int, tmp_path: Path, environment: dict[str, str]
) -> None:
    with running(tmp_path, environment, "slow", "--serial") as process:
        read_until(process, "slow")
        process.send_signal(sent)
        _, said = process.communicate()
    assert process.returncode == code
    assert "stopping: finished trials are committed" in said
    assert said.splitlines()[-1] == "stopped; finished trials are kept, the same command resumes"
    assert "Traceback" not in said


def test_one_ctrl_c_ends_a_run_on_ray_cleanly(tmp_path: Path, environment: dict[str, str]) -> None:
    with running(tmp_path, environment, "slow") as process:
        read_until(process, "1 running")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said.splitlines()[-1] == "stopped; finished trials are kept, the same command resumes"


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path, environment: dict[str, str]) -> None:
    with running(tmp_path, environment, "stubborn", "--serial") as process:
        read_until(process, "slow")
        process.send_signal(signal.SIGINT)
        read_until(process, "slow")  # it was stopped, but continues
        time.sleep(2 * ECHO_SECONDS)  # a person is not faster
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said == "stopped immediately; rows committed so far are kept\n"


def test_a_second_ctrl_c_ends_a_run_on_ray_at_once(tmp_path: Path, environment: dict[str, str]) -> None:
    with running(tmp_path, environment, "slow") as process:
        read_until(process, "1 running")
        process.send_signal(signal.SIGINT)
        read_until(process, "stopping")
        time.sleep(2 * ECHO_SECONDS)
        process.send_signal(signal.SIGINT)  # the driver, or Ray behind it, is still about to end
        _, said = process.communicate()
    assert process.returncode == 130
    assert said.splitlines()[-1] == "stopped immediately; rows committed so far are kept"
    assert "Traceback" not in said


def test_plain_lines_name_the_trials_that_diverge_or_fail(lrlc: Lrlc, tiny_study: Path) -> None:
    said = lrlc("run", tiny_study, "--serial", "train.learning_rate=1e6", "grid={kind: conv}").stderr
    for seed in (0, 1):
        assert f"diverged: digits conv seed {seed}, in epoch 1" in said


def test_watching_ends_by_itself_when_nothing_is_missing(
    lrlc: Lrlc, tiny_study: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    watching = RunningCommand(["status", tiny_study, "--watch", "0.2"], tmp_path, environment)
    assert watching.stdout.readline() == "0 done\n"  # it waits for a study that has no tables yet
    lrlc("run", tiny_study, "--serial")
    shown, said = watching.communicate()
    assert watching.returncode == 0, said
    assert [line for line in shown.splitlines() if "6 finished" in line][-2:] == [
        "6/6 trials, 6 finished, 0 missing",
        "runs/tiny: 6 finished, 0 missing",
    ]


def test_watching_tables_without_a_plan_ends_too(lrlc: Lrlc, tmp_path: Path) -> None:
    Store(tmp_path / "runs/s").commit([result()])
    assert "1 done, 1 finished" in lrlc("status", "s", "--watch", "0.2").stdout


def test_ctrl_c_ends_watching_in_a_terminal_quietly(
    tiny_study: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    ours, theirs = pty.openpty()
    watching = subprocess.Popen(
        [sys.executable, "-m", "lrlc", "status", str(tiny_study), "--watch"],
        cwd=tmp_path,
        env={**environment, "TERM": "xterm"},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = os.read(ours, 4096)
    while b"0 done" not in shown:
        shown += os.read(ours, 4096)
    watching.send_signal(signal.SIGINT)
    assert watching.wait(timeout=30) == 0
    with contextlib.suppress(OSError):  # the terminal is gone with the last process in it
        while rest := os.read(ours, 4096):
            shown += rest
    os.close(ours)
    assert b"Traceback" not in shown
    assert b"Aborted" not in shown


def test_the_watched_rate_is_that_of_the_last_minutes(tmp_path: Path) -> None:
    store, hours = Store(tmp_path), timedelta(hours=1)
    now = START + 10 * hours
    old = [result(f"old{n}", started_at=START, ended_at=START + hours) for n in range(50)]
    store.commit(old)
    store.write_plan(None, [f"{age}{n}" for age in ("old", "new") for n in range(50)])
    assert look(store, now).line == "50/100 trials, 50 finished, 50 missing"
    new = [result(f"new{n}", ended_at=now - timedelta(seconds=n)) for n in range(9)]
    failed = result("new9", ended_at=now, status=TrialStatus.FAILED, error="Traceback\nValueError: too wide")
    store.commit([*new, failed])
    view = look(store, now)
    assert view.line == "60/100 trials, 59 finished, 1 failed, 40 missing, 2.0/min, 20 min left"
    assert view.last_error == "ValueError: too wide"
