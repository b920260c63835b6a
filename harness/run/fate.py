"""What becomes of a trial, as the driver decides it: for the display, which only counts."""

from dataclasses import dataclass

from lrlc.harness.run.executor import Finished, Progress, Started
from lrlc.harness.trial import Trial


@dataclass(frozen=True)
class BegunAnew:
    """The trial's checkpoint cannot serve it, and it begins at its start; `reason` continues 'its checkpoint ...'."""

    trial: Trial
    reason: str


@dataclass(frozen=True)
class Retried:
    """The attempt has ended without a result that counts, and the trial will run again."""

    trial: Trial
    reason: str


@dataclass(frozen=True)
class NotKept:
    """The trial's weights, which its study asks for, were not kept."""

    trial: Trial
    reason: str


Fate = Started | Progress | BegunAnew | Retried | NotKept | Finished
"""`Finished` is the trial's end, whatever its status."""
