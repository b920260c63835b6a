"""Scoring a network on a split: loss, accuracy and which images were classified correctly."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrlc.harness.data import DeviceSplit

EVALUATED_VALUES = 2**21
"""Values (pixels times channels) of the images that a GPU evaluates at once: 2,730 images of 16x16x3."""


@dataclass(frozen=True)
class Scores:
    """Mean cross-entropy and accuracy (0..1) over `images` images."""

    loss: float
    accuracy: float
    images: int
    correct: Tensor
    """(images,) bool, on the split's device: which images were classified correctly."""

    def accuracy_of_first(self, images: int) -> float:
        """Accuracy on the first `images` images, or on all if there are fewer."""
        first = self.correct[:images]
        return first.sum().item() / len(first)


@torch.no_grad()
def evaluate(
    model: nn.Module, split: DeviceSplit, batch_size: int, precision: str, *, images: int | None = None
) -> Scores:
    """Score `split`, or its first `images`, with batch norm in evaluation mode."""
    model.eval()
    count = split.count if images is None else min(images, split.count)
    loss = torch.zeros((), dtype=torch.float64, device=split.device)
    correct = []  # read once at the end: reading each batch would wait for the GPU
    for indices in torch.split(torch.arange(count), images_at_a_time(split, batch_size)):
        pixels, labels = split.gather(indices)
        with autocast(split.device, precision):
            logits = model(pixels)
        loss += F.cross_entropy(logits.float(), labels, reduction="sum")
        correct.append(logits.argmax(1) == labels)
    right = torch.cat(correct)
    return Scores(loss.item() / count, right.sum().item() / count, count, right)


def resolve_precision(precision: str, device: torch.device) -> str:
    """'auto' means bfloat16 autocast on a GPU and float32 on a CPU.

    oneDNN's bfloat16 weight gradient is up to 18 times slower than float32 when cores are shared.
    """
    if precision == "auto":
        return "bfloat16" if device.type == "cuda" else "float32"
    return precision


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context for a forward pass in `precision`."""
    if precision == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def images_at_a_time(split: DeviceSplit, batch_size: int) -> int:
    """The training batch size, or on a GPU, if that is small, as many images as fill it."""
    if split.device.type != "cuda":
        return batch_size
    return max(batch_size, EVALUATED_VALUES // split.values_per_image)
