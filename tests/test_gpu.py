"""On a GPU: a step replayed from a CUDA graph gives the numbers of one launched from Python, again and again."""

import pytest
import torch

from lrlc.harness.plan.catalogue import open_study
from lrlc.harness.plan.planning import Planner
from lrlc.harness.training import step as training_step
from lrlc.harness.training.worker import Worker, WorkerSettings
from lrlc.harness.trial import Trial
from lrlc.results.schema import TrialResult

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")

KINDS = "[conv, coord_conv, locally_connected, lrlc, lrlc_input_dependent, wide_conv]"

OPEN_TRAINING = (
    "train.optimizer: adamw, train.weight_decay: 0.01, train.gradient_clipping: 1, train.label_smoothing: 0.1, "
    "train.augment: flip+crop+mixup, train.ema: 0.9"
)
"""All that a step may consist of."""


def trials() -> tuple[Trial, ...]:
    overrides = [
        f"grid=[{{kind: {KINDS}, rank: 4, placement: 3}}, {{kind: conv, {OPEN_TRAINING}}}]",
        "seeds=1",
        "train.epochs=3",
        "train.batch_size=48",
        "train.precision=float32",
    ]
    return Planner(open_study("quickstart", profile=None, overrides=overrides), None).grid()


def trained() -> list[TrialResult]:
    """Each trial to its end; 200 images are four batches of 48 and one of 8, which no graph takes."""
    worker = Worker(WorkerSettings(None, (), cpus=1, gpus=1, checkpoint_seconds=1e9))
    ends = []
    for trial in trials():
        *_, (*_, end) = worker.run(trial)
        assert isinstance(end, TrialResult)
        assert end.error is None, end.error
        ends.append(end)
    return ends


def test_a_replayed_step_gives_the_numbers_of_a_launched_one(monkeypatch: pytest.MonkeyPatch) -> None:
    replayed, again = trained(), trained()
    monkeypatch.setattr(training_step, "EAGER_STEPS", 10**9)
    launched = trained()
    for one, two, three in zip(replayed, again, launched, strict=True):
        numbers = [(each.test_loss, each.train_loss, each.test_accuracy) for each in (one, two, three)]
        assert numbers[0] == numbers[1] == numbers[2], one.kind
