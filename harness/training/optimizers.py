"""Optimizers by name, for groups of parameters with their own learning rate and weight decay."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from lrlc import layers
from lrlc.harness.registry import Registry
from lrlc.studies.training import Training

Groups = list[dict[str, Any]]
Build = Callable[[Groups, Training], Optimizer]
OPTIMIZERS: Registry[Build] = Registry("optimizer")


def optimizer(name: str, *, capturable: bool = False) -> Callable[[Build], Build]:
    """Register `(groups, training) -> torch.optim.Optimizer` as the optimizer `name`.

    Each group has `params`, `lr`, which the schedule sets before every step, and `weight_decay`. With `capturable` a
    step on a GPU is replayed from a CUDA graph, and `lr` is a tensor there.
    """
    return OPTIMIZERS.register(name, capturable=capturable)


@optimizer("sgd", capturable=True)
def sgd(groups: Groups, training: Training) -> Optimizer:
    """Stochastic gradient descent, with Nesterov momentum unless that is 0."""
    return torch.optim.SGD(
        groups,
        lr=groups[0]["lr"],
        momentum=training.momentum,
        nesterov=training.momentum > 0,
        fused=True if _on_gpu(groups) else None,
    )


@optimizer("adamw", capturable=True)
def adamw(groups: Groups, training: Training) -> Optimizer:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101) with betas (momentum, 0.999)."""
    on_gpu = _on_gpu(groups)
    return torch.optim.AdamW(
        groups,
        lr=groups[0]["lr"],
        betas=(training.momentum, 0.999),
        capturable=on_gpu,
        fused=True if on_gpu else None,
    )


def make_optimizer(model: nn.Module, training: Training, device: torch.device) -> Optimizer:
    """The study's optimizer over `layers.parameter_groups`; on a GPU the rate is a tensor, for the CUDA graph."""
    named = OPTIMIZERS[training.optimizer]
    groups = layers.parameter_groups(model, weight_decay=training.weight_decay)
    for group in groups:
        in_graph = device.type == "cuda" and named.capturable
        group["lr"] = torch.zeros((), device=device) if in_graph else 0.0
    return named.build(groups, training)


def _on_gpu(groups: Groups) -> bool:
    return isinstance(groups[0]["lr"], torch.Tensor)
