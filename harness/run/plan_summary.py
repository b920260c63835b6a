"""The content of `lrlc plan`: what is done and missing, how long the rest takes, and what the seeds cannot decide."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from lrlc.harness.plan.catalogue import OpenedStudy
from lrlc.harness.plan.cell_lines import cell_lines
from lrlc.harness.plan.disk import disk_bytes
from lrlc.harness.plan.forecast import COLUMNS, Forecast, forecast
from lrlc.harness.plan.machine import Machine, machine_at_hand
from lrlc.harness.plan.planning import Plan, Planner, all_pilots
from lrlc.harness.plan.reuse import stores_beside
from lrlc.harness.plan.widths import Widths
from lrlc.harness.run.session import RunSession, check_search
from lrlc.harness.run.slots import Slots
from lrlc.harness.run.tuning import choices, settled
from lrlc.harness.search.row import stored_rows
from lrlc.harness.search.space import SearchSpace
from lrlc.harness.text import counted, duration
from lrlc.harness.training.worker import thread_count
from lrlc.harness.trial import Trial, blank_result
from lrlc.results.claims import Asked, as_lines, out_of_reach, without_length_check
from lrlc.results.errors import StoreError
from lrlc.results.plans import Stage
from lrlc.results.store import Store
from lrlc.studies import Study


@dataclass(frozen=True)
class Outlook:
    """How long the missing trials will take on a machine, according to rows or timed batches."""

    machine: str
    slots: int
    """Trials at once."""
    forecast: Forecast

    @property
    def wall_seconds(self) -> float | None:
        """Seconds with all slots in use, at least those of the longest trial."""
        total = self.forecast.slot_seconds
        return None if total is None else max(total / self.slots, self.forecast.longest_seconds)

    @staticmethod
    def on(machine: Machine, study: Study, found: Forecast) -> "Outlook":
        share = found.gpu_fraction or study.resources.gpus or 1.0
        a_device = max(1, math.floor(1 / share + 1e-9)) if machine.is_gpu else 1
        return Outlook(machine.said, machine.count * a_device, found)


@dataclass(frozen=True)
class PlanSummary:
    """The counts are of trials unless named suggestions; `done` and `missing` are the grid's."""

    study: str
    grid_trials: int
    done: int
    lent: int
    """The number of done trials whose rows a run copies from other studies."""
    missing: int
    failed: int
    """Trials of any stage that count as done but failed; `lrlc retry` trains them again."""
    pilots: int
    """Trials that tune the grid's settings, and run before it."""
    pilots_missing: int
    untuned: int
    """Trials of the grid whose settings the pilots have not chosen yet; they are counted and forecast with the study's
    own settings."""
    length_trials: int
    length_missing: int
    search_suggestions: int
    search_answered: int
    cells: tuple[str, ...]
    forecast_seconds: float | None
    """Seconds on one slot for all trials with a known time, including a search's; None if none is known."""
    from_rows: int
    from_other_devices: int
    from_probes: int
    unknown: int
    """Trials whose time is unknown."""
    machine: str
    slots: int
    wall_seconds: float | None
    gpu_hours: float | None
    """Total GPU hours; None on a CPU."""
    disk_bytes: int
    """Bytes that the missing trials will use besides the tables, including kept weights."""
    claims: tuple[str, ...]
    """Claims that the plan cannot decide: without a length check, or with too few seeds, and the seeds that could."""

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def summarise_plan(
    opened: OpenedStudy, store: Store, data: Path | None, *, probe: bool = False, on: Machine | None = None
) -> PlanSummary:
    """Compare the study with its table and forecast the rest on this machine, or `on` another.

    With `probe` batches are timed here for trials whose time no row gives. Writes nothing.
    """
    study = opened.study
    check_search(study)
    planner = Planner(opened, data, widths=Widths.of(store, threads=thread_count(study.resources.cpus)))
    groups = planner.pilots()
    known = settled(groups, store)
    planner = planner.with_chosen(choices(known, store)[0])
    grid = planner.grid()
    pilots, plan = Plan.of(all_pilots(groups), store), Plan.of(grid, store)
    shorter = Plan.of(planner.length_check(grid), store)
    space = SearchSpace(opened, planner) if study.search else None
    answered = _answered(space, store.trials()) if space else 0
    missing = [*pilots.missing, *plan.missing, *shorter.missing]
    if space:
        missing += _suggested(space, space.total - answered)
    machine = on or machine_at_hand(study.resources)
    outlook = outlook_of(study, store, missing, machine, data, probe=probe)
    found = outlook.forecast
    return PlanSummary(
        study=study.name,
        grid_trials=len(plan.trials),
        done=plan.done,
        lent=sum(len(each.trial_ids) for each in (*pilots.lent, *plan.lent, *shorter.lent)),
        missing=len(plan.missing),
        failed=len(
            store.broken_trials() & {trial.id for each in (pilots, plan, shorter) for trial in each.trials}
        ),
        pilots=len(pilots.trials),
        pilots_missing=len(pilots.missing),
        untuned=planner.untuned(),
        length_trials=len(shorter.trials),
        length_missing=len(shorter.missing),
        search_suggestions=space.total if space else 0,
        search_answered=answered,
        cells=cell_lines(plan.trials, {trial.id for trial in plan.missing}),
        forecast_seconds=found.slot_seconds,
        from_rows=found.from_rows,
        from_other_devices=found.from_other_devices,
        from_probes=found.from_probes,
        unknown=found.unknown,
        machine=outlook.machine,
        slots=outlook.slots,
        wall_seconds=outlook.wall_seconds,
        gpu_hours=_gpu_hours(machine, outlook),
        disk_bytes=disk_bytes(study, store, missing, data),
        claims=undecidable(study, plan.trials),
    )


def outlook_of(
    study: Study,
    store: Store,
    missing: Sequence[Trial],
    machine: Machine,
    data: Path | None,
    *,
    probe: bool = False,
) -> Outlook:
    """Forecast from the rows of this study and its neighbours; probes use as many threads as a worker."""
    if probe:
        torch.set_num_threads(thread_count(study.resources.cpus))
    past = _past(store) if missing else pd.DataFrame(columns=list(COLUMNS))
    return Outlook.on(machine, study, forecast(missing, past, machine, data, probe=probe))


def outlook_lines(session: RunSession, slots: Slots) -> list[str]:
    """Lines to show before a run: how long it may take, and which claims its seeds cannot decide."""
    study, missing = session.study, session.plan.missing
    of_grid = session.staged.of_stage(Stage.GRID)
    grid = [trial for trial in session.plan.trials if trial.id in of_grid]
    lines = [] if session.is_of_pilots else [f"claims: {each}" for each in undecidable(study, grid)]
    if not missing or slots.address != "local":
        return lines
    machine = machine_at_hand(study.resources)
    if not machine.is_gpu and (asked := 1 if slots.serial else slots.processes or slots.max_in_flight):
        machine = replace(machine, count=asked)
    outlook = outlook_of(study, session.store, missing, machine, session.data_dir)
    if outlook.wall_seconds is None:
        return lines
    unknown = outlook.forecast.unknown
    partly = f", without {counted(unknown, 'trial')} for which no earlier row gives a time" if unknown else ""
    return [f"about {duration(outlook.wall_seconds)} on {outlook.machine}{partly}", *lines]


def undecidable(study: Study, trials: Iterable[Trial]) -> tuple[str, ...]:
    """Lines for tests of claims that need a length check, or more seeds than the study has."""
    rows = pd.DataFrame([vars(blank_result(trial)) for trial in trials])
    if not study.claims or rows.empty:
        return ()
    asked = Asked.of(study)
    return (*without_length_check(asked), *as_lines(out_of_reach(asked, rows)))


def _past(store: Store) -> pd.DataFrame:
    frames = [store.trials(COLUMNS)]
    for other in stores_beside(store):
        try:
            frames.append(Store(other).trials(COLUMNS))
        except StoreError:  # a later version's
            continue
    return pd.concat(frames, ignore_index=True)


def _suggested(space: SearchSpace, count: int) -> list[Trial]:
    """The trials of `count` suggestions, with all kinds and ranks equally often."""
    kinds = list(space.representatives())
    return [
        replace(trial, id=f"suggestion {number} {trial.config.seed}")
        for number in range(count)
        for trial in space.trials(kinds[number % len(kinds)])
    ]


def _gpu_hours(machine: Machine, outlook: Outlook) -> float | None:
    seconds = outlook.forecast.slot_seconds
    if not machine.is_gpu or seconds is None:
        return None
    return seconds * machine.count / outlook.slots / 3600


def _answered(space: SearchSpace, past: pd.DataFrame) -> int:
    return sum(answer.is_whole for answer in space.answers(stored_rows(past)))
