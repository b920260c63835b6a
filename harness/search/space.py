"""What a search may suggest, and what the rows already answer of it. Nothing here knows Optuna."""

import hashlib
import itertools
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lrlc.harness.plan.catalogue import OpenedStudy
from lrlc.harness.plan.planning import Planner
from lrlc.harness.trial import Trial
from lrlc.studies import Interval, Search, has_places, placement_text, placements, suggested_configs
from lrlc.studies.places import Places

Row = Mapping[str, Any]
Params = dict[str, Any]
Axis = tuple[str, ...] | tuple[int, ...] | Interval


@dataclass(frozen=True)
class Answer:
    """A suggestion that rows answer: all its trials (one a seed), and the rows of those that have one."""

    params: Params
    trials: tuple[Trial, ...]
    rows: Mapping[str, Row]

    @property
    def is_whole(self) -> bool:
        return len(self.rows) == len(self.trials)


class SearchSpace:
    """The axes of a study's search, in the order they are asked: the kind decides which of the others are."""

    def __init__(self, opened: OpenedStudy, planner: Planner) -> None:
        if opened.study.search is None:
            raise ValueError(f"study {opened.study.name} has no search")
        self._opened, self._planner, self.search = opened, planner, opened.study.search
        self.axes = _axes(self.search, opened.catalogue.places(self.search.network))

    def asked(self, kind: str) -> Iterator[str]:
        """The axes of a suggestion of that kind: a rank and a placement only where it has one."""
        for name in self.axes:
            if name == "rank" and not self._opened.catalogue.kinds[kind]:
                continue
            if name == "placement" and not has_places(kind):
                continue
            yield name

    @property
    def is_conditional(self) -> bool:
        """Whether some kinds have axes that others lack."""
        return len({tuple(self.asked(str(kind))) for kind in self._kinds}) > 1

    @property
    def size(self) -> int | None:
        """How many different suggestions there are; None where an interval is searched."""
        if any(isinstance(axis, Interval) for axis in self.axes.values()):
            return None
        return sum(self._count(kind) for kind in self._kinds)

    @property
    def total(self) -> int:
        """Suggestions in all: what the study asks for, or, by brute force, as many as there are."""
        if self.search.sampler != "brute_force" or self.size is None:
            return self.search.trials
        return min(self.search.trials, self.size)

    def suggestions(self) -> Iterator[Params]:
        """Every suggestion there is; none where an interval is searched."""
        for kind in self._kinds if self.size is not None else ():
            names = [name for name in self.asked(str(kind)) if name != "kind"]
            axes = [axis for name in names if not isinstance(axis := self.axes[name], Interval)]
            for values in itertools.product(*axes):
                yield {"kind": kind, **dict(zip(names, values, strict=True))}

    def trials(self, params: Mapping[str, Any], number: int | None = None) -> tuple[Trial, ...]:
        """The trials, one a seed, that a suggestion stands for; `number` is Optuna's."""
        configs = suggested_configs(self._opened.study, self._opened.catalogue, params)
        return tuple(self._planner.trial(config, number) for config in configs)

    def answers(self, rows: Mapping[str, Row], known: Collection[str] = frozenset()) -> Iterator[Answer]:
        """The suggestions of this space that a search made and that rows answer, whole or in part.

        Rows of trials that are `known`, that lie outside the space or belong to other settings answer none.
        """
        seen = set(known)
        for row in rows.values():
            if row["trial_id"] in seen or not _was_suggested(row):
                continue
            params = self._params(row)
            if params is not None:
                trials = self.trials(params)
                found = {trial.id: rows[trial.id] for trial in trials if trial.id in rows}
                if row["trial_id"] in found:  # else of other settings: another profile, other data
                    seen |= found.keys()
                    yield Answer(params, trials, found)

    def digest(self) -> str:
        """8 hex digits of all that decides what a suggestion is told; trials' ids stand for the settings."""
        search = self.search
        told = search.model_dump(mode="json", include={"objectives", "constraints"})
        axes = {
            name: axis.model_dump() if isinstance(axis, Interval) else axis
            for name, axis in self.axes.items()
        }
        ids = [trial.id for kind in self._kinds for trial in self.trials(self._first(str(kind)))]
        text = json.dumps([told, axes, ids], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def _kinds(self) -> Iterable[str | int]:
        kinds = self.axes["kind"]
        return () if isinstance(kinds, Interval) else kinds

    def _count(self, kind: str | int) -> int:
        """How many suggestions there are of a kind, where no axis is an interval."""
        axes = [self.axes[name] for name in self.asked(str(kind)) if name != "kind"]
        return math.prod(len(axis) for axis in axes if not isinstance(axis, Interval))

    def _first(self, kind: str) -> Params:
        axes = {name: self.axes[name] for name in self.asked(kind) if name != "kind"}
        firsts = {name: axis.low if isinstance(axis, Interval) else axis[0] for name, axis in axes.items()}
        return {"kind": kind, **firsts}

    def _params(self, row: Row) -> Params | None:
        """The suggestion that a row answers; None if it lies outside the space."""
        if row["kind"] not in self._kinds or row["seed"] not in self.search.seeds:
            return None
        values: Params = {}
        for name in self.asked(row["kind"]):
            value = row[name.removeprefix("train.")]
            values[name] = int(value) if name == "rank" else value
            axis = self.axes[name]
            if isinstance(axis, Interval):
                if not axis.low <= value <= axis.high:
                    return None
            elif values[name] not in axis:
                return None
        return values


def _axes(search: Search, places: Places) -> dict[str, Axis]:
    chosen = placements(search.space.placement, places)
    axes: dict[str, Axis] = {
        "kind": tuple(dict.fromkeys(search.space.kind)),
        "placement": tuple(dict.fromkeys(map(placement_text, chosen))),
    }
    if search.space.rank:
        axes["rank"] = tuple(dict.fromkeys(search.space.rank))
    return axes | {f"train.{name}": interval for name, interval in search.space.train.items()}


def _was_suggested(row: Row) -> bool:
    number = row["search_number"]
    return number is not None and number == number  # a table's null is NaN
