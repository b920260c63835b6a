"""A search may only stop trials that nothing but the search needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.sessions import planned_run

from lrlc.harness.run.driver import Driver, GridSource
from lrlc.harness.run.serial import SerialExecutor
from lrlc.harness.training.worker import WorkerSettings
from lrlc.harness.trial import Trial
from lrlc.results.schema import EpochRecord, TrialResult
from lrlc.results.store import Store
from lrlc.studies import Resources


@dataclass
class Impatient:
    """A source that gives every trial up after its first epoch, and has perhaps one of its own."""

    own: Trial | None

    def next_trial(self) -> Trial | None:
        trial, self.own = self.own, None
        return trial

    def report(self, trial: Trial, record: EpochRecord) -> Sequence[Trial]:
        return (trial,)

    def tell(self, result: TrialResult) -> Sequence[Trial]:
        return ()


@pytest.mark.parametrize(("of_grid", "status"), [(True, "finished"), (False, "pruned")])
def test_a_search_cannot_stop_a_trial_of_the_grid(
    tiny_study: Path, tmp_path: Path, of_grid: bool, status: str
) -> None:
    words = ["grid={kind: conv}", "seeds=1", "train_images=100", "evaluation_images=50", "train.epochs=3"]
    (trial,) = planned_run(tiny_study, words, tmp_path).plan.trials
    sources = [GridSource([trial] if of_grid else []), Impatient(trial)]
    store = Store(tmp_path / "driven")
    settings = WorkerSettings(None, (), cpus=1, gpus=0, checkpoint_seconds=1e9)
    Driver(sources, SerialExecutor(settings), store, Resources()).run()
    assert store.trials()["status"].tolist() == [status]
