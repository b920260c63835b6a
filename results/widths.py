"""Widths that were found by measuring: kept, so that the trials of a study stay the same ones when it is resumed."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lrlc.results.errors import StoreError
from lrlc.results.files import Location

FILE = "widths.json"


@dataclass(frozen=True)
class MeasuredFor:
    """What a width was measured for; whatever else defines a trial does not change how long its steps take.

    `placement` reads as in the tables; `options` is JSON as there, without the width.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    network: str
    kind: str
    rank: int | None
    placement: str
    options: str
    batch_size: int
    precision: str


@dataclass(frozen=True)
class MeasuredWidth:
    """The channels with which a training step takes as long as one of the layer that was to be matched.

    Seconds are those of a step, with that width and of the other layer, on `device`.
    """

    measured_for: MeasuredFor
    width: int
    step_seconds: float
    matched_step_seconds: float
    device: str


def read(root: Location) -> list[MeasuredWidth]:
    """What is on record, the first measured first."""
    path = root / FILE
    try:
        entries = json.loads(path.read())["widths"]
        return [
            MeasuredWidth(**{**entry, "measured_for": _of_dict(entry["measured_for"])}) for entry in entries
        ]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} is not what lrlc wrote ({error}); delete it and run the study again"
        ) from None


def write(root: Location, found: Sequence[MeasuredWidth]) -> None:
    """Add `found` to the record. StoreError where another run has meanwhile measured one of them otherwise."""
    known = {each.measured_for: each for each in read(root)}
    for each in found:
        if (there := known.setdefault(each.measured_for, each)).width != each.width:
            raise StoreError(
                f"{root / FILE}: a run has meanwhile measured {there.width} channels; run the study again"
            )
    text = json.dumps({"widths": [asdict(each) for each in known.values()]}, indent=2)
    (root / FILE).replace(lambda out: out.write(text.encode()))


def _of_dict(entry: dict[str, Any]) -> MeasuredFor:
    return MeasuredFor(**{**entry, "image_shape": tuple(entry["image_shape"])})
