"""Trials that take no time, run by the real driver on Ray: what is left of them is what the harness costs."""

import math
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import ray

from harness.bench.memory import resident_bytes
from harness.catalogue import OpenedStudy, open_study
from harness.driver import Driver, GridSource, TrialSource
from harness.executors.base import Event, Finished
from harness.executors.ray_pool import RayExecutor, connect
from harness.planning import Planner
from harness.trial import Trial, blank_result, stopped_result
from harness.worker import WorkerSettings
from results.schema import EpochRecord, TrialResult, TrialStatus
from results.store import Store


class InstantWorker:
    """Reports of a trial what a training of one epoch would, at once: its start, the epoch, its end."""

    def __init__(self, settings: object) -> None:
        pass

    def run(self, trial: Trial) -> Iterator[EpochRecord | TrialResult]:
        yield (known := blank_result(trial))
        yield made_up_epoch(trial)
        yield ended(known, trial)


def made_up_epoch(trial: Trial) -> EpochRecord:
    """An epoch whose accuracy depends on the settings, so that a search has something to find."""
    train = trial.config.train
    distance = abs(math.log10(train.learning_rate) + 1.5) + abs(train.momentum - 0.9)
    accuracy = 1 / (1 + distance + 0.1 * len(trial.config.placement))
    return EpochRecord(1, 1 - accuracy, accuracy, 1 - accuracy, accuracy, train.learning_rate, 0.0)


def ended(known: TrialResult, trial: Trial) -> TrialResult:
    """The row of a trial that finished after its only epoch."""
    return stopped_result(known, (made_up_epoch(trial),), TrialStatus.FINISHED)


@dataclass(frozen=True)
class InstantRun:
    """A run of `trials` trials. Its clock starts when every worker has ended a first one, which is not counted."""

    trials: int
    seconds: float
    ended_at: tuple[float, ...]
    """When each trial ended, in seconds of the clock; the first is the one whose end started it."""
    resident_bytes: tuple[int, ...]
    """The driver's memory when the clock starts, after a tenth of the trials and at the end; empty where unknown."""
    parts: int
    """Written while the clock ran, without the last one, which holds what was left."""
    parts_compacted: int

    @property
    def ms_per_trial(self) -> float:
        return 1e3 * self.seconds / self.trials


class _Clock:
    """Starts when the workers are warm; notes when trials end, and the driver's memory."""

    def __init__(self, trials: int, store: Store) -> None:
        self._store, self.parts_before = store, 0
        self._tenth = max(1, trials // 10)
        self.started = math.nan
        self.ended_at: list[float] = []
        self.resident: list[int] = []

    def start(self) -> None:
        self.ended_at.clear()
        self.resident.clear()
        self.parts_before = count_parts(self._store)
        self.started = time.perf_counter()
        self.note_memory()

    def note_memory(self) -> None:
        resident = resident_bytes()
        self.resident += [] if resident is None else [resident]

    def __call__(self, event: Event) -> None:
        if isinstance(event, Finished):
            self.ended_at.append(time.perf_counter() - self.started)
            if len(self.ended_at) == self._tenth:
                self.note_memory()


class _Warmed:
    """A source whose first trials, one a slot, must all have ended before it gives the next and the clock starts."""

    def __init__(self, source: TrialSource, slots: int, clock: _Clock) -> None:
        self._source, self._clock = source, clock
        self._to_start = self._to_end = slots

    def next_trial(self) -> Trial | None:
        if self._to_start == 0 and self._to_end > 0:
            return None
        self._to_start = max(0, self._to_start - 1)
        return self._source.next_trial()

    def report(self, trial: Trial, record: EpochRecord) -> Sequence[Trial]:
        return self._source.report(trial, record)

    def tell(self, result: TrialResult) -> Sequence[Trial]:
        pruned = self._source.tell(result)
        self._to_end -= 1
        if self._to_end == 0:
            self._clock.start()
        return pruned


def run_grid(study: str, trials: int, slots: int) -> InstantRun:
    """Run `study` (YAML), a grid of `trials` + `slots` trials."""
    with tempfile.TemporaryDirectory() as folder:
        opened, store = open_text(study, Path(folder))
        return _run(GridSource(Planner(opened, None).grid()), store, trials, slots)


def run_search(study: str, trials: int, slots: int) -> InstantRun:
    """Run `study` (YAML), a search of `trials` + `slots` suggestions of one seed each."""
    from harness.search import SearchSource

    with tempfile.TemporaryDirectory() as folder:
        opened, store = open_text(study, Path(folder))
        store.write_plan(None, [])  # as a run does before it searches
        return _run(SearchSource(opened, Planner(opened, None), store, None), store, trials, slots)


def open_text(study: str, folder: Path) -> tuple[OpenedStudy, Store]:
    """A study given as text, and its table below `folder`, where the text is kept as study.yaml."""
    path = folder / "study.yaml"
    path.write_text(study)
    opened = open_study(str(path), profile=None, overrides=())
    return opened, Store(folder / opened.study.name)


def _run(source: TrialSource, store: Store, trials: int, slots: int) -> InstantRun:
    clock = _Clock(trials, store)
    Driver([_Warmed(source, slots, clock)], instant_executor(slots), store, clock).run()
    seconds = time.perf_counter() - clock.started
    clock.note_memory()
    parts = count_parts(store) - clock.parts_before - 1
    store.compact()
    return InstantRun(
        trials, seconds, tuple(clock.ended_at), tuple(clock.resident), parts, count_parts(store)
    )


def instant_executor(slots: int) -> RayExecutor:
    """`slots` actors on a Ray of our own, each with as small a share of a core as that takes."""
    connect("local")
    settings = WorkerSettings(None, (), cpu_share(slots), 0.0)
    remote_worker = ray.remote(max_restarts=0, max_task_retries=0)(InstantWorker)
    return RayExecutor(settings, max_in_flight=slots, remote_worker=remote_worker)


def cpu_share(slots: int) -> float:
    """So many CPUs a slot that all fit on this machine."""
    return 1 / math.ceil(slots / (os.cpu_count() or 1))


def count_parts(store: Store) -> int:
    return len(list((store.root / "trials").glob("*.parquet")))
