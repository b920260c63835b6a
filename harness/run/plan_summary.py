"""What `lrlc plan` says: a study against its table, and how long the rest will take."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch

from lrlc.harness.plan.catalogue import OpenedStudy
from lrlc.harness.plan.forecast import Forecast, forecast
from lrlc.harness.plan.planning import Plan, Planner, all_pilots
from lrlc.harness.plan.widths import Widths
from lrlc.harness.run.session import check_search
from lrlc.harness.run.tuning import choices, settled
from lrlc.harness.search.row import stored_rows
from lrlc.harness.search.space import SearchSpace
from lrlc.harness.text import counted
from lrlc.harness.training.worker import thread_count
from lrlc.harness.trial import Trial
from lrlc.results.store import Store


@dataclass(frozen=True)
class PlanSummary:
    """Counts are trials, or suggestions where they say so; `done` and `missing` are the grid's."""

    study: str
    grid_trials: int
    done: int
    lent: int
    """Of those done, the trials whose rows a run takes from other studies."""
    missing: int
    pilots: int
    """What is tried to tune the grid's settings; they run before it."""
    pilots_missing: int
    untuned: int
    """Trials of the grid whose setting the pilots have not chosen yet: they count, and are forecast, with the
    study's own."""
    length_trials: int
    length_missing: int
    search_suggestions: int
    search_answered: int
    cells: tuple[str, ...]
    forecast_seconds: float | None
    from_rows: int
    from_probes: int

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def summarise_plan(opened: OpenedStudy, store: Store, data: Path | None, *, probe: bool) -> PlanSummary:
    """Compare the study with its table and forecast the rest, with timed batches if `probe`; writes nothing."""
    study = opened.study
    check_search(study)
    planner = Planner(opened, data, widths=Widths.of(store, threads=thread_count(study.resources.cpus)))
    groups = planner.pilots()
    known = settled(groups, store)
    planner = planner.with_chosen(choices(known, store)[0])
    grid = planner.grid()
    pilots, plan = Plan.of(all_pilots(groups), store), Plan.of(grid, store)
    shorter = Plan.of(planner.length_check(grid), store)
    past = store.trials()
    expected = _forecast(opened, (pilots, plan, shorter), past, data, probe=probe)
    space = SearchSpace(opened, planner) if study.search else None
    return PlanSummary(
        study=study.name,
        grid_trials=len(plan.trials),
        done=plan.done,
        lent=sum(len(each.trial_ids) for each in (*pilots.lent, *plan.lent, *shorter.lent)),
        missing=len(plan.missing),
        pilots=len(pilots.trials),
        pilots_missing=len(pilots.missing),
        untuned=planner.untuned(),
        length_trials=len(shorter.trials),
        length_missing=len(shorter.missing),
        search_suggestions=space.total if space else 0,
        search_answered=_answered(space, past) if space else 0,
        cells=_cells(plan.trials),
        forecast_seconds=expected.slot_seconds,
        from_rows=expected.from_rows,
        from_probes=expected.from_probes,
    )


def _forecast(
    opened: OpenedStudy, plans: Sequence[Plan], past: pd.DataFrame, data: Path | None, *, probe: bool
) -> Forecast:
    """On as many threads as a worker has, for the timed batches."""
    torch.set_num_threads(thread_count(opened.study.resources.cpus))
    return forecast([trial for plan in plans for trial in plan.missing], past, data, probe=probe)


def _answered(space: SearchSpace, past: pd.DataFrame) -> int:
    return sum(answer.is_whole for answer in space.answers(stored_rows(past)))


def _cells(trials: Sequence[Trial]) -> tuple[str, ...]:
    """One line per cell of the grid: what it is and its number of trials."""
    cells = Counter(trial.cell_label for trial in trials)
    return tuple(f"{cell}: {counted(count, 'trial')}" for cell, count in cells.items())
