"""One trial: the worker, the training steps, checkpoints, and the parts of training that plugins can add."""

from lrlc.harness.training.augmentations import Batch, augmentation
from lrlc.harness.training.optimizers import optimizer
from lrlc.harness.training.recipes import recipe
from lrlc.harness.training.schedules import Progress, schedule

__all__ = ["Batch", "Progress", "augmentation", "optimizer", "recipe", "schedule"]
