"""An exponential moving average of a network's weights, which is evaluated instead of the network."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Averaged:
    """Follows `network`: `average` holds the mean of its parameters and of batch norm's statistics.

    Its decay rises to `decay` with the number of updates, (1 + n) / (10 + n), as in TensorFlow and timm, so that a
    short training is not averaged with its random start. Whole numbers are copied.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.average = copy.deepcopy(network).requires_grad_(False)
        self._decay = decay
        self._updates = torch.zeros((), device=next(network.parameters()).device)
        self._pairs = list(zip(_values(self.average), _values(network), strict=True))

    @torch.no_grad()
    def update(self) -> None:
        """Update the average after a step, without reading from the GPU, so that a CUDA graph can include it."""
        self._updates += 1
        decay = ((1 + self._updates) / (10 + self._updates)).clamp(max=self._decay)
        for average, value in self._pairs:
            if average.is_floating_point():
                average.lerp_(value, (1 - decay).to(average.dtype))
            else:
                average.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """The state for a checkpoint."""
        return {"average": self.average.state_dict(), "updates": self._updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the result of `state_dict`; RuntimeError or KeyError if it is another network's."""
        self.average.load_state_dict(state["average"])
        self._updates.copy_(state["updates"])


def _values(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
