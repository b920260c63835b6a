"""The best configurations, from rows alone: the best on one objective, or those that no other beats on several.

Choices are made on the validation split; the test accuracy of the chosen one is reported beside it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lrlc.results.names import setting_value
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import CELL, TRAINING_SETTINGS
from lrlc.studies import Constraint, Search

COUNTS = ("rank", "seeds", "batch_size", "crop_padding", "parameters", "flops_per_image")
MEASURES = ("validation_accuracy", "validation_loss", "parameters", "flops_per_image", "test_accuracy")


def configurations(rows: pd.DataFrame, metrics: Sequence[str] = ()) -> pd.DataFrame:
    """One row for each configuration with finished trials: its settings, `seeds` and the means over them.

    Means of MEASURES and of these metrics, which must also be columns of the rows.
    """
    finished = rows[rows["status"] == TrialStatus.FINISHED]
    cells = finished.groupby(list(CELL), dropna=False, sort=False)
    means = cells[list(dict.fromkeys((*MEASURES, *metrics)))].mean()
    return means.assign(seeds=cells["seed"].nunique()).reset_index()


def on_front(values: npt.ArrayLike, directions: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which points (rows) no other point beats by being as good on every objective (column) and better on one.

    A direction is 'maximize' or 'minimize'. Points with a NaN are not on the front.
    """
    signs = np.array([1.0 if direction == "minimize" else -1.0 for direction in directions])
    costs = np.asarray(values, dtype=np.float64).reshape(-1, len(signs)) * signs
    costs = np.where(np.isnan(costs).any(axis=1, keepdims=True), np.inf, costs)
    beaten = [
        bool(((costs <= cost).all(axis=1) & (costs < cost).any(axis=1)).any()) or bool(np.isinf(cost).any())
        for cost in costs
    ]
    return ~np.array(beaten, dtype=np.bool_)


def best(rows: pd.DataFrame, search: Search) -> pd.DataFrame:
    """The best configurations of a search, the first objective's best first.

    `rows` have its metrics as columns (`Store.with_metrics`). Only configurations on the search's data set and network,
    trained like its suggestions, that have all of its seeds and satisfy its constraints count.
    """
    found = configurations(_trained_alike(rows, search), search.metrics)
    found = found[_is_asked(found, search) & _is_kept(found, search.constraints)]
    metrics = [objective.metric for objective in search.objectives]
    directions = [objective.direction for objective in search.objectives]
    front = found[on_front(found[metrics], directions)]
    front = front.sort_values(metrics, ascending=[direction == "minimize" for direction in directions])
    return (front.head(1) if len(metrics) == 1 else front).reset_index(drop=True)


def as_records(found: pd.DataFrame, search: Search) -> list[dict[str, Any]]:
    """JSON-able: the chosen layer, the searched training settings, each objective, seeds and test accuracy."""
    searched = [name for name in TRAINING_SETTINGS if name in search.space.train]
    metrics = [objective.metric for objective in search.objectives]
    options = [*(["options"] if search.space.layer else []), *searched]
    shown = found[["kind", "rank", "placement", *options, *metrics, "seeds", "test_accuracy"]]
    return [
        {str(name): _value(str(name), value) for name, value in record.items()}
        for record in shown.to_dict("records")
    ]


def _trained_alike(rows: pd.DataFrame, search: Search) -> pd.DataFrame:
    """The rows with settings of training that a row of the search has, apart from those it varies.

    The grid of the study may train otherwise. All rows, if no row was trained for the search.
    """
    fixed = [name for name in TRAINING_SETTINGS if name not in search.space.train]
    numbers = rows.groupby(fixed, dropna=False, sort=False).ngroup()
    of_search = rows["search_number"].notna()
    found: pd.DataFrame = rows[numbers.isin(numbers[of_search])] if of_search.any() else rows
    return found


def _is_asked(found: pd.DataFrame, search: Search) -> "pd.Series[bool]":
    asked: pd.Series[bool] = (
        (found["dataset"] == search.dataset.title)
        & (found["network"] == search.network)
        & (found["seeds"] >= len(search.seeds))
    )
    return asked


def _is_kept(found: pd.DataFrame, constraints: Sequence[Constraint]) -> "pd.Series[bool]":
    kept = pd.Series(True, index=found.index)
    for constraint in constraints:
        values = found[constraint.metric]
        if constraint.min is not None:
            kept &= values >= constraint.min
        if constraint.max is not None:
            kept &= values <= constraint.max
    return kept


def _value(name: str, value: Any) -> Any:
    known = setting_value(name, value)
    return int(known) if name in COUNTS and known is not None else known
