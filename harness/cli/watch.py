"""`lrlc status --watch`: a study's progress, read from its tables alone, so it works on any machine with access."""

import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from lrlc.harness.text import duration, last_line, pace
from lrlc.results.schema import BROKEN
from lrlc.results.store import Store
from lrlc.studies.lines import masked, printable

WINDOWS = (timedelta(minutes=5), timedelta(hours=1))
"""Windows for the rate: the last minutes, or the last hour if those have fewer rows than FEW_ROWS."""

FEW_ROWS = 3

SETTLED_SECONDS = 10.0
"""A search plans its next trials when one ends, so it is over only if nothing has been missing for this long."""


@dataclass(frozen=True)
class View:
    """The current state of the tables; `missing` is None if no plan has been written yet."""

    counts: dict[str, int]
    done: int
    missing: int | None
    rows_per_minute: float | None
    last_error: str | None
    is_of_pilots: bool = False
    """Whether the grid will only be planned once its pilots have ended."""

    @property
    def line(self) -> str:
        what = "pilots" if self.is_of_pilots else "trials"
        parts = [
            f"{self.done} done" if self.missing is None else f"{self.done}/{self.done + self.missing} {what}"
        ]
        parts += [f"{count} {status}" for status, count in self.counts.items()]
        if self.missing is not None:
            parts.append(f"{self.missing} missing")
        if self.missing != 0 and self.rows_per_minute:
            parts.append(pace(self.rows_per_minute))
            if self.missing:
                parts.append(f"{duration(60 * self.missing / self.rows_per_minute)} left")
        return ", ".join(parts)


def look(store: Store, now: datetime) -> View:
    """Read the tables once."""
    rows = store.trials(["trial_id", "status", "error", "started_at", "ended_at"])
    staged = store.staged_plan()
    plan = None if staged is None else staged.trial_ids
    missing = None if plan is None else len(plan - set(rows["trial_id"]))
    errors = (
        rows.loc[rows["status"].isin([str(status) for status in BROKEN])]
        .sort_values("ended_at")["error"]
        .dropna()
    )
    error = last_line(str(errors.iloc[-1])) if len(errors) else ""
    return View(
        counts=store.counts(),
        done=len(rows) if plan is None else len(plan) - (missing or 0),
        missing=missing,
        rows_per_minute=_rate(rows, now),
        last_error=masked(printable(error)) or None,
        is_of_pilots=staged is not None and staged.is_of_pilots,
    )


def _rate(rows: pd.DataFrame, now: datetime) -> float | None:
    """Rows per minute by their end times; over less than the window if the first trial began within it."""
    for window in WINDOWS:
        recent = rows[rows["ended_at"] > now - window]
        if len(recent) >= FEW_ROWS:
            since = max(now - window, rows["started_at"].min())
            return 60 * len(recent) / max(1.0, float((now - since).total_seconds()))
    return None


def watch(store: Store, seconds: float, console: Console) -> None:
    """Show the study every `seconds` until nothing is missing: in place in a terminal, else a line per change."""
    shown: set[str] = set()
    settled_at: float | None = None
    with (
        Live(console=console, auto_refresh=False) if console.is_terminal else contextlib.nullcontext() as live
    ):
        while True:
            view = look(store, datetime.now(UTC))
            if live is not None:
                live.update(_panel(store, view), refresh=True)
            else:
                _print_new(console, view, shown)
            has_no_plan = view.missing is None and view.done > 0  # a run writes its plan before the first row
            is_over = has_no_plan or (view.missing == 0 and not view.is_of_pilots)
            settled_at = (settled_at or time.monotonic()) if is_over else None
            if settled_at is not None and (
                not _searches(store) or time.monotonic() - settled_at > SETTLED_SECONDS
            ):
                return
            time.sleep(seconds)


def _print_new(console: Console, view: View, shown: set[str]) -> None:
    lines = [view.line, *([f"last error: {view.last_error}"] if view.last_error else [])]
    for line in lines:
        if line not in shown:
            shown.add(line)
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def _panel(store: Store, view: View) -> Group:
    bar = ProgressBar(total=max(1, view.done + (view.missing or 0)), completed=view.done, width=60)
    error = Text(f"last error: {view.last_error}" if view.last_error else "", style="red")
    return Group(Text(str(store.root), style="bold"), bar, Text(view.line), error)


def _searches(store: Store) -> bool:
    record = store.study()
    return record is not None and record.study.search is not None
