"""One suggestion of Optuna while its trials run, and the accuracies that a pruner sees of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import optuna

from lrlc.harness.search.row import Row
from lrlc.harness.trial import Trial
from lrlc.results.schema import TrialStatus

Key = tuple[tuple[str, Any], ...]
"""A suggestion's values, in an order that does not depend on how they were drawn."""


@dataclass
class Suggestion:
    """One suggestion of Optuna: its trials (one per seed), their rows and the accuracies they reported."""

    asked: optuna.Trial
    trials: tuple[Trial, ...]
    rows: dict[str, Row] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)
    reported: set[int] = field(default_factory=set)
    pruned: bool = False

    @property
    def missing(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.id not in self.rows]

    def report(self, values: Mapping[int, float]) -> None:
        """Report each step to the pruner once; Optuna warns if a step is reported twice."""
        for step in sorted(values.keys() - self.reported):
            self.asked.report(values[step], step)
            self.reported.add(step)


def mean_curve(curves: Iterable[Sequence[float]]) -> dict[int, float]:
    """Mean over the seeds by epoch, from 1, up to the last epoch that all of them have reached."""
    return {epoch: fmean(values) for epoch, values in enumerate(zip(*curves, strict=False), 1)}


def key_of(params: Mapping[str, Any]) -> Key:
    return tuple(sorted(params.items()))


def final_accuracies(trials: Sequence[Trial], rows: Mapping[str, Row]) -> dict[int, float]:
    """The final validation accuracy of each trial that finished, by the position of its seed."""
    return {
        step: rows[trial.id].metrics["validation_accuracy"]
        for step, trial in enumerate(trials)
        if trial.id in rows and rows[trial.id].status == TrialStatus.FINISHED
    }
