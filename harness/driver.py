"""The loop: take the next trial, run it, tell the search, commit its row. The only writer of results.

The path of one trial reads from top to bottom here. A search hears of a result at once, before it is asked again;
its row is committed within a second, with those that end meanwhile. What dies in between is the search's to notice:
it trains again what it was told of without a row.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from harness.executors.base import Event, Executor, Finished, Lost, Progress, Started
from harness.trial import Trial, blank_result, stopped_result
from results.schema import EpochRecord, TrialResult, TrialStatus
from results.store import Store

SECONDS_BETWEEN_PARTS = 1.0
"""One-row parts cost 12 KB each and slow every later read: rows are gathered this long before a commit."""

MAX_ATTEMPTS = 3
"""A trial whose worker died this often ends as failed."""


class TrialSource(Protocol):
    """Where trials come from: a list of cells, or a search that learns from each result."""

    def next_trial(self) -> Trial | None:
        """The next trial to run; None if there is none now, though a later result may bring more."""

    def report(self, trial: Trial, record: EpochRecord) -> Sequence[Trial]:
        """Learn of an epoch; returns the trials to prune because of it."""

    def tell(self, result: TrialResult) -> Sequence[Trial]:
        """Learn of a trial's end, whoever asked for it; returns the trials to prune because of it."""


class GridSource:
    """The missing trials of a grid, in the order of the plan."""

    def __init__(self, missing: Iterable[Trial]) -> None:
        self._missing = deque(missing)

    def next_trial(self) -> Trial | None:
        return self._missing.popleft() if self._missing else None

    def report(self, trial: Trial, record: EpochRecord) -> Sequence[Trial]:
        return ()

    def tell(self, result: TrialResult) -> Sequence[Trial]:
        return ()


@dataclass
class _Flight:
    """A running trial, what is known of it and its epochs so far."""

    trial: Trial
    known: TrialResult
    curve: list[EpochRecord] = field(default_factory=list)


class Driver:
    """Runs every trial of the sources on the executor and commits the rows to the store."""

    def __init__(
        self,
        sources: Sequence[TrialSource],
        executor: Executor,
        store: Store,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._sources, self._executor, self._store, self._on_event = sources, executor, store, on_event
        self._flights: dict[str, _Flight] = {}
        self._again: deque[Trial] = deque()
        self._uncommitted: list[TrialResult] = []
        self._last_commit = time.monotonic()

    def run(self) -> None:
        """Return when every source is exhausted; on any exception, commit what has finished and stop the rest."""
        try:
            while True:
                self._fill_slots()
                if not self._flights:
                    return
                for event in self._executor.wait(SECONDS_BETWEEN_PARTS):
                    self._handle(event)
                if time.monotonic() - self._last_commit >= SECONDS_BETWEEN_PARTS:
                    self._commit()
        finally:
            self._commit()
            self._executor.close()

    def _fill_slots(self) -> None:
        while len(self._flights) < self._executor.slots and (trial := self._next()) is not None:
            if trial.id not in self._flights:  # a search may ask for what the grid trains now
                trial = replace(trial, gpu_fraction=self._executor.gpu_fraction)
                self._flights[trial.id] = _Flight(trial, blank_result(trial))
                self._executor.submit(trial)

    def _next(self) -> Trial | None:
        if self._again:
            return self._again.popleft()
        for source in self._sources:
            if (trial := source.next_trial()) is not None:
                return trial
        return None

    def _handle(self, event: Event) -> None:
        flight = self._flights.get(event.trial.id)
        if flight is None:  # reported before its stop took effect
            return
        match event:
            case Started(known=known):
                flight.known = known
            case Progress(record=record):
                flight.curve.append(record)
                for source in self._sources:
                    self._prune(source.report(flight.trial, record))
            case Finished(result=result):
                self._finish(flight, result)
            case Lost(reason=reason):
                self._retry(flight, reason)
        self._on_event(event)

    def _prune(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            if (flight := self._flights.get(trial.id)) is not None:
                self._executor.stop(flight.trial)
                result = stopped_result(flight.known, tuple(flight.curve), TrialStatus.PRUNED)
                self._finish(flight, result)
                self._on_event(Finished(flight.trial, result))

    def _retry(self, flight: _Flight, reason: str) -> None:
        trial = flight.trial
        if trial.attempts < MAX_ATTEMPTS:
            del self._flights[trial.id]
            self._again.append(replace(trial, attempts=trial.attempts + 1))
        else:
            error = f"its worker died {trial.attempts} times, last: {reason}"
            self._finish(flight, stopped_result(flight.known, tuple(flight.curve), TrialStatus.FAILED, error))

    def _finish(self, flight: _Flight, result: TrialResult) -> None:
        del self._flights[flight.trial.id]
        self._uncommitted.append(result)
        for source in self._sources:
            self._prune(source.tell(result))

    def _commit(self) -> None:
        if self._uncommitted:
            ended, self._uncommitted = self._uncommitted, []
            self._store.commit(ended)
        self._last_commit = time.monotonic()
