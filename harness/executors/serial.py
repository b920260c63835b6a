"""Trials one after the other in this process: for debugging, and where Ray is not installed."""

from collections.abc import Generator, Sequence
from typing import cast

from harness.executors.base import Event, Finished, as_event
from harness.trial import Trial
from harness.worker import Worker, WorkerSettings
from results.schema import EpochRecord, TrialResult


class SerialExecutor:
    """One slot; a trial advances by one record each time the driver waits."""

    slots = 1

    def __init__(self, settings: WorkerSettings) -> None:
        self._worker = Worker(settings)
        self._running: Trial | None = None
        self._records: Generator[EpochRecord | TrialResult] | None = None
        self._started = False
        self.gpu_fraction = settings.gpus or None

    def submit(self, trial: Trial) -> None:
        self._running, self._started = trial, False
        self._records = cast("Generator[EpochRecord | TrialResult]", self._worker.run(trial))

    def wait(self, timeout_seconds: float) -> Sequence[Event]:
        if self._records is None or self._running is None:
            return []
        event = as_event(self._running, next(self._records), self._started)
        self._started = True
        if isinstance(event, Finished):
            self._records = self._running = None
        return [event]

    def stop(self, trial: Trial) -> None:
        if self._records is not None and self._running == trial:
            self._records.close()
            self._records = self._running = None

    def close(self) -> None:
        if self._running is not None:
            self.stop(self._running)
