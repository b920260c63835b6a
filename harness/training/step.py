"""One step of training: gather a batch, augment it, run it forward and backward, update the parameters.

On a GPU the step is captured once as a CUDA graph and replayed. A small network's step has a hundred kernels of a few
microseconds each, and Python launches them eight times slower than the GPU runs them (3.8 against 0.5 ms on an H100).
"""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrlc import layers
from lrlc.harness.data import DeviceSplit
from lrlc.harness.measuring.evaluation import autocast
from lrlc.harness.registry import Registered
from lrlc.harness.training.augmentations import (
    AUGMENTATIONS,
    Batch,
    Draws,
    augmented,
    split_draws,
)
from lrlc.harness.training.averaging import Averaged
from lrlc.harness.training.optimizers import OPTIMIZERS
from lrlc.harness.training.recipes import RECIPES, StepLoss
from lrlc.studies.training import Training

EAGER_STEPS = 3
"""Steps before a capture, in which libraries set up their workspaces and the optimizer its state."""

BatchOf = tuple[Tensor, Draws]
"""The indices (n,) of a batch's images, and the random numbers of its augmentations."""

_log = logging.getLogger(__name__)


class TrainingStep:
    """Trains `model` batch by batch; its sums stay on the device until they are read.

    On a GPU that holds the split's images, batches of the size of the first one are replayed from a CUDA graph
    after EAGER_STEPS; others, and all batches if a step cannot be captured, run eagerly, with the same numbers.
    `averaged` follows the model if the study averages its weights; `recipe` computes a batch's loss.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        split: DeviceSplit,
        precision: str,
        training: Training,
        classes: int,
        averaged: Averaged | None = None,
        recipe: StepLoss | None = None,
    ) -> None:
        self._model, self._optimizer, self._split, self._precision = model, optimizer, split, precision
        self._training, self._classes = training, classes
        self._averaged, self._recipe = averaged, recipe
        self._device = split.device
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=self._device)
        self._correct = torch.zeros((), dtype=torch.int64, device=self._device)
        self._can_capture = self._device.type == "cuda" and split.on_device and _is_capturable(training)
        self._steps_before_capture = EAGER_STEPS
        self._graph: torch.cuda.CUDAGraph | None = None
        self._indices = torch.empty(0, dtype=torch.int64, device=self._device)
        self._draws: Draws = {}

    def begin_epoch(self, order: Tensor, draws: Draws, sizes: Sequence[int]) -> Sequence[BatchOf]:
        """Reset the sums; returns the batches of `order` (N,) with their `draws`, on the device that gathers them."""
        self._model.train()
        self._loss_sum.zero_()
        self._correct.zero_()
        indices = torch.split(order.to(self._device) if self._can_capture else order, list(sizes))
        placed = {name: numbers.to(self._device) for name, numbers in draws.items()}
        return list(zip(indices, split_draws(placed, sizes), strict=True))

    def __call__(self, batch: BatchOf, learning_rate: float) -> None:
        """Train on the images of a batch returned by `begin_epoch`."""
        indices, draws = batch
        self._set_learning_rate(learning_rate)
        if self._graph is None and self._can_capture and not self._steps_before_capture:
            self._capture(indices, draws)
        if self._graph is not None and len(indices) == len(self._indices):
            self._indices.copy_(indices)
            for name, numbers in draws.items():
                self._draws[name].copy_(numbers)
            self._graph.replay()
        else:
            self._train_on(indices, draws)
            self._steps_before_capture = max(0, self._steps_before_capture - 1)

    def sums(self) -> tuple[float, int]:
        """The cross-entropy and the number of correct classifications, summed over the epoch's images."""
        return self._loss_sum.item(), int(self._correct.item())

    def _set_learning_rate(self, learning_rate: float) -> None:
        for group in self._optimizer.param_groups:
            rate = learning_rate * group.get("factor", 1.0)  # checkpoints of earlier versions have none
            if isinstance(group["lr"], Tensor):  # a captured step reads the rate from this tensor
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _train_on(self, indices: Tensor, draws: Draws) -> None:
        images, labels = self._split.gather(indices)
        batch = Batch(images, labels, self._classes, self._split.black)
        batch = augmented(batch, draws, self._training)
        with autocast(self._device, self._precision):
            special, logits = (
                (None, self._model(batch.images)) if self._recipe is None else self._recipe(batch)
            )
        loss = F.cross_entropy(logits.float(), batch.targets)
        self._descend(self._smoothed(loss, logits, batch) if special is None else special)
        if self._averaged is not None:
            self._averaged.update()
        # Read once per epoch, as reading each step would wait for the GPU.
        self._loss_sum += loss.detach() * len(labels)
        self._correct += (logits.detach().argmax(1) == batch.labels).sum()

    def _smoothed(self, loss: Tensor, logits: Tensor, batch: Batch) -> Tensor:
        """The smoothed loss, which is minimised, while the plain cross-entropy is reported."""
        smoothing = self._training.label_smoothing
        if not smoothing:
            return loss
        return F.cross_entropy(logits.float(), batch.targets, label_smoothing=smoothing)

    def _descend(self, loss: Tensor) -> None:
        """Update the parameters with the gradient of the loss plus the layers' own penalties."""
        penalty = layers.penalty(self._model)
        self._optimizer.zero_grad(set_to_none=True)
        (loss if penalty is None else loss + penalty).backward()  # type: ignore[no-untyped-call]
        if (most := self._training.gradient_clipping) is not None:
            nn.utils.clip_grad_norm_(self._model.parameters(), most)
        self._optimizer.step()

    def _capture(self, indices: Tensor, draws: Draws) -> None:
        """Record a step without running it."""
        self._indices = indices.clone()
        self._draws = {name: numbers.clone() for name, numbers in draws.items()}
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._train_on(self._indices, self._draws)
        except RuntimeError as error:  # for example, a layer reads from the GPU during the step
            _log.warning("a training step cannot be captured as a CUDA graph and runs eagerly: %s", error)
            self._can_capture = False
        else:
            self._graph = graph


def _is_capturable(training: Training) -> bool:
    """Whether all parts of the step are declared capturable."""
    used: list[Registered[Any]] = [
        OPTIMIZERS[training.optimizer],
        *(AUGMENTATIONS[name] for name in training.augment),
    ]
    if training.recipe is not None:
        used.append(RECIPES[training.recipe])
    return all(each.capturable for each in used)
