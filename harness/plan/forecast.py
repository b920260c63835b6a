"""How long the missing trials will take: from rows of similar trials, or else from a few timed batches."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pandas as pd

from lrlc.harness.data import Dataset, as_loaded, load_dataset
from lrlc.harness.plan.machine import Machine
from lrlc.harness.plan.probe import probe as timed
from lrlc.harness.text import NowAndThen
from lrlc.harness.trial import Trial

PROBED_BATCHES = 2
FORWARD_SHARE = 1 / 3
"""Evaluating an image costs about a third of training on it (one pass of three)."""

UNLIKE = ("seed", "placement", "options")
"""Settings in which two trials may differ and still take about equally long; below, those of training:"""
UNLIKE_IN_TRAINING = (
    "learning_rate",
    "momentum",
    "warmup_epochs",
    "weight_decay",
    "schedule",
    "decay_epochs",
    "decay_rate",
    "label_smoothing",
    "crop_padding",
    "mixup_alpha",
)

COLUMNS = ("status", "config", "total_seconds", "device", "gpu_fraction")
"""Columns of earlier rows."""


class Likeness(NamedTuple):
    """What trials that take about equally long have in common; without the epochs, they do per epoch."""

    settings: str
    epochs: int


@dataclass(frozen=True)
class Forecast:
    """Seconds of work left for one slot, and the sources of the forecasts by number of missing trials."""

    slot_seconds: float | None = None
    """None if no trial's time is known."""
    longest_seconds: float = 0.0
    """Seconds of the longest trial."""
    from_rows: int = 0
    """Forecast from rows of the requested device."""
    from_other_devices: int = 0
    """Forecast from rows of other devices: scaled by the times of similar trials on both, or else, for this machine's
    CPU or GPUs, from rows of other CPUs or GPUs as they are."""
    from_probes: int = 0
    unknown: int = 0
    """Trials whose time is unknown, which are not in the sum."""
    gpu_fraction: float | None = None
    """The share of a GPU in the rows of the device."""

    def plus(self, seconds: float, count: int, **counts: int) -> "Forecast":
        """The forecast plus `count` trials of `seconds` each."""
        longest = max(self.longest_seconds, seconds)
        total = (self.slot_seconds or 0.0) + seconds * count
        return replace(self, slot_seconds=total, longest_seconds=longest, **counts)


class MeanSeconds:
    """Mean times of similar trials, from a table with the columns `settings`, `epochs` and `seconds`."""

    def __init__(self, rows: pd.DataFrame) -> None:
        whole = rows.groupby(["settings", "epochs"])["seconds"].mean()
        per_epoch = (rows["seconds"] / rows["epochs"]).groupby(rows["settings"]).mean()
        self._whole = {Likeness(*key): float(mean) for key, mean in zip(whole.index, whole, strict=True)}
        self._per_epoch = {str(key): float(mean) for key, mean in per_epoch.items()}

    def of(self, likeness: Likeness) -> float | None:
        """From trials with as many epochs, or else in proportion to the epochs of others."""
        per_epoch = self._per_epoch.get(likeness.settings)
        return self._whole.get(likeness, None if per_epoch is None else per_epoch * likeness.epochs)

    def ratios(self, other: "MeanSeconds") -> list[float]:
        """This time over the other's, for all trials that both have."""
        return [self._whole[key] / other._whole[key] for key in self._whole.keys() & other._whole.keys()]


class PastSeconds:
    """The times of similar trials, by device."""

    def __init__(self, past: pd.DataFrame, machine: Machine) -> None:
        finished = past[past["status"] == "finished"]
        like = [_likeness(json.loads(config)) for config in finished["config"]]
        seconds = pd.DataFrame(like, columns=["settings", "epochs"], index=finished.index).assign(
            seconds=finished["total_seconds"].astype(float)
        )
        is_there = finished["device"].fillna("").str.contains(machine.device, case=False, regex=False)
        self._there = MeanSeconds(seconds[is_there])
        self._elsewhere = MeanSeconds(seconds[~is_there])
        if both := self._there.ratios(self._elsewhere):
            self._ratio: float | None = median(both)
        else:  # other CPUs are assumed to be as fast as this one, other GPUs as this machine's
            is_alike = finished["gpu_fraction"].notna() == machine.is_gpu
            self._elsewhere = MeanSeconds(seconds[~is_there & is_alike])
            self._ratio = None if machine.is_named else 1.0
        fractions = finished.loc[is_there, "gpu_fraction"].dropna()
        self.gpu_fraction = float(fractions.mean()) if len(fractions) else None

    def has(self, likeness: Likeness) -> bool:
        """Whether there are rows of such trials."""
        return self.there(likeness) is not None or self.elsewhere(likeness) is not None

    def there(self, likeness: Likeness) -> float | None:
        """The time on the requested device."""
        return self._there.of(likeness)

    def elsewhere(self, likeness: Likeness) -> float | None:
        """The time from rows of other devices; None if nothing relates them to a device that the user names."""
        found = self._elsewhere.of(likeness)
        return None if found is None or self._ratio is None else found * self._ratio


def forecast(
    missing: Sequence[Trial], past: pd.DataFrame, machine: Machine, data_dir: Path | None, *, probe: bool
) -> Forecast:
    """Add up the expected seconds of `missing`; with `probe`, time each group of similar trials without rows once."""
    groups: dict[Likeness, list[Trial]] = {}
    for trial in missing:
        groups.setdefault(_likeness(trial.config.canonical()), []).append(trial)
    known = PastSeconds(past if groups else past[:0], machine)
    found, datasets = Forecast(gpu_fraction=known.gpu_fraction), dict[object, Dataset]()
    timing, lines = [likeness for likeness in groups if not known.has(likeness)], NowAndThen()
    for likeness, trials in groups.items():
        count = len(trials)
        if (seconds := known.there(likeness)) is not None:
            found = found.plus(seconds, count, from_rows=found.from_rows + count)
        elif (seconds := known.elsewhere(likeness)) is not None:
            found = found.plus(seconds, count, from_other_devices=found.from_other_devices + count)
        elif probe:
            number = f"{timing.index(likeness) + 1} of {len(timing)}"
            with lines.about(f"timing a few batches of {trials[0].cell_label} ({number})"):
                seconds = _probe(trials[0], _loaded(trials[0], datasets, data_dir))
            found = found.plus(seconds, count, from_probes=found.from_probes + count)
        else:
            found = replace(found, unknown=found.unknown + count)
    return found if found.slot_seconds is not None or missing else replace(found, slot_seconds=0.0)


def _loaded(trial: Trial, datasets: dict[object, Dataset], data_dir: Path | None) -> Dataset:
    spec = as_loaded(trial.config.dataset)
    if spec not in datasets:
        datasets[spec] = load_dataset(spec, data_dir)
    return datasets[spec]


def _likeness(config: Mapping[str, Any]) -> Likeness:
    training = {key: value for key, value in config["train"].items() if key not in UNLIKE_IN_TRAINING}
    epochs = training.pop("epochs")
    rest = {key: value for key, value in config.items() if key not in UNLIKE}
    return Likeness(json.dumps({**rest, "train": training}, sort_keys=True), epochs)


def _probe(trial: Trial, dataset: Dataset) -> float:
    """Train on a few batches twice and scale the second, warm pass to the whole trial."""
    settings, asked = trial.config.train, trial.config.dataset
    train_images = (asked.train_images if asked.draw == "seed" else None) or len(dataset.train.labels)
    _, per_image = timed(trial, dataset, PROBED_BATCHES, epochs=2)
    evaluated = settings.epochs * len(dataset.validation.labels) + len(dataset.test.labels)
    return per_image * (settings.epochs * train_images + FORWARD_SHARE * evaluated)
