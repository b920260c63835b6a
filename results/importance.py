"""How much a search's parameters mattered: what the harness works out with Optuna, kept for the figures."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Importance:
    """For one objective of a search, each parameter's share of the importance of all; the shares add up to 1.

    `suggestions` were complete when it was worked out.
    """

    metric: str
    direction: str
    suggestions: int
    shares: Mapping[str, float]
