"""Turn a trained convolutional network into the same network with layers of another kind."""

import torch
from torch import nn

from lrlc.layers.convolution import Convolution2d
from lrlc.layers.errors import LayerError
from lrlc.layers.initialise import module_seed


def take_over(model: nn.Module, trained: nn.Module, seed: int) -> list[str]:
    """Initialise `model` from `trained`, the same network with plain convolutions in its places.

    A placed layer starts from the convolution in its place through its `start_from_conv(conv)`; everything else,
    including the statistics of batch norms, is copied. A layer's random numbers depend only on (seed, its name).
    Returns the names of the copied parameters. LayerError if a layer cannot start from its convolution.
    """
    placed = [name for name, conv in _convolutions(trained) if not _alike(model.get_submodule(name), conv)]
    state = {name: value for name, value in trained.state_dict().items() if not _within(name, placed)}
    with torch.random.fork_rng(devices=[]):
        for name in placed:
            start = getattr(model.get_submodule(name), "start_from_conv", None)
            if not callable(start):
                raise LayerError(f"{name}, {model.get_submodule(name)}, cannot start from a convolution")
            torch.manual_seed(module_seed(seed, name))
            start(trained.get_submodule(name))
    model.load_state_dict(state, strict=False)
    return [name for name, _ in model.named_parameters() if name in state]


def _convolutions(model: nn.Module) -> list[tuple[str, Convolution2d]]:
    return [(name, module) for name, module in model.named_modules() if isinstance(module, Convolution2d)]


def _alike(module: nn.Module, conv: Convolution2d) -> bool:
    return type(module) is Convolution2d and module.weight.shape == conv.weight.shape


def _within(name: str, modules: list[str]) -> bool:
    return any(name.startswith(f"{module}.") for module in modules)
