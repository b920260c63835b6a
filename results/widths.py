"""Measured widths, saved so that a study's trials stay the same when it is resumed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter

from lrlc.results import damage, documents
from lrlc.results.damage import Damage
from lrlc.results.errors import StoreError
from lrlc.results.files import Location

FILE = "widths.json"


@dataclass(frozen=True)
class MeasuredFor:
    """What a width was measured for; other settings of a trial do not change the duration of its steps.

    `placement` is as in the tables; `options` is JSON as there, without the width.
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
    plugins: str | None = None
    """The digest of the plugin files that define parts of the trial."""


@dataclass(frozen=True)
class MeasuredWidth:
    """The channels with which a training step takes as long as with the layer to match.

    Seconds are those of a training step on `device`, with that width and with the other layer.
    """

    measured_for: MeasuredFor
    width: int
    step_seconds: float
    matched_step_seconds: float
    device: str


_WIDTHS = TypeAdapter(list[MeasuredWidth])


def read(root: Location) -> list[MeasuredWidth]:
    """The recorded widths, the first measured first; empty if the file is missing or damaged."""
    return damage.kept(_read(root)) or []


def write(root: Location, found: Sequence[MeasuredWidth]) -> None:
    """Add `found` to the record. StoreError if another run has meanwhile measured a different value."""
    record = _read(root)
    damage.make_way(root, record)
    known = {each.measured_for: each for each in (record if isinstance(record, list) else ())}
    for each in found:
        if (there := known.setdefault(each.measured_for, each)).width != each.width:
            raise StoreError(
                f"{root / FILE}: a run has meanwhile measured {there.width} channels; run the study again"
            )
    documents.write(root / FILE, {"widths": [asdict(each) for each in known.values()]})


def file_damage(root: Location) -> Damage | None:
    """The file, if it is damaged."""
    found = _read(root)
    return found if isinstance(found, Damage) else None


def _read(root: Location) -> list[MeasuredWidth] | Damage | None:
    return documents.read(root / FILE, lambda content: _WIDTHS.validate_python(content["widths"]))
