"""Real processes for tests that stop and kill them: runs of `lrlc`, and the Ray actors that train for them."""

import contextlib
import time
from pathlib import Path

import pandas as pd

from lrlc.results.store import Store
from support.commands import RunningCommand

PATIENT = """
import time
import ray
import torch
from lrlc.layers import layer_kind


class Patient(torch.nn.Conv2d):
    def forward(self, x):
        if ray.is_initialized() and torch.is_grad_enabled() and not x.is_meta:
            time.sleep(0.1)
        return super().forward(x)


@layer_kind("patient")
def patient(in_channels, out_channels, kernel_size, **geometry):
    return Patient(in_channels, out_channels, kernel_size)
"""
"""A plugin: a convolution that trains for seconds on Ray without using a core, so that there is a trial to kill."""


CHATTY = """
import os
import signal
import sys
from pathlib import Path
import torch
from lrlc.layers import layer_kind

DIES = {dies}


class Chatty(torch.nn.Conv2d):
    def forward(self, x):
        if torch.is_grad_enabled() and not x.is_meta:
            print("said by a layer")
            print("warned by a layer", file=sys.stderr)
            first = Path({first!r})
            if DIES and not first.exists():
                first.touch()
                os.write(2, b"last words")
                os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


@layer_kind("chatty")
def chatty(in_channels, out_channels, kernel_size, **geometry):
    return Chatty(in_channels, out_channels, kernel_size)
"""
CHATTY_STUDY = """
name: talk
plugins: [chatty.py]
datasets: digits
train_images: 64
grid: [{kind: chatty, placement: 1}, {kind: conv}]
train: {epochs: 1, batch_size: 64}
"""


def write_chatty_study(folder: Path, *, dies: bool = False) -> Path:
    """A study of a kind that prints as it trains and, with `dies`, kills its process once, in mid-training."""
    (folder / "chatty.py").write_text(CHATTY.format(dies=dies, first=str(folder / "died")))
    (folder / "talk.yaml").write_text(CHATTY_STUDY)
    return folder / "talk.yaml"


def with_patient(study: Path) -> Path:
    """The study, which can use the kind `patient`."""
    (study.parent / "patient.py").write_text(PATIENT)
    study.write_text(study.read_text().replace("name: tiny", "name: tiny\nplugins: [patient.py]"))
    return study


def rows(root: Path) -> pd.DataFrame:
    return Store(root).trials().set_index("trial_id").sort_index()


def start(study: Path, environment: dict[str, str], *words: str) -> RunningCommand:
    return RunningCommand(["run", study, *words], study.parent, environment)


def wait_for_rows(root: Path, count: int, process: RunningCommand) -> None:
    """Wait until `count` rows are committed, or the run has ended without them."""
    while process.poll() is None:
        if sum(Store(root).counts().values()) >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"the run ended first: {process.stderr.read()}")


def busy_workers(environment: dict[str, str]) -> list[int]:
    """The processes of this test's Ray actors that are training; Ray names them after what they run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, variables = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:  # it ended meanwhile, or is not ours to read
            continue
        ours = environment["HOME"].encode() in variables
        if ours and command.startswith(b"ray::digits"):
            found.append(int(process.name))
    return found


def descendants(pid: int) -> dict[int, str]:
    """The processes that `pid` has started, and those have: the command of each."""
    parents, found = {}, {pid}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {child: command_of(child) for child in found - {pid}}


def command_of(pid: int) -> str:
    """'' of a process that has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""
