"""Trials one after the other in this process, for debugging and without Ray."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import cast

from lrlc.harness.run.executor import Event, Finished, Printed, as_events
from lrlc.harness.training.output import teed
from lrlc.harness.training.worker import Worker, WorkerSettings
from lrlc.harness.trial import Checkpoint, Record, Trial


class SerialExecutor:
    """One trial at a time; it advances by one record each time the driver waits.

    A hung trial hangs the process, as a time limit is only checked between two records.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._worker = Worker(settings)
        self._running: Trial | None = None
        self._records: Generator[tuple[Record, ...]] | None = None
        self._started = False
        self._gpu_fraction = settings.gpus or None

    @property
    def has_room(self) -> bool:
        return self._running is None

    def share(self, trial: Trial) -> float:
        return self._gpu_fraction or 0.0

    def place(self, trial: Trial) -> Trial | None:
        return replace(trial, gpu_fraction=self._gpu_fraction) if self.has_room else None

    def submit(self, trial: Trial, resume: Checkpoint | None = None) -> None:
        self._running, self._started = trial, False
        self._records = cast("Generator[tuple[Record, ...]]", self._worker.run(trial, resume))

    def wait(self, timeout_seconds: float) -> Sequence[Event]:
        if self._records is None or self._running is None:
            return []
        with teed() as printed:
            records = next(self._records)
        events = as_events(self._running, records, self._started)
        told = [Printed(self._running, text) for text in printed if text]
        self._started = True
        if isinstance(events[-1], Finished):
            self._records = self._running = None
        return [*told, *events]

    def stop(self, trial: Trial, *, hung: bool = False) -> str:
        if self._records is not None and self._running == trial:
            self._records.close()
            self._records = self._running = None
        return ""

    def release(self) -> None:
        pass

    def close(self) -> None:
        if self._running is not None:
            self.stop(self._running)
