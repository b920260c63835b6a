"""Kinds of values that the keys of a study take."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

OptionValue = str | int | float | bool


def _no_flag(value: object) -> object:
    if isinstance(value, bool):  # pydantic would read `yes` as 1
        raise ValueError(f"expected a number, got {value!r}")
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str | int) else value


def _height_and_width(value: object) -> object:
    """A number n means n x n."""
    sides = [value, value] if isinstance(value, int) else value
    if not isinstance(sides, list | tuple) or len(sides) != 2:
        raise ValueError(f"expected a number of pixels or [height, width], got {value!r}")
    if any(isinstance(side, bool) or not isinstance(side, int) or side < 1 for side in sides):
        raise ValueError(f"expected whole numbers of pixels from 1, got {value!r}")
    return tuple(sides)


Whole = Annotated[int, BeforeValidator(_no_flag)]
Real = Annotated[float, BeforeValidator(_no_flag)]
Listed = BeforeValidator(_listed)
Size = Annotated[tuple[int, int], BeforeValidator(_height_and_width)]
"""(H, W) in pixels; a study may write one number for both."""


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
