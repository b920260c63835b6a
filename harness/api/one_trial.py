"""One trial in this process, without a table: `lrlc.train`."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from lrlc.harness.api.surroundings import data_folder, torch_as_it_was
from lrlc.harness.errors import UserError
from lrlc.harness.plan.catalogue import OpenedStudy, open_study, plain
from lrlc.harness.plan.planning import Planner
from lrlc.harness.run.kept_models import as_model
from lrlc.harness.training.worker import Worker, WorkerSettings
from lrlc.harness.trial import KeptWeights, Trial
from lrlc.results.schema import EpochRecord, TrialResult
from lrlc.studies import Study, StudyError
from lrlc.studies.errors import nearest
from lrlc.studies.expand import AXES

_LIMITS = ("train_images", "evaluation_images", "size", "draw")
OF_THE_STUDY = ("layer", "train", *_LIMITS, "plugins", "measure", "resources")
"""Keys of a study file that a single trial may also have."""
_OF_A_PLUGIN = re.compile(
    r"unknown (layer kind|network|data set|optimizer|schedule|augmentation|recipe|metric)\b"
)
"""Errors about a name that a plugin may define; a row's configuration does not say which file does."""


@dataclass(frozen=True)
class TrainedTrial:
    """A trial that has ended: its row, and its network with the weights after the last epoch, on the CPU."""

    result: TrialResult
    model: nn.Module | None
    """None if the trial diverged."""

    @property
    def curve(self) -> pd.DataFrame:
        """One row per epoch, with the columns of the table `curves` except the trial's id."""
        return pd.DataFrame([vars(record) for record in self.result.curve])


def train(
    config: Mapping[str, Any],
    *,
    data: str | Path | None = None,
    on_epoch: Callable[[EpochRecord], object] = lambda record: None,
) -> TrainedTrial:
    """Train one trial in this process, with the same numbers as in a study on this machine.

    `config` names a cell of a grid and its seed: {"dataset": "digits", "kind": "lrlc", "rank": 4, "placement": [3],
    "train": {"epochs": 5}, "seed": 0}; missing keys have the defaults of a study file. The `config` of a row, parsed as
    JSON, also works. Nothing is written. Errors of layers are passed on; StudyError, UserError or DataError report a
    wrong configuration.
    """
    folder = data_folder(data)
    opened, trial = single_trial(config, folder)
    with torch_as_it_was():
        return train_trial(opened, trial, folder, on_epoch)


def single_trial(config: Mapping[str, Any], data: Path | None) -> tuple[OpenedStudy, Trial]:
    """The trial in `config`, and a study with only that trial; raises the same errors as `train`."""
    try:
        opened = open_study(_as_study(config), profile=None, overrides=())
    except StudyError as error:
        if _OF_A_PLUGIN.search(str(error)) and not config.get("plugins"):
            raise StudyError(
                f"{error}; if a plugin defines it, add its file: {{**config, 'plugins': ['FILE.py']}}"
            ) from None
        raise
    trials = Planner(opened, data).grid()
    if len(trials) != 1:
        raise UserError(f"the configuration describes {len(trials)} trials; give one value for each setting")
    return opened, trials[0]


def train_trial(
    opened: OpenedStudy,
    trial: Trial,
    data: Path | None,
    on_epoch: Callable[[EpochRecord], object] = lambda record: None,
) -> TrainedTrial:
    """Train the trial with a worker in this process, and build its network from the kept weights."""
    kept, last = None, None
    for record in Worker(_settings(opened, data)).records(replace(trial, keep=("weights",))):
        match record:
            case EpochRecord():
                on_epoch(record)
            case KeptWeights():
                kept = record
            case TrialResult():
                last = record
    assert last is not None
    return TrainedTrial(last, None if kept is None else as_model(kept))


def _as_study(config: Mapping[str, Any]) -> dict[str, Any]:
    """A study of one cell with one seed, without settings that are None or empty, as they may be in a row."""
    given = {key: value for key, value in plain(config).items() if value is not None and value != []}
    given = {("layer" if key == "options" else key): value for key, value in given.items()}
    for key in given:
        if key not in {*AXES, *OF_THE_STUDY, "seed"} and "." not in key:
            raise StudyError(f"{key}: unknown key; {nearest(key, {*AXES, *OF_THE_STUDY, 'seed'})}")
    study = {key: given.pop(key) for key in OF_THE_STUDY if key in given}
    seed = given.pop("seed", 0)
    return {"name": "trial", "seeds": [seed], **study, "grid": [given]}


def _settings(opened: OpenedStudy, data: Path | None) -> WorkerSettings:
    asked: Study = opened.study
    gpus = asked.resources.gpus
    available = min(1.0, torch.cuda.device_count())
    cpus = asked.resources.cpus
    return WorkerSettings(
        data, opened.plugins, cpus, available if gpus is None else gpus, math.inf, Path.cwd()
    )
