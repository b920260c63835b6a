"""Trials in processes of this machine: the numbers of a serial run, even if processes are killed or stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import RunningCommand
from support.processes import rows, start, wait_for_rows

Run = Callable[..., subprocess.CompletedProcess[str]]

SLOW = """
import multiprocessing
import time
import torch
from lrlc.layers import layer_kind


class Slow(torch.nn.Conv2d):
    def forward(self, x):
        in_a_worker = multiprocessing.current_process().name.startswith("Spawn")
        if in_a_worker and torch.is_grad_enabled() and not x.is_meta:
            time.sleep(0.1)
        return super().forward(x)


@layer_kind("slow")
def slow(in_channels, out_channels, kernel_size, **geometry):
    return Slow(in_channels, out_channels, kernel_size)
"""
"""A plugin: a convolution whose training waits in a separate process, so that there is a trial to kill."""


def with_slow(study: Path) -> Path:
    (study.parent / "slow.py").write_text(SLOW)
    study.write_text(study.read_text().replace("name: tiny", "name: tiny\nplugins: [slow.py]"))
    return study


def workers_of(process: RunningCommand) -> list[int]:
    """The processes that train for a run."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.proof
def test_a_killed_process_costs_an_attempt_and_the_numbers_are_those_of_a_serial_run(
    lrlc: Run, tiny_study: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    root, study = tmp_path / "runs/tiny", with_slow(tiny_study)
    words = ["grid=[{kind: slow, placement: 1}, {kind: lrlc, rank: 2}]", "seeds=4"]
    process = start(study, environment, "--processes", "2", *words)
    wait_for_rows(root, 1, process)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == 0, said
    found = rows(root)
    assert list(found["status"]) == ["finished"] * 8
    assert sorted(found["attempts"]) == [1] * 7 + [2]
    lrlc("run", study, "--serial", "--results", "serial", *words)
    columns = ["status", "test_accuracy", "test_loss", "train_loss"]
    assert rows(tmp_path / "serial/tiny")[columns].equals(found[columns])


def test_a_hung_trial_ends_at_its_time_limit_and_the_others_continue(
    tiny_study: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    plugin = SLOW.replace("time.sleep(0.1)", "time.sleep(10_000)")
    study = with_slow(tiny_study)
    (study.parent / "slow.py").write_text(plugin)
    words = ["grid={kind: [slow, conv], placement: 1}", "seeds=1", "resources.time_limit_minutes=0.3"]
    process = start(study, environment, "--processes", "1", *words)
    _, said = process.communicate()
    assert process.returncode == 1, said  # a trial failed
    assert dict(rows(tmp_path / "runs/tiny").set_index("kind")["status"]) == {
        "slow": "timed_out",
        "conv": "finished",
    }


def test_ctrl_c_keeps_finished_trials_and_leaves_no_process(
    tiny_study: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    root = tmp_path / "runs/tiny"
    process = start(
        with_slow(tiny_study), environment, "--processes", "1", "grid={kind: slow, placement: 1}", "seeds=6"
    )
    wait_for_rows(root, 1, process)
    workers = workers_of(process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert 1 <= len(rows(root)) < 6
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        time.sleep(0.05)


def test_ctrl_c_while_processes_start_ends_in_one_line(
    tiny_study: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    process = start(tiny_study, environment, "--processes", "2")
    while not (workers := workers_of(process)):
        time.sleep(0.01)
    for pid in (*workers, process.pid):  # as a terminal does
        os.kill(pid, signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert "Traceback" not in said


def test_closed_outputs_cost_no_trial(tiny_study: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "lrlc", "run", str(tiny_study), "--processes", "1"]
    ended = subprocess.run(["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *command], cwd=tmp_path, env=environment)
    assert ended.returncode == 0
    assert set(rows(tmp_path / "runs/tiny")["status"]) == {"finished"}


def test_serial_and_processes_exclude_each_other(lrlc: Run, tiny_study: Path) -> None:
    refused = lrlc("run", tiny_study, "--serial", "--processes", 2, code=2)
    assert refused.stderr.strip() == "lrlc: give either --serial or --processes"
    refused = lrlc("run", tiny_study, "--processes", 2, "--address", "10.0.0.1:6379", code=2)
    assert "is a Ray cluster's" in refused.stderr
