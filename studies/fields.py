"""Types for the values of a study's keys."""

import re
from dataclasses import dataclass
from functools import cache
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from lrlc.studies.lines import shown

INT32, INT64 = 2**31 - 1, 2**63 - 1
"""Upper bounds of the tables' columns."""

# Plausibility bounds, far above any real setting and well within the columns, to refuse typing errors.
MOST_EPOCHS = 1_000_000
MOST_IMAGES = 1_000_000_000
MOST_SEEDS = 1_000_000
MOST_CELLS, MOST_TRIALS = 100_000, 1_000_000
MOST_PIXELS = 10_000
MOST_RANK = 100_000
MOST_RATE = 1e30
MOST_DECAY = 100.0
MOST_CPUS = 10_000
LEAST_SHARE = 0.001
MOST_MINUTES = 10 * 366 * 24 * 60
MOST_OF_AN_OPTION = 1e12
LONGEST_TEXT, LONGEST_NAME = 1_000, 100


def _no_flag(value: object) -> object:
    if isinstance(value, bool):  # pydantic would read `yes` as 1
        raise ValueError(f"expected a number, got {shown(value)}")
    return value


def sensible(value: object) -> object:
    """An option of a layer, sampler or plugin, whose reader may know stricter bounds but need not check them."""
    if not isinstance(value, str | int | float):
        raise ValueError(f"expected a name or a number, got {shown(value)}")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise ValueError(f"a text of {len(value):,} characters; at most {LONGEST_TEXT:,}")
    if isinstance(value, int | float) and not abs(value) <= MOST_OF_AN_OPTION:  # NaN is not within it either
        raise ValueError(f"expected a number within {MOST_OF_AN_OPTION:g} of 0, got {shown(value)}")
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str | int) else value


@dataclass(frozen=True)
class _Listed:
    """Turns a single value into a list of one, also in the JSON schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_listed, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        listed = handler(schema)
        return {"anyOf": [listed["items"], listed]}


def _height_and_width(value: object) -> object:
    """A number n means n x n."""
    sides = [value, value] if isinstance(value, int) else value
    if not isinstance(sides, list | tuple) or len(sides) != 2:
        raise ValueError(f"expected a number of pixels or [height, width], got {shown(value)}")
    if any(isinstance(side, bool) or not isinstance(side, int) or side < 1 for side in sides):
        raise ValueError(f"expected whole numbers of pixels from 1, got {shown(value)}")
    if max(sides) > MOST_PIXELS:
        raise ValueError(f"expected at most {MOST_PIXELS:,} pixels, got {shown(value)}")
    return tuple(sides)


Whole = Annotated[int, BeforeValidator(_no_flag)]
Real = Annotated[float, BeforeValidator(_no_flag)]
OptionValue = Annotated[str | int | float | bool, BeforeValidator(sensible)]
Seed = Annotated[Whole, Field(ge=-INT64 - 1, le=INT64)]
Epochs = Annotated[Whole, Field(ge=1, le=MOST_EPOCHS)]
Images = Annotated[Whole, Field(ge=1, le=MOST_IMAGES)]
Pixels = Annotated[Whole, Field(ge=0, le=MOST_PIXELS)]
Rank = Annotated[Whole, Field(ge=1, le=MOST_RANK)]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
SeedCount = Annotated[Whole, Field(ge=1, le=MOST_SEEDS)]
Minutes = Annotated[Real, Field(ge=0, le=MOST_MINUTES)]
_STUDY_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
StudyName = Annotated[str, Field(pattern=_STUDY_NAME, max_length=LONGEST_NAME)]
"""The name is also that of its results folder."""


def is_study_name(text: str) -> bool:
    """Whether a folder of results may have this name, unlike `../outside` or `a/b`."""
    return len(text) <= LONGEST_NAME and re.fullmatch(_STUDY_NAME.strip("^$"), text) is not None


def check_new_name(what: str, name: str, reserved: str = "/") -> None:
    """ValueError if a plugin's name for something could not be written in a study, a table and a file's name."""
    plain = 0 < len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip() and name[0] != "."
    if not plain or set(name) & set(reserved):
        raise ValueError(
            f"{what} {shown(name)}: expected 1 to {LONGEST_NAME} printable characters, none of them {reserved}, "
            "the first not a dot"
        )


Listed = _Listed()
Side = Annotated[int, Field(ge=1, le=MOST_PIXELS)]
Size = Annotated[
    tuple[int, int], BeforeValidator(_height_and_width, json_schema_input_type=Side | tuple[Side, Side])
]
"""(H, W) in pixels; a study may write one number for both."""


OFF = "none"
"""Switches off an optional setting, like YAML's null."""


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _switched_off(cls, given: Any) -> Any:
        """Turn `none` into null for a setting that may be null and has no text; `gpus: none` is `gpus: null`."""
        if not isinstance(given, dict) or OFF not in [each for each in given.values() if type(each) is str]:
            return given
        return {
            key: None if value == OFF and key in may_be_off(cls) else value for key, value in given.items()
        }


@cache
def may_be_off(model: type[BaseModel]) -> frozenset[str]:
    """The keys that accept null but no arbitrary text."""
    found = {name: get_args(field.annotation) for name, field in model.model_fields.items()}
    return frozenset(
        name for name, parts in found.items() if NoneType in parts and str not in map(_bare, parts)
    )


def _bare(annotation: Any) -> Any:
    """The type without its annotations."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
