"""Weights & Biases: a run for each trial, with the trial's id; files to sync later with WANDB_MODE=offline."""

from typing import Any

from lrlc.harness.loggers.logger import epoch_metrics, final_metrics, settings
from lrlc.harness.trial import Trial
from lrlc.results.schema import EpochRecord, TrialResult, TrialStatus

PACKAGES = ("wandb",)


class WandbLogger:
    """`target` is PROJECT or ENTITY/PROJECT. A restarted trial continues the same run, by its id."""

    def __init__(self, target: str) -> None:
        self._entity, _, self._project = target.rpartition("/")
        self._runs: dict[str, Any] = {}

    def begin(self, trial: Trial) -> None:
        import wandb

        if (before := self._runs.pop(trial.id, None)) is not None:
            before.finish(exit_code=1)
        run = wandb.init(
            entity=self._entity or None,
            project=self._project,
            id=trial.id,
            name=trial.label,
            group=trial.study,
            config=settings(trial),
            resume="allow",
            reinit="create_new",  # several trials run at once
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )
        self._runs[trial.id] = run

    def log(self, trial: Trial, record: EpochRecord) -> None:
        # Steps cannot go back; epochs logged by an earlier attempt are the same, and are skipped.
        self._runs[trial.id].log(epoch_metrics(record), step=record.epoch)

    def end(self, trial: Trial, result: TrialResult) -> None:
        run = self._runs.pop(trial.id)
        run.summary.update({**final_metrics(result), "status": str(result.status)})
        run.finish(exit_code=0 if result.status in (TrialStatus.FINISHED, TrialStatus.PRUNED) else 1)

    def close(self) -> None:
        for run in self._runs.values():
            run.finish(exit_code=1)
