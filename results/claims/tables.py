"""The tables behind verdicts: rows of the grid and of the length check, and companion tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from lrlc.results.datasets import DatasetSummary
from lrlc.results.plans import Stage
from lrlc.results.statistics import CELL
from lrlc.results.store import Store

COLUMNS = (
    "trial_id", "seed", "status", "search_number", "dataset_name", *CELL, "test_accuracy", "validation_accuracy",
    "data_digest", "test_images", "parameters", "flops_per_image", "train_seconds", "peak_memory_bytes",
    "weights_spatial_std", "weights_image_std",
)  # fmt: skip

OfTrials = Callable[[Sequence[str]], pd.DataFrame]
"""Maps trial ids to their rows of a table."""


def _none(_: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame()


@dataclass(frozen=True)
class Tables:
    """A study's rows, with COLUMNS, and its companion tables."""

    rows: pd.DataFrame
    """Rows of the grid."""
    shorter: pd.DataFrame
    """Rows of the length check: cells of the grid with fewer epochs."""
    maps: OfTrials = _none
    """The weights table."""
    correct: OfTrials = _none
    """The table of correctly classified test images."""
    read_datasets: Callable[[], Mapping[str, DatasetSummary]] = dict
    is_whole: bool = True
    """Whether every planned trial of the grid has a row."""

    @cached_property
    def datasets(self) -> Mapping[str, DatasetSummary]:
        """The recorded summaries of the data sets, by title."""
        return self.read_datasets()

    @staticmethod
    def of(store: Store, profile: str | None = None, metrics: Sequence[str] = ()) -> "Tables":
        """The tables of a profile's plan (None: the plan written last), with these plugin metrics as columns."""
        rows = store.with_metrics(store.planned_trials(profile, COLUMNS), metrics)
        shorter = rows[:0]
        if store.plan(profile, Stage.LENGTH):
            shorter = store.with_metrics(store.planned_trials(profile, COLUMNS, stage=Stage.LENGTH), metrics)
        planned = store.plan(profile, Stage.GRID)
        is_whole = planned is None or planned <= set(rows["trial_id"])
        return Tables(rows, shorter, store.weights, store.correct, store.datasets, is_whole)

    @staticmethod
    def of_rows(rows: pd.DataFrame, maps: OfTrials = _none) -> "Tables":
        """Tables with rows only."""
        return Tables(rows, rows[:0], maps)
