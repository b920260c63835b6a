"""TensorBoard: a folder of event files for each trial, `FOLDER/STUDY/TRIAL`."""

import json
from pathlib import Path
from typing import Any

from lrlc.harness.loggers.logger import epoch_metrics, final_metrics, settings
from lrlc.harness.trial import Trial
from lrlc.results.schema import EpochRecord, TrialResult
from lrlc.studies.paths import expanded

PACKAGES = ("tensorboard",)
SECONDS_BETWEEN_WRITES = 5


class TensorBoardLogger:
    """A restarted trial starts with an empty folder."""

    def __init__(self, target: str) -> None:
        self._folder = expanded(target)
        self._writers: dict[str, Any] = {}

    def begin(self, trial: Trial) -> None:
        from torch.utils.tensorboard import SummaryWriter

        if (before := self._writers.pop(trial.id, None)) is not None:
            before.close()
        folder = self._folder / trial.study / trial.id
        _empty(folder)
        writer: Any = SummaryWriter(str(folder), flush_secs=SECONDS_BETWEEN_WRITES)
        writer.add_text("trial", trial.label)
        text = json.dumps(settings(trial), indent=2)
        writer.add_text("settings", "    " + text.replace("\n", "\n    "))
        self._writers[trial.id] = writer

    def log(self, trial: Trial, record: EpochRecord) -> None:
        for name, value in epoch_metrics(record).items():
            self._writers[trial.id].add_scalar(name, value, record.epoch)

    def end(self, trial: Trial, result: TrialResult) -> None:
        writer = self._writers.pop(trial.id)
        for name, value in final_metrics(result).items():
            writer.add_scalar(name, value, result.epochs_run or 0)
        writer.add_text("status", str(result.status))
        writer.close()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


def _empty(folder: Path) -> None:
    """Delete the events of an earlier attempt, but no other files."""
    for events in folder.glob("events.out.tfevents.*"):
        events.unlink()
