"""Learning-rate schedules by name: the factor on the rate after the warm-up."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from lrlc.harness.registry import Registry
from lrlc.studies.training import Training


@dataclass(frozen=True)
class Progress:
    """The progress of training before a step; steps are batches, counted from 0."""

    step: int
    steps_per_epoch: int
    warmup_steps: float
    """Steps of the warm-up, which need not be a whole number."""
    total_steps: int

    @property
    def epoch(self) -> float:
        """Epochs since the start of training: 1.5 in the middle of the second."""
        return self.step / self.steps_per_epoch

    @property
    def share(self) -> float:
        """The completed share of the steps after the warm-up: 0 to below 1."""
        return (self.step - self.warmup_steps) / max(1.0, self.total_steps - self.warmup_steps)


Schedule = Callable[[Progress, Training], float]
SCHEDULES: Registry[Schedule] = Registry("schedule")


def schedule(name: str) -> Callable[[Schedule], Schedule]:
    """Register `(progress, training) -> factor on the learning rate` as the schedule `name`."""
    return SCHEDULES.register(name)


@schedule("cosine")
def cosine(progress: Progress, training: Training) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter, arXiv 1608.03983, without restarts)."""
    after_warmup = progress.step - progress.warmup_steps
    return 0.5 * (
        1 + math.cos(math.pi * after_warmup / max(1.0, progress.total_steps - progress.warmup_steps))
    )


@schedule("constant")
def constant(progress: Progress, training: Training) -> float:
    """The full rate to the end."""
    return 1.0


@schedule("step")
def step(progress: Progress, training: Training) -> float:
    """Multiply by `decay_rate` after every `decay_epochs`, as torch's StepLR and timm's step do."""
    assert training.decay_epochs is not None
    return float(training.decay_rate ** math.floor(progress.epoch / training.decay_epochs))


def learning_rate(training: Training, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step, counted from 0: linear warm-up to `learning_rate`, then the schedule."""
    total = training.epochs * steps_per_epoch
    warmup = min(training.warmup_epochs * steps_per_epoch, total)
    if step < warmup:
        return training.learning_rate * (step + 1) / (warmup + 1)
    progress = Progress(step, steps_per_epoch, warmup, total)
    return training.learning_rate * SCHEDULES[training.schedule].build(progress, training)
