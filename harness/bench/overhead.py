"""The harness's cost per trial, from the driver to the committed row, and the cost of planning; with goals."""

from collections.abc import Sequence
from dataclasses import dataclass

from lrlc.harness.bench.instant import InstantRun, run_grid, run_search
from lrlc.harness.bench.planning import measure_planning, measure_resuming
from lrlc.harness.bench.timing import quartiles

PARTS = ("grid", "tune", "search", "resume", "plan")
LAST_SUGGESTIONS = 100
"""The cost at the end of a search is the mean over this many trials."""

GRID = """
name: overhead
datasets: digits
grid: {{kind: lrlc, rank: 4}}
seeds: {trials}
train: {{epochs: 1}}
"""

SEARCH = """
name: overhead
datasets: digits
grid: {{kind: conv}}
search:
  dataset: digits
  trials: {trials}
  space:
    kind: [conv, lrlc]
    rank: [1, 2, 4]
    placement: subsets
    train:
      learning_rate: {{low: 0.001, high: 1, log: true}}
      momentum: {{low: 0, high: 0.99}}
      warmup_epochs: {{low: 0, high: 5}}
train: {{epochs: 1}}
"""


@dataclass(frozen=True)
class Wanted:
    """Trials per part of the benchmark; `parts` are some of PARTS."""

    trials: Sequence[int]
    slots: int
    tune_trials: int
    search_trials: int
    finished_trials: int
    planned_trials: int
    rounds: int
    parts: Sequence[str]


@dataclass(frozen=True)
class Measure:
    """A number, its quartiles if it was measured more than once, and whether it meets its goal (None without a goal).

    `value` is None if it could not be measured; the note then says why.
    """

    name: str
    unit: str
    value: float | None
    low: float | None = None
    high: float | None = None
    goal: str = ""
    met: bool | None = None
    note: str = ""


def measure_overhead(wanted: Wanted) -> list[Measure]:
    """Run every requested part, one after the other."""
    found: list[Measure] = []
    if "grid" in wanted.parts or "tune" in wanted.parts:
        found += _grid_and_tune(wanted)
    if "search" in wanted.parts:
        found += _search(run_search(SEARCH.format(trials=wanted.search_trials), wanted.slots))
    if "resume" in wanted.parts:
        found += _resuming(wanted.finished_trials)
    if "plan" in wanted.parts:
        found += _planning(wanted.planned_trials)
    return found


def _grid_and_tune(wanted: Wanted) -> list[Measure]:
    """The shortest grid and Ray Tune take turns; the longer grids run once."""
    shortest, *longer = sorted(wanted.trials)
    short_runs: list[InstantRun] = []
    tune_ms: list[float] = []
    why_not = ""
    for _ in range(wanted.rounds):
        if "grid" in wanted.parts:
            short_runs.append(_grid(shortest, wanted.slots))
        if "tune" in wanted.parts:
            try:
                from lrlc.harness.bench.tune import seconds_per_tune_trial
            except ImportError as error:
                why_not = f"not measured: {error}"
            else:
                tune_ms.append(1e3 * seconds_per_tune_trial(wanted.tune_trials, wanted.slots))
    found: list[Measure] = []
    short_ms = [run.ms_per_trial for run in short_runs]
    if short_ms:
        long_runs = [_grid(trials, wanted.slots) for trials in longer]
        found += [
            _per_trial(shortest, short_ms),
            *(_per_trial(r.trials, [r.ms_per_trial]) for r in long_runs),
        ]
        found += of_longest(short_runs[-1], [*short_runs, *long_runs][-1])
    if "tune" in wanted.parts:
        note = why_not or f"{wanted.tune_trials} trials, reuse_actors=True"
        found.append(measured("Ray Tune, a trial", "ms", tune_ms, note=note))
    if short_ms and tune_ms:
        ratios = [its / mine for its, mine in zip(tune_ms, short_ms, strict=True)]
        found.append(measured(f"Ray Tune over our {shortest:,} trials", "x", ratios, at_least=10))
    return found


def _grid(trials: int, slots: int) -> InstantRun:
    return run_grid(GRID.format(trials=trials), slots)


def _per_trial(trials: int, milliseconds: Sequence[float]) -> Measure:
    return measured(f"grid of {trials:,}, a trial", "ms", milliseconds, at_most=3)


def of_longest(shortest: InstantRun, longest: InstantRun) -> list[Measure]:
    """How a long run compares with a short one, how much memory its driver keeps, and how many parts it writes."""
    found = []
    if longest is not shortest:
        growth = longest.ms_per_trial / shortest.ms_per_trial
        found.append(
            measured(f"{longest.trials:,} over {shortest.trials:,}, a trial", "x", [growth], at_most=1.1)
        )
    if longest.resident_bytes:
        begin, tenth, end = longest.resident_bytes
        kept = (end - tenth) / (0.9 * longest.trials)
        found.append(measured(f"driver memory, begin of {longest.trials:,}", "MB", [begin / 1e6]))
        found.append(measured("driver memory, end", "MB", [end / 1e6]))
        note = "from a tenth of the trials to the end"
        found.append(measured("driver memory, growth a trial", "bytes", [kept], at_most=1000, note=note))
    per_second = longest.parts / longest.seconds
    found.append(
        measured(
            "parts a second while running",
            "parts/s",
            [per_second],
            at_most=1,
            note=f"{longest.parts} parts in {longest.seconds:.1f} s",
        )
    )
    found.append(measured("parts at the end, compacted", "parts", [longest.parts_compacted], at_most=1))
    return found


def _search(run: InstantRun) -> list[Measure]:
    last = run.ended_at[-LAST_SUGGESTIONS - 1 :]
    at_end = 1e3 * (last[-1] - last[0]) / (len(last) - 1)
    name = f"search by TPE of {run.trials:,}"
    return [
        measured(f"{name}, a trial at the end", "ms", [at_end], at_most=15, note=f"the last {len(last) - 1}"),
        measured(f"{name}, a trial on average", "ms", [run.ms_per_trial], at_most=15),
    ]


def _resuming(trials: int) -> list[Measure]:
    found = measure_resuming(trials)
    name = f"{found.opened.trials:,} finished trials"
    imports = f"after {found.opened.import_seconds:.1f} s of imports and data"
    return [
        measured(f"resume {name}", "s", [found.opened.seconds], at_most=2, note=imports),
        measured(f"lrlc plan, {name}", "s", [found.plan_seconds], at_most=2, note="without imports and data"),
        measured(f"lrlc plan, {name}, from the shell", "s", [found.command_seconds], note="imports and all"),
    ]


def _planning(trials: int) -> list[Measure]:
    found = measure_planning(trials)
    name = f"plan {found.trials:,} trials"
    measures = [measured(name, "s", [found.seconds])]
    if found.peak_bytes is not None:
        measures.append(measured(f"{name}, peak memory", "MB", [found.peak_bytes / 1e6], at_most=1000))
    return measures


def measured(
    name: str,
    unit: str,
    values: Sequence[float],
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    note: str = "",
) -> Measure:
    """The median of `values` with their quartiles, against a goal."""
    if not values:
        return Measure(name, unit, None, note=note)
    low, middle, high = quartiles(values)
    goal, met = "", None
    if at_most is not None:
        goal, met = f"at most {at_most:g}", middle <= at_most
    elif at_least is not None:
        goal, met = f"at least {at_least:g}", middle >= at_least
    one = len(values) == 1
    return Measure(name, unit, middle, None if one else low, None if one else high, goal, met, note)
