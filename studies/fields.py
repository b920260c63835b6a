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


Whole = Annotated[int, BeforeValidator(_no_flag)]
Real = Annotated[float, BeforeValidator(_no_flag)]
Listed = BeforeValidator(_listed)


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
