"""How long the missing trials will take: from rows of similar trials, or else from a few timed batches."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lrlc.harness.data import Dataset, as_loaded, load_dataset
from lrlc.harness.plan.probe import probe as timed
from lrlc.harness.text import NowAndThen
from lrlc.harness.trial import Trial

PROBED_BATCHES = 2
FORWARD_SHARE = 1 / 3
"""Evaluating an image costs about a third of training on it (one pass of three)."""

UNLIKE = ("seed", "placement", "options")
"""What two trials may differ in and still take about as long; and of their training settings:"""
UNLIKE_IN_TRAINING = ("learning_rate", "momentum", "warmup_epochs")


@dataclass(frozen=True)
class Forecast:
    """Seconds of work left for one slot, and how many missing trials rest on rows and on probes."""

    slot_seconds: float | None
    from_rows: int
    from_probes: int


def forecast(missing: Sequence[Trial], past: pd.DataFrame, data_dir: Path | None, *, probe: bool) -> Forecast:
    """Add up the expected seconds of `missing`; each group of like trials without a past row is probed once.

    Without `probe` such a group leaves the sum unknown (None).
    """
    groups: dict[str, list[Trial]] = {}
    for trial in missing:
        groups.setdefault(_likeness(trial.config.canonical()), []).append(trial)
    known = _past_seconds(past) if groups else {}
    unknown, lines = [likeness for likeness in groups if likeness not in known], NowAndThen()
    seconds, from_rows, datasets = 0.0, 0, dict[object, Dataset]()
    for likeness, trials in groups.items():
        expected = known.get(likeness)
        if expected is not None:
            from_rows += len(trials)
        elif not probe:
            return Forecast(None, from_rows, 0)
        else:
            spec = as_loaded(trials[0].config.dataset)
            if spec not in datasets:
                datasets[spec] = load_dataset(spec, data_dir)
            number = f"{unknown.index(likeness) + 1} of {len(unknown)}"
            with lines.about(
                f"timing a few batches of {trials[0].cell_label} ({number}); --no-probe leaves it out"
            ):
                expected = _probe(trials[0], datasets[spec])
        seconds += expected * len(trials)
    return Forecast(seconds, from_rows, len(missing) - from_rows)


def _likeness(config: Mapping[str, Any]) -> str:
    training = {key: value for key, value in config["train"].items() if key not in UNLIKE_IN_TRAINING}
    rest = {key: value for key, value in config.items() if key not in UNLIKE}
    return json.dumps({**rest, "train": training}, sort_keys=True)


def _past_seconds(past: pd.DataFrame) -> dict[str, float]:
    """Mean seconds of the finished trials, by likeness."""
    finished = past.loc[past["status"] == "finished", ["config", "total_seconds"]]
    like = finished["config"].map(lambda config: _likeness(json.loads(config)))
    return {str(key): float(mean) for key, mean in finished.groupby(like)["total_seconds"].mean().items()}


def _probe(trial: Trial, dataset: Dataset) -> float:
    """Train on a few batches twice and scale the second, warm pass to the whole trial."""
    settings, asked = trial.config.train, trial.config.dataset
    train_images = (asked.train_images if asked.draw == "seed" else None) or len(dataset.train.labels)
    _, per_image = timed(trial, dataset, PROBED_BATCHES, epochs=2)
    evaluated = settings.epochs * len(dataset.validation.labels) + len(dataset.test.labels)
    return per_image * (settings.epochs * train_images + FORWARD_SHARE * evaluated)
