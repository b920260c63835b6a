"""The suggestions that a search can make, and those that rows already answer. Independent of Optuna."""

import hashlib
import itertools
import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lrlc.harness.plan.catalogue import OpenedStudy
from lrlc.harness.plan.planning import Planner
from lrlc.harness.search.row import Row
from lrlc.harness.trial import Trial
from lrlc.studies import (
    Interval,
    KindOption,
    Search,
    has_places,
    placement_text,
    placements,
    suggested_configs,
)
from lrlc.studies.loading_search import is_whole
from lrlc.studies.places import Places
from lrlc.studies.training import Training, augment_of, augment_text, unused_keys

Params = dict[str, Any]


@dataclass(frozen=True)
class Whole:
    """An interval of integers."""

    low: int
    high: int
    log: bool


Axis = tuple[Any, ...] | Interval | Whole


@dataclass(frozen=True)
class Answer:
    """A suggestion that rows answer: all its trials (one per seed), and the existing rows."""

    params: Params
    trials: tuple[Trial, ...]
    rows: Mapping[str, Row]

    @property
    def is_whole(self) -> bool:
        return len(self.rows) == len(self.trials)


class SearchSpace:
    """The axes of a study's search in the order they are drawn; the kind decides which of the others are."""

    def __init__(self, opened: OpenedStudy, planner: Planner) -> None:
        if opened.study.search is None:
            raise ValueError(f"study {opened.study.name} has no search")
        self._opened, self._planner, self.search = opened, planner, opened.study.search
        self.axes = _axes(self.search, opened.catalogue.places(self.search.network), opened.catalogue.options)

    def asked(self, params: Mapping[str, Any]) -> Iterator[str]:
        """The axes of a suggestion in order, except the kind, which `params` has.

        Rank, placement and layer options are only included if the kind has them, and training settings if the schedule
        or the augmentations use them. If these two are axes they come first, and may be added to `params` meanwhile.
        """
        kind, train = str(params["kind"]), self._opened.study.train
        taken = self._opened.catalogue.options.get(kind, {})
        for name in self.axes:
            group, _, key = name.partition(".")
            if name == "kind" or (name == "rank" and not self._opened.catalogue.kinds[kind]):
                continue
            if (name == "placement" and not has_places(kind)) or (group == "layer" and key not in taken):
                continue
            schedule = params.get("train.schedule", train.schedule)
            augment = params.get("train.augment", augment_text(train.augment))
            if group == "train" and key in unused_keys(schedule, augment_of(augment)):
                continue
            yield name

    @property
    def is_conditional(self) -> bool:
        """Whether some suggestions have axes that others lack."""
        return len({tuple(self.asked(branch)) for branch in self._branches()}) > 1

    @property
    def size(self) -> int | None:
        """The number of distinct suggestions; None if an interval is searched."""
        if any(isinstance(axis, Interval | Whole) for axis in self.axes.values()):
            return None
        return sum(self._count(branch) for branch in self._branches())

    @property
    def total(self) -> int:
        """The total number of suggestions: as in the study, but with brute force at most those that exist."""
        if self.search.sampler != "brute_force" or self.size is None:
            return self.search.trials
        return min(self.search.trials, self.size)

    def suggestions(self) -> Iterator[Params]:
        """All suggestions; none if an interval is searched."""
        for branch in self._branches() if self.size is not None else ():
            names = [name for name in self.asked(branch) if name not in branch]
            for values in itertools.product(*(self._choices(name) for name in names)):
                given = {**branch, **dict(zip(names, values, strict=True))}
                yield {name: given[name] for name in ("kind", *self.asked(branch))}

    def representatives(self) -> Iterator[Params]:
        """A suggestion for each kind and rank, for forecasting how long a search takes."""
        for kind in self._choices("kind"):
            first = self._first({"kind": kind})
            ranks = self._choices("rank") if "rank" in first else ()
            yield from ({**first, "rank": rank} for rank in ranks)
            if not ranks:
                yield first

    def trials(self, params: Mapping[str, Any], number: int | None = None) -> tuple[Trial, ...]:
        """The trials of a suggestion, one per seed; `number` is Optuna's."""
        configs = suggested_configs(self._opened.study, self._opened.catalogue, params)
        names = tuple(axis.rpartition(".")[2] for axis in self.axes)
        return tuple(replace(self._planner.trial(config, number), distinguishing=names) for config in configs)

    def answers(self, rows: Mapping[str, Row], known: Collection[str] = frozenset()) -> Iterator[Answer]:
        """The suggestions of this space that a search made and that rows answer, completely or in part.

        Rows of `known` trials, outside the space or with other settings are ignored.
        """
        seen = set(known)
        for row in rows.values():
            if row.trial_id in seen or row.search_number is None:
                continue
            params = self._params(row)
            if params is not None:
                trials = self.trials(params)
                found = {trial.id: rows[trial.id] for trial in trials if trial.id in rows}
                if row.trial_id in found:  # otherwise it has other settings: another profile or other data
                    seen |= found.keys()
                    yield Answer(params, trials, found)

    def digest(self) -> str:
        """8 hex digits of everything that determines a suggestion's outcome; trial ids represent the settings."""
        search = self.search
        told = search.model_dump(mode="json", include={"objectives", "constraints"})
        axes = {
            name: axis
            if isinstance(axis, tuple)
            else dict(axis)
            if isinstance(axis, Interval)
            else vars(axis)
            for name, axis in self.axes.items()
        }
        ids = [trial.id for branch in self._branches() for trial in self.trials(self._first(branch))]
        text = json.dumps([told, axes, ids], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def _branches(self) -> Iterator[Params]:
        """All combinations of the axes that decide which other axes are drawn."""
        names = [name for name in DECIDING if name in self.axes]
        for values in itertools.product(*(self._choices(name) for name in names)):
            yield dict(zip(names, values, strict=True))

    def _choices(self, name: str) -> tuple[Any, ...]:
        axis = self.axes[name]
        return axis if isinstance(axis, tuple) else ()

    def _count(self, branch: Params) -> int:
        """The number of suggestions in a branch, if no axis is an interval."""
        return math.prod(len(self._choices(name)) for name in self.asked(branch) if name not in branch)

    def _first(self, branch: Params) -> Params:
        """The suggestion with the first or lowest value on each axis that the branch leaves open."""
        params = dict(branch)
        for name in self.asked(params):
            axis = self.axes[name]
            params.setdefault(name, axis[0] if isinstance(axis, tuple) else axis.low)
        return params

    def _params(self, row: Row) -> Params | None:
        """The suggestion that a row answers; None if it lies outside the space."""
        if row.kind not in self._choices("kind") or row.seed not in self.search.seeds:
            return None
        params: Params = {"kind": row.kind}
        for name in self.asked(params):
            params[name] = self._value(row, name)
            axis = self.axes[name]
            is_inside = (
                params[name] in axis
                if isinstance(axis, tuple)
                else params[name] is not None and axis.low <= params[name] <= axis.high
            )
            if not is_inside:
                return None
        return params

    def _value(self, row: Row, name: str) -> Any:
        """A row's value on an axis; its `config` has all training settings and options."""
        group, _, key = name.partition(".")
        if group == "train":
            return _as_choice(key, getattr(Training.model_validate(json.loads(row.config)["train"]), key))
        if group == "layer":
            return json.loads(row.options).get(key, self._opened.catalogue.options[row.kind][key].default)
        return getattr(row, name)


DECIDING = ("kind", "train.schedule", "train.augment")
"""The axes that decide which others are drawn; they are drawn first."""


def _axes(search: Search, places: Places, options: Mapping[str, Mapping[str, KindOption]]) -> dict[str, Axis]:
    """The axes in the order in which they are drawn."""
    space = search.space
    axes: dict[str, Axis] = {
        "kind": tuple(dict.fromkeys(space.kind)),
        "placement": tuple(dict.fromkeys(map(placement_text, placements(space.placement, places)))),
    }
    if space.rank:
        axes["rank"] = tuple(dict.fromkeys(space.rank))
    deciding_first = sorted(space.settings.items(), key=lambda setting: setting[0] not in DECIDING)
    return axes | {name: _axis(name, given, options) for name, given in deciding_first}


def _axis(name: str, given: Interval | list[Any], options: Mapping[str, Mapping[str, KindOption]]) -> Axis:
    group, _, key = name.partition(".")
    if isinstance(given, list):
        return tuple(_choice(key, value) if group == "train" else value for value in given)
    if group == "train":
        whole = is_whole(key)
    else:
        whole = any(taken[key].is_whole for taken in options.values() if key in taken)
    return Whole(int(given.low), int(given.high), given.log) if whole else given


def _choice(key: str, value: Any) -> Any:
    """The value as in a row: weight_decay 0 as 0.0, augmentations as a text."""
    return _as_choice(key, getattr(Training.model_validate({key: value}), key))


def _as_choice(key: str, value: Any) -> Any:
    return augment_text(value) if key == "augment" else value
