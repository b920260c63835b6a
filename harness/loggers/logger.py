"""What a logger is, and what all of them say of a trial."""

import json
from typing import Any, Protocol

from lrlc.harness.trial import Trial
from lrlc.results.schema import EpochRecord, TrialResult

EPOCH_METRICS = (
    "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate", "seconds",
)  # fmt: skip
"""Columns of an epoch."""
FINAL_METRICS = (
    "test_accuracy", "test_loss", "parameters", "flops_per_image", "train_seconds", "total_seconds", "epochs_run",
)  # fmt: skip
"""Columns of a trial's row."""


class Logger(Protocol):
    """Writes to one tracker, from one thread; whatever it raises ends its logging, and only that."""

    def begin(self, trial: Trial) -> None:
        """The trial starts: its run is empty from now on, whatever an earlier attempt has left in it."""

    def log(self, trial: Trial, record: EpochRecord) -> None:
        """An epoch of a trial that has begun, each once and in order."""

    def end(self, trial: Trial, result: TrialResult) -> None:
        """The trial has ended with this row; its epochs have all been logged."""

    def close(self) -> None:
        """No more is logged; trials that have begun and not ended go on in another run of the study."""


def settings(trial: Trial) -> dict[str, str | int | float | bool]:
    """All that defines the trial, with dots: 'train.epochs'."""
    flat: dict[str, str | int | float | bool] = {"study": trial.study, "trial_id": trial.id}
    _flatten(trial.config.canonical(), "", flat)
    return flat


def epoch_metrics(record: EpochRecord) -> dict[str, float]:
    return {name: float(getattr(record, name)) for name in EPOCH_METRICS}


def final_metrics(result: TrialResult) -> dict[str, float]:
    """What is known of them: a trial that was stopped has no test accuracy."""
    known = {name: getattr(result, name) for name in FINAL_METRICS}
    return {name: float(value) for name, value in known.items() if value is not None}


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
