"""The progress display of a run: a live bar in a terminal, plain lines elsewhere."""

import math
import time
from collections import Counter
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lrlc.harness.run.executor import Finished, Started
from lrlc.harness.run.executor import Progress as EpochReport
from lrlc.harness.run.fate import BegunAnew, Fate, NotKept, Retried
from lrlc.harness.text import SECONDS_BETWEEN_LINES, duration, last_line, pace
from lrlc.harness.trial import Trial
from lrlc.results.schema import EpochRecord, TrialResult, TrialStatus
from lrlc.studies.lines import masked, printable


class Display:
    """Counts the driver's events and shows trials done, running and failed, the rate and the time left.

    `total` counts the whole study, `done` the rows in its table before this run. `verbose` prints a line per epoch.
    """

    def __init__(self, total: int, done: int, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._console = Console(stderr=True)
        self._total, self._before, self._done = total, done, done
        self._running: dict[str, _Shares] = {}
        self._endings: Counter[str] = Counter()
        self._latest = ""
        self._start = time.monotonic()
        self._last_line = -math.inf  # so that the first event is shown immediately
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[details]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._task = self._bar.add_task("trials", total=total, completed=done, details="")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()
        else:
            self._plain_line()

    def __call__(self, fate: Fate) -> None:
        label, attempts = fate.trial.label, fate.trial.attempts
        match fate:
            case Started():
                self._running[fate.trial.id] = _Shares()
                if attempts > 1:
                    self._say(f"started again: {label}, attempt {attempts}")
            case EpochReport(record=record):
                self._running.setdefault(fate.trial.id, _Shares()).note(record.epoch, fate.trial)
                self._latest = printable(
                    f"{label}, epoch {record.epoch}: validation {record.validation_accuracy:.1%}"
                )
                if self._verbose:
                    self._say(_epoch_line(fate.trial, record))
            case BegunAnew(reason=reason):
                self._say(f"restarted from the beginning: {label}: its checkpoint {reason}")
            case NotKept(reason=reason):
                self._say(f"{reason}: no weights are kept for {label} and later trials")
            case Retried(reason=reason):
                self._running.pop(fate.trial.id, None)
                self._say(f"to run again: {label} (attempt {attempts}): {reason}")
            case Finished(result=result):
                self._end(fate.trial.id, result.status)
                if result.status is TrialStatus.DIVERGED:
                    self._say(f"diverged: {label}, in epoch {result.epochs_run}")
                elif result.error:
                    ending = result.status.replace("_", " ")
                    self._say(f"{ending}: {label}: {last_line(result.error)}")
                elif missing := _missing_metrics(fate.trial, result):
                    logs = f"`lrlc logs {fate.trial.study} --trial {fate.trial.id}` shows why"
                    self._say(f"finished without metric {', '.join(missing)}: {label}; {logs}")
        if self._console.is_terminal:
            self._bar.update(
                self._task,
                total=self._total,
                completed=self._done,
                details=f"{self._summary()}  {self._latest}",
            )
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._plain_line()

    def _end(self, trial_id: str, status: TrialStatus) -> None:
        self._running.pop(trial_id, None)
        self._done += 1
        self._total = max(self._total, self._done)  # a trial that was counted as done may run again
        self._endings[status.value] += 1

    def _say(self, line: str) -> None:
        self._console.print(masked(printable(line)), markup=False, highlight=False, soft_wrap=True)

    def _plain_line(self) -> None:
        self._last_line = time.monotonic()
        self._say(
            "; ".join(filter(None, [f"{self._done}/{self._total} trials, {self._summary()}", self._latest]))
        )

    def _summary(self) -> str:
        """Running trials count by their epochs, so that the first of hours is not without a forecast."""
        shares = self._running.values()
        trained = self._done - self._before + sum(share.now - share.before for share in shares)
        # A trial that was counted as done may run again.
        left = max(0.0, self._total - self._done - sum(share.now for share in shares))
        per_minute = 60 * trained / (time.monotonic() - self._start)
        parts = [f"{len(self._running)} running"]
        parts += [f"{count} {ending}" for ending, count in self._endings.items() if ending != "finished"]
        if trained:
            parts += [pace(per_minute), f"{duration(60 * left / per_minute)} left"]
        return ", ".join(parts)


@dataclass
class _Shares:
    """The parts of a running trial's epochs that were trained by now, and before this run."""

    now: float = 0.0
    before: float = 0.0

    def note(self, epoch: int, trial: Trial) -> None:
        epochs = trial.config.train.epochs
        if not self.now:
            self.before = (epoch - 1) / epochs
        self.now = epoch / epochs


def _missing_metrics(trial: Trial, result: TrialResult) -> list[str]:
    """The metrics of a finished trial that failed."""
    if result.status is not TrialStatus.FINISHED:
        return []
    return sorted(set(trial.measure.metrics) - {each.name for each in result.metrics})


def _epoch_line(trial: Trial, record: EpochRecord) -> str:
    """'digits conv, learning rate 0.1, seed 0, epoch 2 of 10: training loss 0.312, validation 96.1%, 0.8 s'."""
    return (
        f"{trial.label}, epoch {record.epoch} of {trial.config.train.epochs}: training loss {record.train_loss:.3g}, "
        f"validation {record.validation_accuracy:.1%}, {record.seconds:.2g} s"
    )
