"""The interface of a logger, and the columns that all of them log."""

import json
from typing import Any, Protocol

from lrlc.harness.trial import Trial
from lrlc.results.schema import EpochRecord, TrialResult

EPOCH_METRICS = (
    "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate", "seconds",
)  # fmt: skip
"""Logged columns of an epoch."""
FINAL_METRICS = (
    "test_accuracy", "test_loss", "parameters", "flops_per_image", "train_seconds", "total_seconds", "epochs_run",
)  # fmt: skip
"""Logged columns of a trial's row."""


class Logger(Protocol):
    """Writes to one tracker, from one thread; any exception ends its logging, but not the study."""

    def begin(self, trial: Trial) -> None:
        """The trial starts: clear its run of anything left by an earlier attempt."""

    def log(self, trial: Trial, record: EpochRecord) -> None:
        """An epoch of a started trial, each once and in order."""

    def end(self, trial: Trial, result: TrialResult) -> None:
        """The trial has ended with this row; all of its epochs have been logged."""

    def close(self) -> None:
        """Nothing more will be logged; unfinished trials continue in another run of the study."""


def settings(trial: Trial) -> dict[str, str | int | float | bool]:
    """Everything that defines the trial, with dotted keys: 'train.epochs'."""
    flat: dict[str, str | int | float | bool] = {"study": trial.study, "trial_id": trial.id}
    _flatten(trial.config.canonical(), "", flat)
    return flat


def epoch_metrics(record: EpochRecord) -> dict[str, float]:
    return {name: float(getattr(record, name)) for name in EPOCH_METRICS}


def final_metrics(result: TrialResult) -> dict[str, float]:
    """The known final metrics, and those of plugins; a trial that was stopped has no test accuracy."""
    known = {name: getattr(result, name) for name in FINAL_METRICS}
    own = {each.name: each.value for each in result.metrics}
    return own | {name: float(value) for name, value in known.items() if value is not None}


def _flatten(value: Any, name: str, flat: dict[str, str | int | float | bool]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _flatten(inner, f"{name}.{key}" if name else key, flat)
    elif isinstance(value, list):
        flat[name] = (
            "+".join(map(str, value))
            if all(isinstance(each, int | str) for each in value)
            else json.dumps(value)
        )
    elif value is not None:
        flat[name] = value
