"""Settings that pilots chose for each kind, what they were chosen from, and whether they lie at the edge of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from lrlc.results import names

RATE = "train.learning_rate"


@dataclass(frozen=True)
class Tried:
    """One setting, by axis, and the validation accuracy of each pilot seed: null where the pilot did not finish."""

    setting: Mapping[str, Any]
    accuracies: Mapping[int, float | None]

    @property
    def finished(self) -> int:
        return len(self._known)

    @property
    def mean(self) -> float:
        """Over the pilots that finished; NaN where none did."""
        return fmean(self._known) if self._known else math.nan

    @property
    def _known(self) -> list[float]:
        return [accuracy for accuracy in self.accuracies.values() if accuracy is not None]


@dataclass(frozen=True)
class Tuned:
    """A group of cells that differ in rank and placement alone, and the setting that they share.

    `dataset` is a title as in the tables, `options` JSON as there, without what was tuned. `trained` is how the group
    is trained otherwise, by column (limits of the data set too), with the study's epochs. The pilots had
    `pilot_epochs`, and were of `rank` and `placement`.
    """

    dataset: str
    network: str
    kind: str
    options: str
    rank: int | None
    placement: str
    trained: Mapping[str, Any]
    pilot_epochs: int
    tried: tuple[Tried, ...]

    def __post_init__(self) -> None:
        if not self.tried:
            raise ValueError(f"{self.dataset} {self.kind}: no setting was tried")

    @property
    def chosen(self) -> Tried:
        """The most pilots finished, then the best mean accuracy, the smaller learning rate, the first in the grid.

        A setting at which a pilot diverged thus ranks below any at which none did.
        """
        return min(self.tried, key=_preference)

    @property
    def second(self) -> Tried:
        """The second choice: what would have been chosen without the chosen setting."""
        return sorted(self.tried, key=_preference)[1]

    @property
    def edges(self) -> dict[str, str]:
        """Axes of numbers on which the choice is the 'lowest' or 'highest' that was tried: the best may lie beyond."""
        found = {}
        for axis, value in self.chosen.setting.items():
            values = {each.setting[axis] for each in self.tried}
            if all(isinstance(each, int | float) and not isinstance(each, bool) for each in values):
                if value == max(values):
                    found[axis] = "highest"
                elif value == min(values):
                    found[axis] = "lowest"
        return found

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, with what follows from the rest written out for other readers."""
        return {**asdict(self), "chosen": dict(self.chosen.setting), "edges": self.edges}


def axis_name(axis: str) -> str:
    """'train.learning_rate' as 'learning rate'."""
    return axis.partition(".")[2].replace("_", " ")


def setting_name(setting: Mapping[str, Any]) -> str:
    """'learning rate 0.1, batch size 64'."""
    return ", ".join(names.setting_name(axis.partition(".")[2], value) for axis, value in setting.items())


def details(found: Sequence[Tuned]) -> list[str]:
    """For each, what tells it from the others of its data set, network and kind in how it is trained; '' mostly."""
    told = []
    for each in found:
        alike = [other for other in found if _key(other) == _key(each)]
        varying = [
            name for name in each.trained if len({str(other.trained.get(name)) for other in alike}) > 1
        ]
        told.append(", ".join(names.setting_name(name, each.trained[name]) for name in varying))
    return told


def _key(each: Tuned) -> tuple[str, str, str, str]:
    return each.dataset, each.network, each.kind, each.options


def _preference(tried: Tried) -> tuple[float, float, float]:
    mean = -math.inf if math.isnan(tried.mean) else tried.mean
    return (-tried.finished, -mean, float(tried.setting.get(RATE, 0)))
