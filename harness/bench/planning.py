"""The cost of planning and of resuming, each measured in its own process."""

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lrlc.harness.bench.instant import ended, open_text
from lrlc.harness.bench.resident import peak_resident_bytes
from lrlc.harness.plan.catalogue import OpenedStudy, open_study
from lrlc.harness.plan.planning import Planner
from lrlc.harness.trial import blank_result
from lrlc.results.store import Store

ROWS_PER_COMMIT = 1000
CELLS = 50
"""Cells of the planned grid at one learning rate and seed."""

STUDY = """
name: overhead
datasets: digits
grid:
  kind: lrlc
  rank: [1, 2, 3, 4, 5]
  placement: [[1], [2], [3], [1, 3], all]
  train.batch_size: [128, 512]
  train.learning_rate: {rates}
seeds: 10
train: {{epochs: 1}}
"""


@dataclass(frozen=True)
class Planned:
    """Seconds of one planning and the peak memory of the process that did it (None if unknown).

    `import_seconds` is the time to load the libraries and the data set beforehand.
    """

    trials: int
    missing: int
    import_seconds: float
    seconds: float
    peak_bytes: int | None


@dataclass(frozen=True)
class Resumed:
    """The times to open (as `lrlc run`) and to plan (as `lrlc plan`) a study whose trials have all finished."""

    opened: Planned
    plan_seconds: float
    command_seconds: float
    """`lrlc plan` as a user runs it, including the start from the shell."""


def measure_planning(trials: int) -> Planned:
    """Plan a grid of about `trials` trials against an empty table."""
    with TemporaryDirectory() as folder:
        open_text(_study(trials), Path(folder))
        return _in_own_process(_open, folder)


def measure_resuming(trials: int) -> Resumed:
    """Open, and plan, a study of about `trials` trials that have all finished."""
    with TemporaryDirectory() as folder:
        opened, store = open_text(_study(trials), Path(folder))
        planned = Planner(opened, None).grid()
        for first in range(0, len(planned), ROWS_PER_COMMIT):
            store.commit(
                [ended(blank_result(trial), trial) for trial in planned[first : first + ROWS_PER_COMMIT]]
            )
        store.compact()
        started = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "lrlc.harness.cli.app",
            "plan",
            f"{folder}/study.yaml",
            "--results",
            folder,
        ]
        subprocess.run(command, check=True, capture_output=True)
        command_seconds = time.perf_counter() - started
        return Resumed(
            _in_own_process(_open, folder), _in_own_process(_plan, folder).seconds, command_seconds
        )


def _study(trials: int) -> str:
    count = max(1, round(trials / (10 * CELLS)))
    return STUDY.format(rates=[step / count for step in range(1, count + 1)])


def _in_own_process(work: Callable[[str], Planned], folder: str) -> Planned:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
        return child.submit(work, folder).result()


def _open(folder: str) -> Planned:
    import_seconds = _import()
    from lrlc.harness.run.session import open_run

    started = time.perf_counter()
    session = open_run(*_opened(folder), None)
    missing = len(session.plan.missing)
    seconds = time.perf_counter() - started
    return Planned(len(session.plan.trials), missing, import_seconds, seconds, peak_resident_bytes())


def _plan(folder: str) -> Planned:
    import_seconds = _import()
    from lrlc.harness.run.plan_summary import summarise_plan

    started = time.perf_counter()
    summary = summarise_plan(*_opened(folder), None, probe=False)
    seconds = time.perf_counter() - started
    return Planned(summary.grid_trials, summary.missing, import_seconds, seconds, peak_resident_bytes())


def _opened(folder: str) -> tuple[OpenedStudy, Store]:
    opened = open_study(f"{folder}/study.yaml", profile=None, overrides=())
    return opened, Store(f"{folder}/{opened.study.name}")


def _import() -> float:
    started = time.perf_counter()
    import lrlc.harness.run.plan_summary  # noqa: F401
    from lrlc.harness.data import load_dataset
    from lrlc.studies import DatasetSpec

    load_dataset(DatasetSpec(name="digits"), None)
    return time.perf_counter() - started
