"""Tuned settings that are worse than another one, which any study in the results folder trained for as long.

Pilots are often shorter than the trials that they choose for, and then favour settings that learn fast.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lrlc.results.claims.cells import cell_name
from lrlc.results.names import dataset_name, setting_name, value_name
from lrlc.results.plans import Stage
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import CELL, LAYER_SETTINGS, Summary, summarise
from lrlc.results.store import Store
from lrlc.results.tuning import Tuned

FEWEST_SEEDS = 3
_ALIKE = ("data_digest", "code_epoch", "device")
"""What paired trials share beside their configuration."""
_CHOSEN = "_chosen"
_COLUMNS = ("trial_id", "status", "seed", "validation_accuracy", "config", *CELL, *_ALIKE)


@dataclass(frozen=True)
class BetterSetting:
    """A setting with which a cell has a higher validation accuracy than with the one that its pilots chose."""

    where: str
    """'CIFAR-10 16×16, LRLC rank 4, layer 3'."""
    chosen: Mapping[str, Any]
    better: Mapping[str, Any]
    gain: Summary
    """Paired by seed, in points; its 95% interval lies above 0."""
    studies: tuple[str, ...]
    """The studies that trained it."""

    def __str__(self) -> str:
        gain = self.gain
        return (
            f"{self.where}: {_named(self.better)} is {gain.mean:.2f} points ({gain.low:.2f} to {gain.high:.2f}) "
            f"better on validation than {_named(self.chosen)}, which its pilots chose "
            f"({gain.n} seeds, {', '.join(self.studies)})"
        )


def better_settings(store: Store, profile: str | None, others: Sequence[Store]) -> list[BetterSetting]:
    """For each tuned cell of a profile's grid (None: the plan written last), the best setting that beats its own.

    Planned trials of this store and of `others` are compared if their configurations differ only in the tuned settings,
    over FEWEST_SEEDS seeds or more. It is a warning, not a test: nothing is corrected.
    """
    plan = store.staged_plan(profile)
    if plan is None or not plan.tuned:
        return []
    trials = pd.concat([_finished(each) for each in (store, *others)]).drop_duplicates("trial_id")
    own = trials[trials["trial_id"].isin(plan.of_stage(Stage.GRID) & plan.tuned.keys())]
    tuned = own["trial_id"].map(lambda trial_id: ",".join(plan.tuned[trial_id]))
    pilots = store.tuning(profile)
    return [
        better
        for axes in dict.fromkeys(tuned)
        for better in _of_cells(own[tuned == axes], trials, axes.split(","), pilots)
    ]


def _finished(store: Store) -> pd.DataFrame:
    rows = store.trials(_COLUMNS)
    planned = ~rows["trial_id"].isin(store.unplanned())
    return rows[planned & (rows["status"] == TrialStatus.FINISHED)].assign(study=store.root.name)


def _of_cells(
    own: pd.DataFrame, trials: pd.DataFrame, axes: Sequence[str], tuning: Sequence[Tuned]
) -> Iterator[BetterSetting]:
    """The best setting of each cell for which there is a better one; the cells have these tuned settings."""
    chosen = {
        (each.dataset, each.network, each.kind, _values(axes, _training(each.chosen.setting)))
        for each in tuning
    }
    pairs = _with_rest(own, axes).merge(
        _with_rest(trials, axes), on=["rest", "seed", *_ALIKE], suffixes=(_CHOSEN, "")
    )
    cell = [*(name for name in CELL if name not in axes), *(name + _CHOSEN for name in axes)]
    for _, of_cell in pairs.groupby(cell, dropna=False, sort=False):
        first = of_cell.iloc[0]
        setting = {name: first[name + _CHOSEN] for name in axes}
        if (first["dataset"], first["network"], first["kind"], _values(axes, setting)) not in chosen:
            continue  # the study itself fixed it
        better = max(_better(of_cell, setting), key=lambda each: each.gain.mean, default=None)
        if better is not None:
            yield better


def _better(pairs: pd.DataFrame, chosen: Mapping[str, Any]) -> Iterator[BetterSetting]:
    """The other settings of a cell whose gain has an interval above 0."""
    axes, first = list(chosen), pairs.iloc[0]
    where = f"{dataset_name(first['dataset'])}, {cell_name({name: first[name] for name in LAYER_SETTINGS})}"
    for values, of_setting in pairs.groupby(axes, dropna=False, sort=False):
        better = dict(zip(axes, values, strict=True))
        by_seed = of_setting.drop_duplicates("seed")
        gain = summarise(by_seed["validation_accuracy"] - by_seed["validation_accuracy" + _CHOSEN]).scaled(
            100
        )
        if gain.n >= FEWEST_SEEDS and gain.low > 0 and _values(axes, better) != _values(axes, chosen):
            yield BetterSetting(where, chosen, better, gain, tuple(sorted(set(of_setting["study"]))))


def _with_rest(rows: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """The rows with a column `rest`: their configuration without these settings of training."""
    configs = [json.loads(config) for config in rows["config"]]
    rest = [
        {**config, "train": {name: value for name, value in config["train"].items() if name not in axes}}
        for config in configs
    ]
    return rows.assign(rest=[json.dumps(each, sort_keys=True) for each in rest])


def _training(setting: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of training among those that pilots chose, by column."""
    return {
        axis.removeprefix("train."): value for axis, value in setting.items() if axis.startswith("train.")
    }


def _values(axes: Sequence[str], setting: "Mapping[str, Any] | pd.Series[Any]") -> tuple[str, ...]:
    """The values of these settings as shown, which are the same for a study's settings and for a row's."""
    return tuple(value_name(name, setting[name]) if name in setting else "" for name in axes)


def _named(setting: Mapping[str, Any]) -> str:
    return ", ".join(setting_name(name, value) for name, value in setting.items())
