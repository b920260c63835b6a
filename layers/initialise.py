"""Seeded initialisation in which networks that share a layer also share its initial values (paired seeds)."""

import hashlib

import torch
from torch import nn


def initialise(model: nn.Module, seed: int) -> None:
    """Reset every module that has `reset_parameters`, each from a generator seeded by (seed, its name).

    Layers that two networks have in common thus start with the same values regardless of the other layers; the global
    random state is left unchanged.
    """
    with torch.random.fork_rng():
        for name, module in model.named_modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                torch.manual_seed(module_seed(seed, name))
                reset()


def module_seed(seed: int, name: str) -> int:
    """The seed of the module `name` in a network with seed `seed`."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big") >> 1
