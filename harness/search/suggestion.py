"""One question to Optuna, while its trials run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import optuna

from lrlc.harness.search.row import Row
from lrlc.harness.trial import Trial

Key = tuple[tuple[str, Any], ...]
"""A suggestion's values, whatever their order."""


@dataclass
class Suggestion:
    """One question to Optuna: its trials (one a seed), the rows they have and the accuracies they reported."""

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
        """Tell the pruner of each step once; Optuna warns of the second time."""
        for step in sorted(values.keys() - self.reported):
            self.asked.report(values[step], step)
            self.reported.add(step)


def mean_curve(curves: Iterable[Sequence[float]]) -> dict[int, float]:
    """By epoch, from 1, the mean over the seeds, as far as all of them have come."""
    return {epoch: fmean(values) for epoch, values in enumerate(zip(*curves, strict=False), 1)}


def key_of(params: Mapping[str, Any]) -> Key:
    return tuple(sorted(params.items()))
