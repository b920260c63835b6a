"""Trials that take no time, run by the real driver on Ray, so that only the cost of the harness remains."""

import math
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lrlc.harness.bench.resident import resident_bytes
from lrlc.harness.plan.catalogue import OpenedStudy, open_study
from lrlc.harness.plan.planning import Planner
from lrlc.harness.run.driver import Driver, GridSource, TrialSource
from lrlc.harness.run.executor import Finished
from lrlc.harness.run.fate import Fate
from lrlc.harness.run.ray_cluster import connect
from lrlc.harness.run.ray_pool import RayExecutor
from lrlc.harness.training.worker import WorkerSettings
from lrlc.harness.trial import Trial, blank_result, stopped_result
from lrlc.results.schema import EpochRecord, TrialResult, TrialStatus
from lrlc.results.store import Store


class InstantWorker:
    """Immediately reports what one epoch of training would: the start, the epoch and the end of the trial."""

    def __init__(self, settings: object) -> None:
        pass

    def run(self, trial: Trial, resume: object = None) -> Iterator[tuple[EpochRecord | TrialResult, ...]]:
        yield ((known := blank_result(trial)),)
        yield made_up_epoch(trial), ended(known, trial)


def made_up_epoch(trial: Trial) -> EpochRecord:
    """An epoch whose accuracy depends on the settings, so that a search has something to optimise."""
    train = trial.config.train
    distance = abs(math.log10(train.learning_rate) + 1.5) + abs(train.momentum - 0.9)
    accuracy = 1 / (1 + distance + 0.1 * len(trial.config.placement))
    return EpochRecord(1, 1 - accuracy, accuracy, 1 - accuracy, accuracy, train.learning_rate, 0.0)


def ended(known: TrialResult, trial: Trial) -> TrialResult:
    """The row of a trial that finished after its only epoch."""
    return stopped_result(known, (made_up_epoch(trial),), TrialStatus.FINISHED)


@dataclass(frozen=True)
class InstantRun:
    """A run of `trials` trials. Its clock starts when every worker is ready."""

    trials: int
    seconds: float
    ended_at: tuple[float, ...]
    """When each trial ended, in seconds of the clock."""
    resident_bytes: tuple[int, ...]
    """The driver's memory when the clock starts, after a tenth of the trials and at the end; empty if unknown."""
    parts: int
    """Parts written while the clock ran, except the last one, which holds the remainder."""
    parts_compacted: int

    @property
    def ms_per_trial(self) -> float:
        return 1e3 * self.seconds / self.trials


class _Clock:
    """Starts on creation; records the end times of trials and the driver's memory."""

    def __init__(self, trials: int) -> None:
        self._tenth = max(1, trials // 10)
        self.ended_at: list[float] = []
        self.resident: list[int] = []
        self.started = time.perf_counter()
        self.note_memory()

    def note_memory(self) -> None:
        resident = resident_bytes()
        self.resident += [] if resident is None else [resident]

    def __call__(self, fate: Fate) -> None:
        if isinstance(fate, Finished):
            self.ended_at.append(time.perf_counter() - self.started)
            if len(self.ended_at) == self._tenth:
                self.note_memory()


def run_grid(study: str, slots: int) -> InstantRun:
    """Run `study` (YAML), a grid."""
    with tempfile.TemporaryDirectory() as folder:
        opened, store = open_text(study, Path(folder))
        trials = Planner(opened, None).grid()
        return _run(GridSource(trials), trials[0], len(trials), store, opened, slots)


def run_search(study: str, slots: int) -> InstantRun:
    """Run `study` (YAML), a search with one seed per suggestion whose space includes its grid of one trial."""
    from lrlc.harness.search.source import SearchSource

    with tempfile.TemporaryDirectory() as folder:
        opened, store = open_text(study, Path(folder))
        store.write_plan(None, [])  # as a run does before it searches
        planner = Planner(opened, None)
        source = SearchSource(opened, planner, store, None)
        return _run(source, planner.grid()[0], source.total, store, opened, slots)


def open_text(study: str, folder: Path) -> tuple[OpenedStudy, Store]:
    """A study given as text, which is saved as study.yaml in `folder`, and its tables below that folder."""
    path = folder / "study.yaml"
    path.write_text(study)
    opened = open_study(str(path), profile=None, overrides=())
    return opened, Store(folder / opened.study.name)


def _run(
    source: TrialSource, like: Trial, trials: int, store: Store, opened: OpenedStudy, slots: int
) -> InstantRun:
    executor = _standing_executor(like, slots)
    clock = _Clock(trials)
    Driver([source], executor, store, opened.study.resources, clock).run()
    seconds = time.perf_counter() - clock.started
    clock.note_memory()
    parts = count_parts(store) - 1
    store.compact()
    return InstantRun(
        trials, seconds, tuple(clock.ended_at), tuple(clock.resident), parts, count_parts(store)
    )


def _standing_executor(like: Trial, slots: int) -> RayExecutor:
    """`slots` actors ready for trials like `like`, on our own Ray, with a share of a core each."""
    connect("local")
    settings = WorkerSettings(None, (), cpu_share(slots), 0.0, math.inf)
    executor = RayExecutor(settings, study="overhead", max_in_flight=slots, worker=InstantWorker)
    executor.place(like)
    while executor.ready < slots:
        executor.wait(1.0)
    return executor


def cpu_share(slots: int) -> float:
    """CPUs per slot such that all slots fit on this machine."""
    return 1 / math.ceil(slots / (os.cpu_count() or 1))


def count_parts(store: Store) -> int:
    return len((store.root / "trials").names(".parquet"))
