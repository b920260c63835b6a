"""MLflow: a run for each trial, found again by its tag `lrlc.trial_id`, in an experiment named after the study."""

import re
import time
from typing import Any

from lrlc.harness.loggers.logger import epoch_metrics, final_metrics, settings
from lrlc.harness.trial import Trial
from lrlc.results.schema import EpochRecord, TrialResult, TrialStatus

PACKAGES = ("mlflow",)
TAG = "lrlc.trial_id"
REFUSED = re.compile(r"[^\w./ -]", re.ASCII)
"""Characters that MLflow refuses in the name of a metric; a plugin's may have them."""
LONGEST_PARAMETER = 500
"""Characters that every version of MLflow accepts."""


class MlflowLogger:
    """The earlier run of a restarted trial is deleted, as logged steps cannot be removed."""

    def __init__(self, target: str) -> None:
        from mlflow.tracking import MlflowClient

        self._client: Any = MlflowClient(tracking_uri=target)
        self._experiments: dict[str, str] = {}
        self._runs: dict[str, str] = {}

    def begin(self, trial: Trial) -> None:
        experiment = self._experiment(trial.study)
        for before in self._client.search_runs([experiment], f"tags.`{TAG}` = '{trial.id}'"):
            self._client.delete_run(before.info.run_id)
        run = self._client.create_run(experiment, tags={TAG: trial.id}, run_name=trial.label)
        self._runs[trial.id] = run.info.run_id
        self._log({}, 0, trial, settings(trial))

    def log(self, trial: Trial, record: EpochRecord) -> None:
        self._log(epoch_metrics(record), record.epoch, trial)

    def end(self, trial: Trial, result: TrialResult) -> None:
        self._log(final_metrics(result), result.epochs_run or 0, trial)
        self._client.set_tag(self._runs[trial.id], "lrlc.status", str(result.status))
        ended = "FINISHED" if result.status in (TrialStatus.FINISHED, TrialStatus.PRUNED) else "FAILED"
        self._client.set_terminated(self._runs.pop(trial.id), ended)

    def close(self) -> None:
        for run in self._runs.values():
            self._client.set_terminated(run, "KILLED")

    def _experiment(self, study: str) -> str:
        if study not in self._experiments:
            found = self._client.get_experiment_by_name(study)
            self._experiments[study] = (
                found.experiment_id if found is not None else self._client.create_experiment(study)
            )
        return self._experiments[study]

    def _log(
        self,
        metrics: dict[str, float],
        step: int,
        trial: Trial,
        parameters: dict[str, str | int | float | bool] | None = None,
    ) -> None:
        """Log everything in one request."""
        from mlflow.entities import Metric, Param

        now = int(1000 * time.time())
        self._client.log_batch(
            self._runs[trial.id],
            metrics=[Metric(REFUSED.sub("_", name), value, now, step) for name, value in metrics.items()],
            params=[
                Param(name, str(value)[:LONGEST_PARAMETER]) for name, value in (parameters or {}).items()
            ],
        )
