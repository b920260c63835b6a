"""A search's space: lists of values and intervals, for kinds, ranks, placements, training and layer options."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator

from lrlc.studies.fields import Listed, Model, OptionValue, Rank, Real


class Interval(Model):
    """A numeric setting to search."""

    low: Real
    high: Real
    log: bool = False

    @model_validator(mode="after")
    def _is_ordered(self) -> "Interval":
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} must be under high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low:g} must be over 0 on a log scale")
        return self


def _form(value: object) -> str:
    return "<interval>" if isinstance(value, Mapping | Interval) else "<choices>"


Choices = Annotated[list[OptionValue | None], Field(min_length=1)]
Axis = Annotated[
    Annotated[Interval, Tag("<interval>")] | Annotated[Choices, Tag("<choices>")], Discriminator(_form)
]
"""`{low, high}`, optionally with `log`, or a list of values."""


class Space(Model):
    """The search's choices; a rank or an option is only suggested if the chosen kind has it."""

    kind: Annotated[list[str], Field(min_length=1), Listed]
    rank: Annotated[list[Rank], Listed] = []
    placement: Any = "all"
    """Placements as on a grid's axis; `placements` parses them once the network is known."""
    train: dict[str, Axis] = {}
    layer: dict[str, Axis] = {}

    @property
    def settings(self) -> dict[str, Interval | list[Any]]:
        """The axes of training and layer options, with their names in a grid: 'train.learning_rate'."""
        groups = {"train": self.train, "layer": self.layer}
        return {f"{group}.{key}": axis for group, axes in groups.items() for key, axis in axes.items()}
