"""The executor's interface: submit trials, wait for what they report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lrlc.harness.trial import Checkpoint, KeptWeights, Record, Trial
from lrlc.results.schema import EpochRecord, TrialResult


@dataclass(frozen=True)
class Started:
    """The trial's network is built; `known` has its parameters, FLOPs and provenance."""

    trial: Trial
    known: TrialResult


@dataclass(frozen=True)
class Progress:
    """An epoch has ended."""

    trial: Trial
    record: EpochRecord


@dataclass(frozen=True)
class Saved:
    """A checkpoint from which the trial can resume."""

    trial: Trial
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Kept:
    """Weights to keep from a trial that is about to finish."""

    trial: Trial
    weights: KeptWeights


@dataclass(frozen=True)
class Printed:
    """What the trial wrote to its standard output and error since the last such event."""

    trial: Trial
    text: str


@dataclass(frozen=True)
class Finished:
    """The trial ended and this is its row, whatever its status."""

    trial: Trial
    result: TrialResult


@dataclass(frozen=True)
class Lost:
    """The worker died during the trial; only its last checkpoint remains.

    `with_node`: the whole machine was lost, which is never the trial's fault. `out_of_memory`: the machine's memory
    ran out.
    """

    trial: Trial
    reason: str
    with_node: bool = False
    out_of_memory: bool = False


Event = Started | Progress | Saved | Kept | Printed | Finished | Lost


class Executor(Protocol):
    """Runs as many trials at once as fit."""

    @property
    def has_room(self) -> bool:
        """Whether another trial could be placed now."""

    def share(self, trial: Trial) -> float:
        """The GPUs that `trial` will hold; consecutive trials with equal shares reuse the workers."""

    def place(self, trial: Trial) -> Trial | None:
        """`trial` with the share of a GPU that it will hold; None if it must wait for room."""

    def submit(self, trial: Trial, resume: Checkpoint | None = None) -> None:
        """Start a trial that `place` returned."""

    def wait(self, timeout_seconds: float) -> Sequence[Event]:
        """Block for at most `timeout_seconds` until something is reported; returns all new events."""

    def stop(self, trial: Trial, *, hung: bool = False) -> str:
        """Stop a running trial, which then reports nothing more; if it hangs, its worker is stopped as well.

        Returns what it has printed since the last report.
        """

    def release(self) -> None:
        """Free resources reserved for further trials, as none will be started."""

    def close(self) -> None:
        """Stop everything and free all resources."""


def as_events(trial: Trial, records: Sequence[Record], started: bool) -> list[Event]:
    """A worker's records as the driver's events; the first result it sends is the start, the second the end."""
    events: list[Event] = []
    for record in records:
        if isinstance(record, EpochRecord):
            events.append(Progress(trial, record))
        elif isinstance(record, Checkpoint):
            events.append(Saved(trial, record))
        elif isinstance(record, KeptWeights):
            events.append(Kept(trial, record))
        elif started or record.error:
            events.append(Finished(trial, record))
        else:
            events.append(Started(trial, record))
    return events
