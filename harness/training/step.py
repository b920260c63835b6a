"""One step of training: gather a batch, run it forward and backward, move the parameters.

On a GPU the step is captured once as a CUDA graph and replayed. A small network's step is a hundred kernels of a few
microseconds, which Python launches eight times slower than the GPU runs them (0.5 against 3.8 ms on an H100).
"""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrlc import layers
from lrlc.harness.data import DeviceSplit
from lrlc.harness.training.evaluation import autocast

EAGER_STEPS = 3
"""Steps before a capture: libraries set up their workspaces in them, and the optimizer its momentum."""

_log = logging.getLogger(__name__)


class TrainingStep:
    """Trains `model` batch by batch; what it adds up stays on the device until it is read.

    With a GPU that holds the split's images, batches of the size of the first one are replayed from a CUDA graph
    after EAGER_STEPS; others, and all of a network that cannot be captured, run eagerly, with the same numbers.
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, split: DeviceSplit, precision: str
    ) -> None:
        self._model, self._optimizer, self._split, self._precision = model, optimizer, split, precision
        self._device = split.device
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=self._device)
        self._correct = torch.zeros((), dtype=torch.int64, device=self._device)
        self._can_capture = self._device.type == "cuda" and split.on_device
        self._steps_before_capture = EAGER_STEPS
        self._graph: torch.cuda.CUDAGraph | None = None
        self._indices = torch.empty(0, dtype=torch.int64, device=self._device)

    def begin_epoch(self, order: Tensor, sizes: Sequence[int]) -> Sequence[Tensor]:
        """The batches of `order` (N,), as indices on the device that gathers them; the sums start at zero."""
        self._model.train()
        self._loss_sum.zero_()
        self._correct.zero_()
        return torch.split(order.to(self._device) if self._can_capture else order, list(sizes))

    def __call__(self, indices: Tensor, learning_rate: float) -> None:
        """Train on the images of `indices` (n,)."""
        self._set_learning_rate(learning_rate)
        if self._graph is None and self._can_capture and not self._steps_before_capture:
            self._capture(indices)
        if self._graph is not None and len(indices) == len(self._indices):
            self._indices.copy_(indices)
            self._graph.replay()
        else:
            self._train_on(indices)
            self._steps_before_capture = max(0, self._steps_before_capture - 1)

    def sums(self) -> tuple[float, int]:
        """The cross-entropy and the number of right answers, summed over the epoch's images."""
        return self._loss_sum.item(), int(self._correct.item())

    def _set_learning_rate(self, learning_rate: float) -> None:
        for group in self._optimizer.param_groups:
            rate = learning_rate * group.get("factor", 1.0)  # checkpoints of earlier versions have none
            if isinstance(group["lr"], Tensor):  # a captured step reads it from there
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _train_on(self, indices: Tensor) -> None:
        images, labels = self._split.gather(indices)
        with autocast(self._device, self._precision):
            logits = self._model(images)
        loss = F.cross_entropy(logits.float(), labels)
        penalty = layers.penalty(self._model)
        self._optimizer.zero_grad(set_to_none=True)
        (loss if penalty is None else loss + penalty).backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        # Read once an epoch: reading each step would wait for the GPU.
        self._loss_sum += loss.detach() * len(labels)
        self._correct += (logits.detach().argmax(1) == labels).sum()

    def _capture(self, indices: Tensor) -> None:
        """Record a step without running it."""
        self._indices = indices.clone()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._train_on(self._indices)
        except RuntimeError as error:  # a layer that reads from the GPU in mid-step, say
            _log.warning("a training step cannot be captured as a CUDA graph and runs eagerly: %s", error)
            self._can_capture = False
        else:
            self._graph = graph


def make_optimizer(model: nn.Module, momentum: float, device: torch.device) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum over `layers.parameter_groups`; on a GPU a group's rate is a tensor, for the graph."""
    groups = layers.parameter_groups(model)
    nesterov = momentum > 0
    if device.type != "cuda":
        return torch.optim.SGD(groups, lr=0.0, momentum=momentum, nesterov=nesterov)
    for group in groups:
        group["lr"] = torch.zeros((), device=device)
    return torch.optim.SGD(
        groups, lr=torch.zeros((), device=device), momentum=momentum, nesterov=nesterov, fused=True
    )
