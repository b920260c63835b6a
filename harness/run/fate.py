"""The driver's decisions about trials, as events for the display, which only counts them."""

from dataclasses import dataclass

from lrlc.harness.run.executor import Finished, Progress, Started
from lrlc.harness.trial import Trial


@dataclass(frozen=True)
class BegunAnew:
    """The trial's checkpoint is unusable, so it starts from the beginning; `reason` continues 'its checkpoint ...'."""

    trial: Trial
    reason: str


@dataclass(frozen=True)
class Retried:
    """The attempt ended without a usable result, and the trial will run again."""

    trial: Trial
    reason: str


@dataclass(frozen=True)
class NotKept:
    """The weights that the study keeps were not written for this trial."""

    trial: Trial
    reason: str


Fate = Started | Progress | BegunAnew | Retried | NotKept | Finished
"""`Finished` is the end of the trial, with any status."""
