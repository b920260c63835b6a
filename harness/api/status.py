"""The status of a study: its rows by status, missing trials, damage, its driver, and a search's best suggestions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrlc.harness.run.lease import Held, running_driver
from lrlc.results.damage import Damage
from lrlc.results.schema import BROKEN
from lrlc.results.statistics.pareto import as_records, best
from lrlc.results.store import Store


@dataclass(frozen=True)
class Failure:
    """A planned trial that ended as failed, timed_out or out_of_memory."""

    trial_id: str
    status: str
    error: str | None


@dataclass(frozen=True)
class StudyStatus:
    """The information in `lrlc status`; `as_dict` is its JSON."""

    rows: Mapping[str, int]
    """Number of trials by status."""
    missing: int | None
    """Planned trials without a row; None if no plan was ever written."""
    is_of_pilots: bool
    """Whether the plan only has pilots; the grid is planned once they have ended."""
    failures: tuple[Failure, ...]
    stale: tuple[str, ...]
    """Trials with a row that are no longer in any plan."""
    damaged: tuple[Damage, ...]
    set_aside: tuple[str, ...]
    """Damaged files that a run moved away."""
    driver: Held | None
    """The driver that runs the study now."""
    best: tuple[dict[str, Any], ...] | None
    """A search's best suggestions; None without a search."""

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "rows": dict(self.rows),
            "missing": self.missing,
            "failures": [vars(each) for each in self.failures],
            "unplanned": list(self.stale),
            "damaged": [str(each.path) for each in self.damaged],
            "set_aside": list(self.set_aside),
            "driver": self.driver.as_dict() if self.driver else None,
        }
        return found if self.best is None else {**found, "best": list(self.best)}


def status_of(store: Store, profile: str | None = None) -> StudyStatus:
    """The status of a profile (None: the one run last). Reads the tables once; nothing is written."""
    planned, stale = store.staged_plan(profile), store.unplanned()
    ids = set(store.trials(["trial_id"])["trial_id"])
    return StudyStatus(
        rows=store.counts(),
        missing=None if planned is None else len(planned.trial_ids - ids),
        is_of_pilots=planned is not None and planned.is_of_pilots,
        failures=_failures(store, stale),
        stale=tuple(sorted(stale)),
        damaged=tuple(store.damaged()),
        set_aside=tuple(map(str, store.set_aside())),
        driver=running_driver(store.root),
        best=_best(store, profile),
    )


def _failures(store: Store, stale: set[str]) -> tuple[Failure, ...]:
    rows = store.trials(["trial_id", "status", "error"])
    broken = rows[rows["status"].isin([str(ending) for ending in BROKEN]) & ~rows["trial_id"].isin(stale)]
    return tuple(Failure(*map(str, row)) for row in broken.itertuples(index=False, name=None))


def _best(store: Store, profile: str | None) -> tuple[dict[str, Any], ...] | None:
    asked = store.study(profile)
    if asked is None or asked.study.search is None:
        return None
    search = asked.study.search
    rows = store.with_metrics(store.planned_trials(profile), search.metrics)
    return tuple(as_records(best(rows, search), search))
