"""The executor's interface: submit trials, wait for what they report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.trial import Trial
from results.schema import EpochRecord, TrialResult


@dataclass(frozen=True)
class Started:
    """The trial's network is built; `known` holds parameters, FLOPs and provenance."""

    trial: Trial
    known: TrialResult


@dataclass(frozen=True)
class Progress:
    """An epoch is over."""

    trial: Trial
    record: EpochRecord


@dataclass(frozen=True)
class Finished:
    """The trial ended and this is its row, whatever its status."""

    trial: Trial
    result: TrialResult


@dataclass(frozen=True)
class Lost:
    """The worker died with the trial in it; nothing of it is kept."""

    trial: Trial
    reason: str


Event = Started | Progress | Finished | Lost


class Executor(Protocol):
    """Runs up to `slots` trials at a time."""

    @property
    def slots(self) -> int:
        """How many trials can run at once now."""

    @property
    def gpu_fraction(self) -> float | None:
        """The share of a GPU that each trial holds; None on a CPU."""

    def submit(self, trial: Trial) -> None:
        """Start `trial`; call it only while fewer than `slots` run."""

    def wait(self, timeout_seconds: float) -> Sequence[Event]:
        """Block until something is reported, at most `timeout_seconds`; then everything that was."""

    def stop(self, trial: Trial) -> None:
        """Stop a running trial; nothing more is reported of it."""

    def close(self) -> None:
        """Stop everything and free what is held."""


def as_event(trial: Trial, record: EpochRecord | TrialResult, started: bool) -> Event:
    """A worker's record as the driver's event; the first result it sends is the start, the second the end."""
    if isinstance(record, EpochRecord):
        return Progress(trial, record)
    return Finished(trial, record) if started or record.error else Started(trial, record)
