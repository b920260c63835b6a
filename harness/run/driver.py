"""The loop: take the next trial, run it, tell the search, commit its row. The only writer of results.

The path of one trial reads from top to bottom here. A search learns of a result at once, before it is asked again; its
row is committed within a second, together with others that end meanwhile. If the driver dies in between, the search
notices it later and retrains trials whose results it knew but that have no row.
"""

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from lrlc.harness.run.executor import Event, Executor, Finished, Kept, Lost, Printed, Progress, Saved, Started
from lrlc.harness.run.fate import BegunAnew, Fate, NotKept, Retried
from lrlc.harness.run.kept_models import KeptModels
from lrlc.harness.training import checkpoint
from lrlc.harness.training.checkpoint import WrongCheckpoint
from lrlc.harness.trial import Checkpoint, Trial, blank_result, stopped_result
from lrlc.results.errors import StoreError
from lrlc.results.logs import BoundedText
from lrlc.results.schema import BROKEN, EpochRecord, TrialResult, TrialStatus
from lrlc.results.store import Store
from lrlc.studies import Resources

SECONDS_BETWEEN_PARTS = 1.0
"""Rows are gathered for this long before a commit, as one-row parts take 12 KB each and slow every later read."""


MayStop = Callable[[], AbstractContextManager[object]]
"""Surrounds each of the driver's waits, the only place where an exception can end it without losing a result."""


class TrialSource(Protocol):
    """Where trials come from: a list of cells, or a search that learns from each result."""

    def next_trial(self) -> Trial | None:
        """The next trial to run; None if there is none now, though a later result may bring more."""

    def report(self, trial: Trial, record: EpochRecord) -> Sequence[Trial]:
        """Learn of an epoch, again if the trial is restarted; returns the trials to prune because of it."""

    def tell(self, result: TrialResult) -> Sequence[Trial]:
        """Learn of the end of a trial of any source; returns the trials to prune because of it."""


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
    """A running trial, its epochs so far, its deadline, and what its worker has reported of it."""

    trial: Trial
    curve: list[EpochRecord]
    deadline: float
    started_at: datetime
    known: TrialResult | None = None
    printed: BoundedText = field(default_factory=BoundedText)

    def stopped(self, status: TrialStatus, error: str | None = None) -> TrialResult:
        """Its row if it ends now."""
        known = self.known or replace(blank_result(self.trial), started_at=self.started_at)
        return stopped_result(known, tuple(self.curve), status, error)


class Driver:
    """Runs every trial of the sources on the executor and commits the rows to the store."""

    def __init__(
        self,
        sources: Sequence[TrialSource],
        executor: Executor,
        store: Store,
        resources: Resources,
        on_fate: Callable[[Fate], None] = lambda fate: None,
        models: KeptModels | None = None,
        may_stop: MayStop = nullcontext,
    ) -> None:
        self._sources, self._executor, self._store = sources, executor, store
        self._on_fate, self._may_stop = on_fate, may_stop
        self._models = models or KeptModels(store)
        self._max_attempts = resources.max_attempts
        self._limit_minutes = resources.time_limit_minutes
        self._flights: dict[str, _Flight] = {}
        self._next: Trial | None = None
        self._wanted_by: defaultdict[str, list[TrialSource]] = defaultdict(list)
        self._again: deque[Trial] = deque()
        self._alone: deque[Trial] = deque()
        self._saved = store.checkpoints()
        self._uncommitted: list[TrialResult] = []
        self._last_commit = time.monotonic()

    def run(self) -> None:
        """Return when every source is exhausted; on any exception, commit what has finished and stop the rest."""
        committed = False
        try:
            while True:
                if not self._fill_places():
                    if not self._flights:
                        return
                    if committed:  # not earlier, as ending processes would slow the commit down
                        self._executor.release()
                with self._may_stop():
                    events = self._executor.wait(SECONDS_BETWEEN_PARTS)
                for event in events:
                    self._handle(event)
                self._stop_overdue()
                if committed := time.monotonic() - self._last_commit >= SECONDS_BETWEEN_PARTS:
                    self._commit()
        finally:
            try:
                self._commit()
            finally:
                self._executor.close()

    def _fill_places(self) -> bool:
        """Start trials while there is room; False if there was room but nothing to start."""
        while self._executor.has_room:
            if self._next is None:
                self._next = self._choose()
            if self._next is None:
                return False
            placed = self._executor.place(self._next)
            if placed is None:
                return True
            self._next = None
            self._start(placed)
        return True

    def _choose(self) -> Trial | None:
        """Choose the next trial: those whose worker died first, those that must not share a GPU last."""
        if self._again:
            return self._again.popleft()
        for source in self._sources:
            while (trial := source.next_trial()) is not None:
                self._wanted_by[trial.id].append(source)
                if trial.id not in self._flights:  # a search may suggest a trial that the grid is training
                    return trial
        return self._alone.popleft() if self._alone else None

    def _start(self, trial: Trial) -> None:
        resume = self._checkpoint(trial)
        limit = math.inf if self._limit_minutes is None else 60 * self._limit_minutes
        curve = list(resume.curve if resume else ())
        self._flights[trial.id] = _Flight(trial, curve, time.monotonic() + limit, datetime.now(UTC))
        self._executor.submit(trial, resume)
        for record in curve:
            self._learn(trial, record)

    def _checkpoint(self, trial: Trial) -> Checkpoint | None:
        if trial.id not in self._saved:
            return None
        try:
            content = self._store.checkpoint(trial.id)
            return None if content is None else checkpoint.from_bytes(content, trial.id)
        except WrongCheckpoint as wrong:
            self._on_fate(BegunAnew(trial, str(wrong)))
        except StoreError as error:
            self._on_fate(BegunAnew(trial, f"cannot be used: {error}"))
        return None

    def _begin_anew(self, flight: _Flight) -> None:
        """Restart the trial without its checkpoint, whose epochs no longer count."""
        flight.curve.clear()
        self._on_fate(BegunAnew(flight.trial, "does not fit its network"))

    def _handle(self, event: Event) -> None:
        flight = self._flights.get(event.trial.id)
        if flight is None:  # reported before its stop took effect
            return
        match event:
            case Started(known=known):
                flight.known = known
                if flight.curve and known.resumed_epochs is None:
                    self._begin_anew(flight)
                self._on_fate(event)
            case Progress(record=record):
                flight.curve.append(record)
                self._learn(flight.trial, record)
                self._on_fate(event)
            case Saved(checkpoint=saved):
                self._store.save_checkpoint(event.trial.id, checkpoint.as_bytes(saved, event.trial.id))
                self._saved.add(event.trial.id)
            case Printed(text=text):
                flight.printed.add(text)
            case Kept(weights=weights):
                if reason := self._models.keep(event.trial.id, weights):
                    self._on_fate(NotKept(event.trial, reason))
            case Finished(result=result) if result.status == TrialStatus.OUT_OF_MEMORY and _shared(
                flight.trial
            ):
                self._run_alone(flight, result)
            case Finished(result=result):
                self._finish(flight, result)
            case Lost():
                self._retry(flight, event)

    def _learn(self, trial: Trial, record: EpochRecord) -> None:
        for source in self._sources:
            self._prune(source.report(trial, record), source)

    def _prune(self, trials: Sequence[Trial], source: TrialSource) -> None:
        """Stop the trials that only this source wants: a grid needs the whole training of what a search gives up."""
        for trial in trials:
            flight = self._flights.get(trial.id)
            if flight is not None and all(each is source for each in self._wanted_by[trial.id]):
                self._stop(flight, TrialStatus.PRUNED)

    def _stop_overdue(self) -> None:
        now = time.monotonic()
        for flight in [flight for flight in self._flights.values() if flight.deadline < now]:
            self._stop(
                flight,
                TrialStatus.TIMED_OUT,
                f"stopped at its limit of {self._limit_minutes:g} minute{'s' * (self._limit_minutes != 1)}",
            )

    def _stop(self, flight: _Flight, status: TrialStatus, error: str | None = None) -> None:
        flight.printed.add(self._executor.stop(flight.trial, hung=status == TrialStatus.TIMED_OUT))
        self._finish(flight, flight.stopped(status, error))

    def _run_alone(self, flight: _Flight, result: TrialResult) -> None:
        """Keep the row of a trial that ran out of memory beside others, and queue it to run with a GPU to itself."""
        trial = flight.trial
        self._end(flight, result)
        self._alone.append(replace(trial, alone=True, attempts=trial.attempts + 1))
        self._on_fate(Retried(trial, "out of memory on a shared GPU; it will get a GPU to itself"))

    def _retry(self, flight: _Flight, lost: Lost) -> None:
        """Queue the trial again, unless its workers died too often; the loss of a node does not count."""
        trial = flight.trial
        deaths = trial.deaths + (0 if lost.with_node else 1)
        if deaths < self._max_attempts:
            del self._flights[trial.id]
            self._keep_output(flight, f"its worker was lost: {lost.reason}")
            self._again.append(replace(trial, attempts=trial.attempts + 1, deaths=deaths))
            self._on_fate(Retried(trial, f"worker lost: {lost.reason}"))
        else:
            status = TrialStatus.OUT_OF_MEMORY if lost.out_of_memory else TrialStatus.FAILED
            error = f"its worker died {deaths} times, last: {lost.reason}"
            self._finish(flight, flight.stopped(status, error))

    def _finish(self, flight: _Flight, result: TrialResult) -> None:
        self._end(flight, result)
        self._on_fate(Finished(flight.trial, result))
        for source in self._sources:
            self._prune(source.tell(result), source)

    def _end(self, flight: _Flight, result: TrialResult) -> None:
        del self._flights[flight.trial.id]
        self._keep_output(flight, str(result.status).replace("_", " "))
        self._uncommitted.append(result)

    def _keep_output(self, flight: _Flight, ending: str) -> None:
        """Save what the attempt printed, which its worker can no longer report."""
        if text := str(flight.printed):
            began = f"{flight.started_at:%Y-%m-%d %H:%M:%S} UTC"
            self._store.add_log(flight.trial.id, flight.trial.attempts, f"{began}, {ending}", text)

    def _commit(self) -> None:
        if self._uncommitted:
            ended, self._uncommitted = self._uncommitted, []
            self._store.commit(ended)
            for result in ended:
                if result.trial_id in self._saved and result.status not in BROKEN:  # a retry resumes from it
                    self._saved.discard(result.trial_id)
                    self._store.drop_checkpoint(result.trial_id)
        self._last_commit = time.monotonic()


def _shared(trial: Trial) -> bool:
    return trial.gpu_fraction is not None and trial.gpu_fraction < 1
