"""The Ray actor that runs trials, and the file where their output is found if it dies."""

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from lrlc.harness import provenance
from lrlc.harness.training.output import Output, OutputReader
from lrlc.harness.training.worker import WorkerSettings
from lrlc.harness.trial import Checkpoint, Record, Trial

Item = tuple[tuple[Record, ...], str]
"""Records, and what was printed since the previous item."""

PREFIX = "lrlc-output-"
SECONDS_TO_READ = 20.0
"""How long a node may take to return the output of a dead worker."""
SECONDS_KEPT = 3600.0
"""How long after its last line the output of a dead worker stays on its node, for its driver to ask for."""


@dataclass(frozen=True)
class OutputPlace:
    """A file on one of the cluster's nodes."""

    node_id: str
    path: Path


class Reporter:
    """The class of the actors: a worker that returns one item of records per call."""

    def __init__(self, worker: type[Any], settings: WorkerSettings) -> None:
        self._worker = worker(settings)
        provenance.gather()  # gathered while other workers start, not during a trial
        self._items: Generator[tuple[Record, ...]] | None = None
        self._place = _place()
        self._output, self._reader = Output(self._place.path), OutputReader(self._place.path, takes_away=True)

    def ready(self) -> OutputPlace:
        """Returns once the worker is ready: the file with the output of its trials."""
        return self._place

    def begin(self, trial: Trial, resume: Checkpoint | None) -> Item:
        self._items = self._worker.run(trial, resume)
        return self.more()

    def more(self) -> Item:
        """The next item, without records once the trial has ended."""
        if self._items is None:
            return (), ""
        with self._output.caught():
            item = next(self._items, ())
        return item, self._reader.more()

    def end(self) -> None:
        """Drop a trial that was stopped."""
        if self._items is not None:
            self._items.close()
            self._items = None


def ask_for_output(place: OutputPlace) -> "ray.ObjectRef[str]":
    """Ask a lost worker's node for what it printed after its last item, and to kill it if it still runs."""
    on_node = NodeAffinitySchedulingStrategy(place.node_id, soft=False)
    asked = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=on_node)(_taken)  # type: ignore[call-overload]
    ref: ray.ObjectRef[str] = asked.remote(place.path)
    return ref


def answer_of(ref: "ray.ObjectRef[str]", timeout_seconds: float = SECONDS_TO_READ) -> str | None:
    """What the worker printed; None if its node does not answer in time."""
    try:
        text: str = ray.get(ref, timeout=timeout_seconds)
    except (RayError, TimeoutError):
        ray.cancel(ref, force=True)
        return None
    return text


def _place() -> OutputPlace:
    """This process's output file."""
    folder = Path(tempfile.gettempdir())
    delete_old_output(folder)
    return OutputPlace(ray.get_runtime_context().get_node_id(), folder / f"{PREFIX}{os.getpid()}")


def delete_old_output(folder: Path) -> None:
    """Delete the output of processes that ended long ago; younger files may still be asked for."""
    for path in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            is_old = time.time() - path.stat().st_mtime > SECONDS_KEPT
            if is_old and not Path(f"/proc/{path.name.removeprefix(PREFIX)}").exists():
                path.unlink()


def _taken(path: Path) -> str:
    _kill_writer(path)
    text = OutputReader(path).more()
    with contextlib.suppress(OSError):
        path.unlink()
    return text


def _kill_writer(path: Path) -> None:
    """Kill the Ray worker that writes this file, if ray.kill has not.

    Ray asks a worker to exit and kills it after 5 s without an answer. If the connection to a stopped process breaks
    within these 5 s, Ray takes that for the answer, and the process keeps its resources (Ray 2.60).
    """
    pid = int(path.name.removeprefix(PREFIX))
    with contextlib.suppress(OSError):
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::"):
            os.kill(pid, signal.SIGKILL)
