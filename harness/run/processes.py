"""Trials in processes of this machine, without a cluster or further packages.

A process keeps its libraries, its GPU and its decoded data sets from one trial to the next, as a Ray actor does.
"""

import contextlib
import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from lrlc.harness import provenance
from lrlc.harness.errors import UserError
from lrlc.harness.run.executor import Event, Finished, Lost, Printed, as_events
from lrlc.harness.training.output import Output, OutputReader
from lrlc.harness.training.worker import Worker, WorkerSettings
from lrlc.harness.trial import Checkpoint, Record, Trial
from lrlc.results.schema import TrialStatus

MOST_STILLBORN = 3
"""Consecutive processes that may die during start-up before the run gives up."""

SECONDS_TO_END = 2.0
"""How long an idle process may take to exit on request before it is killed."""

_READY = "ready"
_STOP = "stop"


def _serve(
    connection: Connection,
    settings: WorkerSettings,
    worker: Callable[[WorkerSettings], Any],
    gpu: str | None,
    output: Path,
) -> None:
    """The main loop of a process: run one trial after another, and send each record with the number of its trial."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; only the driver handles it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # see _sigint_blocked
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the driver is gone
        runner, printed = worker(settings), Output(output)
        provenance.gather()
        connection.send(_READY)
        asked = connection.recv()
        while True:
            came_late = asked == _STOP  # its trial had already ended
            asked = connection.recv() if came_late else _run(connection, runner, printed, *asked)


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Keep Ctrl-C from a process started within, which inherits this; this process gets it afterwards."""
    resource_tracker.ensure_running()  # starting it with the first process would end the blocking
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _run(
    connection: Connection, runner: Any, printed: Output, number: int, trial: Trial, resume: Checkpoint | None
) -> Any:
    """Run a trial; returns the driver's next request: to stop, or, after the last record, another trial."""
    with printed.caught(), contextlib.closing(runner.run(trial, resume)) as items:
        for item in items:
            connection.send((number, item))
            if connection.poll():
                return connection.recv()
    return connection.recv()


@dataclass
class _Slot:
    """A process and its trial; `number` distinguishes the trial's records from those of one that was stopped."""

    process: BaseProcess
    connection: Connection
    gpu: str | None
    output: OutputReader
    ready: bool = False
    number: int = 0
    trial: Trial | None = None
    started: bool = False


class ProcessExecutor:
    """`slots` processes, each with one trial at a time; GPUs are spread evenly over them, by CUDA_VISIBLE_DEVICES.

    `gpus` names the devices as CUDA_VISIBLE_DEVICES does. A trial that must not share its GPU waits until no other
    runs. `worker` is the class that each process runs.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        slots: int,
        gpus: Sequence[str] = (),
        worker: Callable[[WorkerSettings], Any] = Worker,
    ) -> None:
        self._worker, self._stillborn = worker, 0
        self._folder = TemporaryDirectory(prefix="lrlc-output-")
        self._numbers = itertools.count()
        self._context = multiprocessing.get_context("spawn")  # a fork would inherit CUDA and threads
        self._share = min(1.0, len(gpus) / slots) if settings.gpus else 0.0
        self._settings = replace(settings, gpus=self._share)
        devices = [gpus[index % len(gpus)] if self._share else None for index in range(slots)]
        self._slots = [self._start(device) for device in devices]

    @property
    def has_room(self) -> bool:
        return any(slot.ready and slot.trial is None for slot in self._slots) and not self._holds_alone()

    def share(self, trial: Trial) -> float:
        return self._share

    def place(self, trial: Trial) -> Trial | None:
        if trial.alone and any(slot.trial for slot in self._slots):
            return None
        fraction = 1.0 if trial.alone and self._share else self._share
        return replace(trial, gpu_fraction=fraction or None)

    def submit(self, trial: Trial, resume: Checkpoint | None = None) -> None:
        slot = next(slot for slot in self._slots if slot.ready and slot.trial is None)
        slot.number += 1
        slot.trial, slot.started = trial, False
        slot.output.more()  # discard output after the end of the previous trial
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the next wait notices its death
            slot.connection.send((slot.number, trial, resume))

    def wait(self, timeout_seconds: float) -> Sequence[Event]:
        by_connection = {slot.connection: slot for slot in self._slots}
        ready = wait(list(by_connection), timeout_seconds)
        return [event for connection in ready for event in self._read(by_connection[connection])]  # type: ignore[index]

    def stop(self, trial: Trial, *, hung: bool = False) -> str:
        text = ""
        for slot in self._slots:
            if slot.trial == trial:
                text = slot.output.more()
                if hung:
                    self._replace(slot)
                else:
                    slot.trial = None
                    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                        slot.connection.send(_STOP)
        return text

    def release(self) -> None:
        pass

    def close(self) -> None:
        for slot in self._slots:
            slot.connection.close()  # an idle process ends by itself
            if slot.trial is not None:
                slot.process.kill()
        for slot in self._slots:
            slot.process.join(SECONDS_TO_END)
            slot.process.kill()
            slot.process.join()
        self._slots = []
        self._folder.cleanup()

    def _holds_alone(self) -> bool:
        return any(slot.trial is not None and slot.trial.alone for slot in self._slots)

    def _start(self, gpu: str | None) -> _Slot:
        ours, theirs = self._context.Pipe()
        output = Path(self._folder.name) / str(next(self._numbers))
        process = self._context.Process(
            target=_serve, args=(theirs, self._settings, self._worker, gpu, output), daemon=True
        )
        with _sigint_blocked():
            process.start()
        theirs.close()  # so that the connection ends with the process
        return _Slot(process, ours, gpu, OutputReader(output))

    def _replace(self, slot: _Slot) -> None:
        slot.process.kill()
        slot.process.join()
        slot.connection.close()
        self._slots[self._slots.index(slot)] = self._start(slot.gpu)

    def _read(self, slot: _Slot) -> Sequence[Event]:
        try:
            received = slot.connection.recv()
        except (EOFError, ConnectionResetError):
            return self._died(slot)
        if received == _READY:
            slot.ready, self._stillborn = True, 0
            return ()
        number, records = received
        if slot.trial is None or number != slot.number:  # sent before the stop took effect
            return ()
        return self._events(slot, slot.trial, records)

    def _events(self, slot: _Slot, trial: Trial, records: Sequence[Record]) -> Sequence[Event]:
        events = as_events(trial, records, slot.started)
        slot.started = True
        printed = _printed(slot, trial)
        if isinstance(last := events[-1], Finished):
            slot.trial = None
            if self._share and last.result.status == TrialStatus.FAILED:
                self._replace(slot)  # after a CUDA error every later trial in the process would fail
        return [*printed, *events]

    def _died(self, slot: _Slot) -> Sequence[Event]:
        slot.process.join()
        code = slot.process.exitcode or 0
        reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if not slot.ready:
            self._stillborn += 1
            if self._stillborn == MOST_STILLBORN:
                raise UserError(
                    f"--processes: a process {reason} before its first trial, {MOST_STILLBORN} times"
                )
        trial, printed = slot.trial, _printed(slot, slot.trial) if slot.trial else []
        self._replace(slot)
        return [*printed, Lost(trial, f"its process {reason}")] if trial else []


def _printed(slot: _Slot, trial: Trial) -> list[Event]:
    text = slot.output.more()
    return [Printed(trial, text)] if text else []


def visible_gpus() -> list[str]:
    """This process's GPUs, by their names in CUDA_VISIBLE_DEVICES."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return named.split(",")[:count] if named else [str(index) for index in range(count)]
