"""How much a search's parameters mattered, computed by the harness with Optuna and saved for the figures."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Importance:
    """For one objective of a search, each parameter's share of the importance of all; the shares add up to 1.

    `suggestions` is the number of complete suggestions it was computed from.
    """

    metric: str
    direction: str
    suggestions: int
    shares: Mapping[str, float]
