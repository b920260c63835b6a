"""The cost of reading, aggregating and drawing a large store, each in its own process; with goals."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from lrlc.harness.bench.large_store import make_store
from lrlc.harness.bench.overhead import Measure, measured
from lrlc.harness.bench.reading import JOBS, Work, timed

T = TypeVar("T")
PARTS = tuple(JOBS)
GOAL_SECONDS, GOAL_MEGABYTES = 2.0, 1000.0
NAMES = {
    "rank": "rank vs accuracy of {} rows",
    "figures": "lrlc plot, every figure, {} rows",
    "report": "lrlc report, {} rows",
    "export": "lrlc export --to parquet, {} rows",
}


def measure_tables(rows: int, rounds: int, parts: Sequence[str]) -> list[Measure]:
    """Create a store of `rows` trials in a temporary folder, and read it as `plot`, `report` and `export` do."""
    found: list[Measure] = []
    with TemporaryDirectory() as folder:
        root = str(make_store(rows, Path(folder)).root)
        for part in parts:
            work = partial(timed, part, root, f"{folder}/{part}")
            done = [_in_own_process(work) for _ in range(rounds)]
            found += _measures(NAMES[part].format(f"{rows:,}"), done, has_goals=part == "rank")
    return found


def _measures(name: str, done: Sequence[Work], *, has_goals: bool) -> list[Measure]:
    imports = f"after {min(work.import_seconds for work in done):.1f} s of imports"
    seconds = [work.seconds for work in done]
    found = [measured(name, "s", seconds, at_most=GOAL_SECONDS if has_goals else None, note=imports)]
    peaks = [work.peak_bytes / 1e6 for work in done if work.peak_bytes is not None]
    if peaks:
        held = f"of which {(done[0].imported_bytes or 0) / 1e6:.0f} MB are libraries"
        goal = GOAL_MEGABYTES if has_goals else None
        found.append(measured(f"{name}, peak memory", "MB", peaks, at_most=goal, note=held))
    return found


def _in_own_process(work: Callable[[], T]) -> T:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
        return child.submit(work).result()
