"""A study's length check: the grid's cells against the same cells with fewer epochs."""

import pandas as pd

from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import CELL, TRAINING_SETTINGS

ACCURACIES = ("validation_accuracy", "test_accuracy")
COUNTED = ("epochs", "train_images")
"""Settings that are never tuned; a tuned setting has a text in place of its value."""
COLUMNS = (*CELL, "seed", "status", *ACCURACIES)
"""The columns of trials that `length_pairs` needs of both frames."""


def length_pairs(grid: pd.DataFrame, shorter: pd.DataFrame) -> pd.DataFrame:
    """A row for each finished trial of the grid that has a finished shorter one with its cell and seed.

    `grid` and `shorter` are `Store.planned_trials` of the stages grid and length. Columns: those of CELL and `seed`;
    `short_epochs` (the largest of several); the accuracies of the grid's trial, 0..1, and with the prefix `short_`
    those of the shorter one.
    """
    same = [name for name in CELL if name != "epochs"] + ["seed"]
    full, short = (_finished(rows) for rows in (grid, shorter))
    renamed = short.rename(columns={name: f"short_{name}" for name in ("epochs", *ACCURACIES)})
    pairs = full.merge(renamed, on=same, how="inner")  # pandas treats missing ranks as equal
    pairs = pairs[pairs["short_epochs"] < pairs["epochs"]].sort_values("short_epochs", kind="stable")
    return pairs.drop_duplicates([*CELL, "seed"], keep="last").sort_index().reset_index(drop=True)


def _finished(rows: pd.DataFrame) -> pd.DataFrame:
    finished = rows.loc[rows["status"] == TrialStatus.FINISHED, [*CELL, "seed", *ACCURACIES]]
    return finished.astype(
        dict.fromkeys((name for name in TRAINING_SETTINGS if name not in COUNTED), "object")
    )
