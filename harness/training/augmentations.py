"""Augmentations by name: functions of a batch of training images, on their device, for all images at once.

Their random numbers are drawn on the CPU, once per epoch, from the seed, the epoch and the augmentation's name. A
resumed trial therefore sees the same images as an uninterrupted one, on any device and also in a CUDA graph.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrlc.harness.data.translate import shift
from lrlc.harness.registry import Registry
from lrlc.harness.seeds import derive_seed
from lrlc.studies.training import Training

CROP_SHARE = 8
"""Images are padded by their height over this if `crop_padding` is not set: 4 pixels of 32."""


@dataclass(frozen=True)
class Batch:
    """Training images and their targets."""

    images: Tensor
    """(n, C, H, W) float32, scaled."""
    targets: Tensor
    """Class indices (n,), or a probability of each class (n, classes) float32 once images are mixed."""
    classes: int
    black: float
    """The scaled value of a pixel of 0."""

    @property
    def probabilities(self) -> Tensor:
        """The targets as (n, classes) float32, in either form."""
        if self.targets.ndim == 2:
            return self.targets
        every = torch.arange(self.classes, device=self.targets.device)
        return (self.targets[:, None] == every).to(torch.float32)

    @property
    def labels(self) -> Tensor:
        """(n,) the most likely class of each image."""
        return self.targets if self.targets.ndim == 1 else self.targets.argmax(1)


Augment = Callable[[Batch, Tensor, Training], Batch]
Draw = Callable[[np.random.Generator, int, Training], NDArray[np.floating]]
AUGMENTATIONS: Registry[Augment] = Registry("augmentation")


def augmentation(name: str, *, draws: int | Draw, capturable: bool = False) -> Callable[[Augment], Augment]:
    """Register `(batch, draws, training) -> batch` as the augmentation `name`.

    `draws` gives the random numbers for each image: a count of numbers, uniform from 0 to below 1, or a function
    `(generator, images, training) -> (images, k)` that draws them with numpy. With `capturable` a step on a GPU is
    replayed from a CUDA graph, in which only tensors may decide what happens.
    """

    def uniform(generator: np.random.Generator, images: int, training: Training) -> NDArray[np.floating]:
        return generator.random((images, draws), dtype=np.float32)  # type: ignore[arg-type]

    return AUGMENTATIONS.register(name, capturable=capturable, settings=draws if callable(draws) else uniform)


@augmentation("flip", draws=1, capturable=True)
def flip(batch: Batch, draws: Tensor, training: Training) -> Batch:
    """Mirror each image left to right with probability 1/2."""
    is_flipped = (draws[:, 0] < 0.5)[:, None, None, None]
    return replace(batch, images=torch.where(is_flipped, batch.images.flip(3), batch.images))


@augmentation("crop", draws=2, capturable=True)
def crop(batch: Batch, draws: Tensor, training: Training) -> Batch:
    """Pad each image with black by `crop_padding` pixels and cut out its original size at a random position."""
    height = batch.images.shape[2]
    padding = training.crop_padding or max(1, round(height / CROP_SHARE))
    steps = (draws * (2 * padding + 1)).to(torch.int64).clamp_(max=2 * padding)  # in float32, 9 - 1e-7 is 9
    rows_last = (batch.images - batch.black).permute(0, 2, 3, 1)
    return replace(batch, images=shift(rows_last, steps - padding).permute(0, 3, 1, 2) + batch.black)


def _mixing_shares(generator: np.random.Generator, images: int, training: Training) -> NDArray[np.floating]:
    return generator.beta(training.mixup_alpha, training.mixup_alpha, (images, 1))


@augmentation("mixup", draws=_mixing_shares, capturable=True)
def mixup(batch: Batch, draws: Tensor, training: Training) -> Batch:
    """Mix the batch with itself in reverse order, both images and targets, with one share for the whole batch.

    Zhang et al., arXiv 1710.09412; the share is drawn from Beta(`mixup_alpha`, `mixup_alpha`).
    """
    share, targets = draws[0, 0], batch.probabilities
    return replace(
        batch,
        images=batch.images * share + batch.images.flip(0) * (1 - share),
        targets=targets * share + targets.flip(0) * (1 - share),
    )


Draws = Mapping[str, Tensor]
"""Random numbers (n, k) for a batch's images, by augmentation."""


def draws_of_epoch(training: Training, seed: int, epoch: int, images: int) -> Draws:
    """The random numbers (images, k) float32 of an epoch, counted from 1, for its images in order."""
    found = {}
    for name in training.augment:
        generator = np.random.default_rng(derive_seed(seed, "augment", name, epoch))
        drawn = np.asarray(AUGMENTATIONS[name].settings(generator, images, training), dtype=np.float32)
        found[name] = torch.from_numpy(drawn.reshape(images, -1))
    return found


def split_draws(draws: Draws, sizes: Sequence[int]) -> list[Draws]:
    """The draws of each batch."""
    parts = {name: torch.split(numbers, list(sizes)) for name, numbers in draws.items()}
    return [{name: part[number] for name, part in parts.items()} for number in range(len(sizes))]


def augmented(batch: Batch, draws: Draws, training: Training) -> Batch:
    """Apply all augmentations of the study in its order."""
    for name in training.augment:
        batch = AUGMENTATIONS[name].build(batch, draws[name], training)
    return batch
