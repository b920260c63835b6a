"""What a figure is given to draw: rows of trials, and their curves and weight maps on demand."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from results.importance import Importance
from results.schema import TrialStatus
from results.statistics import LAYER_SETTINGS, TRAINING_SETTINGS
from results.store import Store

PANEL = ("dataset", "network", *TRAINING_SETTINGS)
"""What has to be equal for two layers to be comparable: one panel of a figure holds one combination."""

MOST_PANELS = 12


class NothingToDraw(Exception):  # noqa: N818
    """Why a figure cannot be drawn from these rows."""


@dataclass(frozen=True)
class Selection:
    """The rows that a figure speaks of."""

    trials: pd.DataFrame
    curves: Callable[[Collection[str]], pd.DataFrame]
    """Learning curves of these trial ids."""
    weights: Callable[[Collection[str]], pd.DataFrame]
    """Weight maps of these trial ids."""
    importance: Sequence[Importance] = ()
    """Of a search, how much its parameters mattered, by objective."""

    @staticmethod
    def of(store: Store, profile: str | None = None) -> "Selection":
        """The rows of a profile's plan (None: the plan written last; all rows if there is none)."""
        return Selection(
            store.planned_trials(profile), store.curves, store.weights, store.importance(profile)
        )

    @staticmethod
    def of_frames(
        trials: pd.DataFrame,
        curves: pd.DataFrame,
        weights: pd.DataFrame,
        importance: Sequence[Importance] = (),
    ) -> "Selection":
        """Frames with the columns of the three tables."""

        def chosen(table: pd.DataFrame) -> Callable[[Collection[str]], pd.DataFrame]:
            return lambda ids: table[table["trial_id"].isin(list(ids))]

        return Selection(trials, chosen(curves), chosen(weights), importance)


@dataclass(frozen=True)
class Panel:
    """Comparable trials: one data set, network and way of training."""

    dataset: str
    detail: str
    """What else tells this panel from others of its data set: 'learning_rate 0.1'; '' if nothing does."""
    rows: pd.DataFrame


def panels(rows: pd.DataFrame) -> list[Panel]:
    """Split rows into panels, in the order they first occur.

    Raises NothingToDraw where no trial has finished, or where settings vary too much for panels.
    """
    if rows.empty:
        raise NothingToDraw("no trial has a row yet")
    if not (rows["status"] == TrialStatus.FINISHED).any():
        raise NothingToDraw(f"none of its {len(rows)} trials has finished")
    found: list[Panel] = []
    for dataset, of_dataset in rows.groupby("dataset", sort=False):
        varying = [name for name in PANEL[1:] if of_dataset[name].nunique(dropna=False) > 1]
        combinations = [(key, part) for key, part in _groups(of_dataset, varying)]
        if len(combinations) > MOST_PANELS:
            told = ", ".join(varying)
            raise NothingToDraw(
                f"its trials on {dataset} differ in {told} ({len(combinations)} combinations)"
            )
        for key, part in combinations:
            varied = [
                f"{name.replace('_', ' ')} {_shown(value)}" for name, value in zip(varying, key, strict=True)
            ]
            found.append(Panel(str(dataset), ", ".join(varied), part))
    finished = [panel for panel in found if (panel.rows["status"] == TrialStatus.FINISHED).any()]
    if len(finished) > MOST_PANELS:
        raise NothingToDraw(f"it would take {len(finished)} panels; {MOST_PANELS} are the most")
    return finished


def cells(rows: pd.DataFrame) -> Iterator[tuple[dict[str, object], pd.DataFrame]]:
    """The layer settings of each cell of a panel, and its rows."""
    for key, part in _groups(rows, LAYER_SETTINGS):
        yield dict(zip(LAYER_SETTINGS, key, strict=True)), part


def _groups(rows: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[tuple[object, ...], pd.DataFrame]]:
    if not by:
        yield (), rows
        return
    yield from rows.groupby(list(by), dropna=False, sort=False)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
