"""The learned combining weights of a whole network, for figures."""

import torch
from torch import Tensor, nn

from lrlc.layers.combining import FixedCombiningWeights, InputDependentCombiningWeights


def combining_weight_maps(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """The weights of each layer that has `combining`, by its name: (1, K, H', W') if fixed, (N, K, H', W') if
    input-dependent.

    `images` (N, C, H, W) are run through the model once, in the mode it is in.
    """
    found: dict[str, Tensor] = {}

    def note(name: str, combining: nn.Module) -> torch.utils.hooks.RemovableHandle:
        return combining.register_forward_hook(lambda _module, _inputs, maps: found.__setitem__(name, maps))

    handles = [
        note(name.rpartition(".combining")[0], module)
        for name, module in model.named_modules()
        if isinstance(module, FixedCombiningWeights | InputDependentCombiningWeights)
    ]
    try:
        with torch.no_grad():
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    return {name: maps.detach() for name, maps in found.items()}
