"""A study's stages besides its grid: pilots that tune settings for each kind, and shorter trials of the grid's cells.

Both are ordinary trials of the study. See docs/studies.md, "Tuning by kind" and "Length check".
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lrlc.studies.errors import StudyError, nearest
from lrlc.studies.fields import MOST_EPOCHS, MOST_SEEDS, Model, OptionValue, Seed, SeedCount
from lrlc.studies.lines import shown

SHARES = {"full": 1, "half": 2, "third": 3}
PILOT_SEED = 1_000_000
"""The first pilot seed if the study's own seeds are below it; also the upper bound on a study's number of seeds."""


def _epochs(value: object) -> object:
    if isinstance(value, str) and value in SHARES:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_EPOCHS:
        return value
    raise ValueError(
        f"expected a whole number of at least 1 or a share of the study's epochs, got {shown(value)}; "
        f"{nearest(value, SHARES)}"
    )


Epochs = Annotated[
    int | str,
    BeforeValidator(
        _epochs,
        json_schema_input_type=Annotated[int, Field(ge=1, le=MOST_EPOCHS)] | Literal["full", "half", "third"],
    ),
]
"""A number of epochs, or a share of the study's epochs, rounded up."""


class Tune(Model):
    """Pilots: each setting in `grid` for each kind on each data set; the best mean validation accuracy is chosen."""

    grid: dict[str, list[OptionValue | None]]
    """The values to try by axis; all combinations are tried."""
    seeds: list[Seed]
    epochs: Epochs = "full"
    """Fewer favour settings that learn fast."""


class LengthCheck(Model):
    """The grid's cells with fewer epochs, for the first `seeds` of the study's seeds."""

    epochs: Epochs = "half"
    seeds: SeedCount = 3


def share_of_epochs(asked: int | str, full: int) -> int:
    """The epochs meant by 'half' or a number if the grid trains `full` epochs: half of 5 is 3."""
    return asked if isinstance(asked, int) else -(-full // SHARES[asked])


def pilot_seeds(given: object, reached: Sequence[int]) -> object:
    """A number n means n seeds from 1,000,000 on, or from the first one above the study's seeds."""
    if not isinstance(given, int) or isinstance(given, bool):
        return given
    if given > MOST_SEEDS:
        raise StudyError(f"tune.seeds: at most {MOST_SEEDS:,}, got {given:,}")
    first = max(PILOT_SEED, max(reached, default=-1) + 1)
    return list(range(first, first + given))


def flat_grid(given: Mapping[str, Any]) -> dict[str, Any]:
    """Turn `{train: {learning_rate: [...]}}`, which overrides create, into `{train.learning_rate: [...]}`."""
    nested = {
        f"{group}.{key}": value
        for group, keys in given.items()
        if isinstance(keys, dict)
        for key, value in keys.items()
    }
    return {axis: value for axis, value in given.items() if not isinstance(value, dict)} | nested
