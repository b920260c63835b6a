"""Settings that pilots chose for each kind, the alternatives, and whether the choice lies at their edge."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from lrlc.results import names

RATE = "train.learning_rate"


@dataclass(frozen=True)
class Tried:
    """One setting, by axis, and the validation accuracy of each pilot seed; null if the pilot did not finish."""

    setting: Mapping[str, Any]
    accuracies: Mapping[int, float | None]

    @property
    def finished(self) -> int:
        return len(self._known)

    @property
    def mean(self) -> float:
        """The mean over finished pilots; NaN if there are none."""
        return fmean(self._known) if self._known else math.nan

    @property
    def _known(self) -> list[float]:
        return [accuracy for accuracy in self.accuracies.values() if accuracy is not None]


@dataclass(frozen=True)
class Tuned:
    """A group of cells that differ only in rank and placement, and the setting that they share.

    `dataset` is a title as in the tables, `options` is JSON as there, without tuned ones. `trained` has the group's
    other training settings by column (including limits of the data set), with the study's epochs. The pilots had
    `pilot_epochs`, and this `rank` and `placement`.
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
        """Ranked by finished pilots, then mean accuracy, then smaller learning rate, then order in the grid.

        A setting at which a pilot diverged thus ranks below any without divergence.
        """
        return min(self.tried, key=_preference)

    @property
    def second(self) -> Tried:
        """The second choice, without the chosen setting."""
        return sorted(self.tried, key=_preference)[1]

    @property
    def edges(self) -> dict[str, str]:
        """Numeric axes on which the choice is the 'lowest' or 'highest' value tried, so the best may lie beyond."""
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
        """JSON-able, including derived values for other readers."""
        return {**asdict(self), "chosen": dict(self.chosen.setting), "edges": self.edges}


def axis_name(axis: str) -> str:
    """'train.learning_rate' as 'learning rate'."""
    return axis.partition(".")[2].replace("_", " ")


def setting_name(setting: Mapping[str, Any]) -> str:
    """'learning rate 0.1, batch size 64'."""
    return ", ".join(names.setting_name(axis.partition(".")[2], value) for axis, value in setting.items())


def details(found: Sequence[Tuned]) -> list[str]:
    """For each, the training settings that distinguish it from others of its data set, network and kind; usually ''."""
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
