"""Claims that learned combining weights vary smoothly over the image."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from lrlc.results.claims.cells import Side, cells_name, choose, chosen_name, rows_of_cell
from lrlc.results.claims.evidence import Compared, Evidence, flips, nobody
from lrlc.results.claims.tables import OfTrials
from lrlc.results.names import short_kind_name
from lrlc.results.statistics import summarise
from lrlc.results.statistics.paired import smallest_sign_flip_p
from lrlc.results.statistics.smoothness import morans_i, smoothness
from lrlc.studies.claims import Smooth

UNIT = "Moran's I"
NO_SHUFFLED = (
    "no trials with shuffled labels to compare with, and any gradient is smooth: "
    "add these cells with dataset.shuffle_labels: true to the grid"
)
Measure = Callable[[npt.NDArray[np.float64]], float]


def smooth(claim: Smooth, parts: Sequence[pd.DataFrame], maps: OfTrials) -> Evidence:
    """Moran's I of each seed's maps minus that of the maps that the same layer learns from shuffled labels.

    Without trials on shuffled labels, Moran's I minus its mean over shuffled rows and columns, which decides nothing.
    """
    rows, shuffled_rows = parts
    said = f"{UNIT} over shuffled labels, weights of {cells_name(claim.ours)}"
    side = Side.of(rows, claim.ours)
    if not side.settings:
        return Evidence(said, UNIT, missing=nobody(claim, rows))
    choice = choose(side)
    ours = rows_of_cell(rows, side.settings[choice.column], choice.seeds)
    theirs = rows_of_cell(shuffled_rows, side.settings[choice.column], choice.seeds)
    mine = _measured(ours, maps, _moran)
    if mine.empty:
        return Evidence(said, UNIT, missing="no varying maps of combining weights were stored")
    chose = tuple(int(seed) for seed in choice.chose)
    found = Evidence(said, UNIT, chosen=_chosen(claim, side), chose=chose, compared=(Compared(ours, theirs),))
    if theirs.empty:
        excess = _measured(ours, maps, _excess)
        said = f"{UNIT} over shuffled rows and columns, weights of {cells_name(claim.ours)}"
        return replace(found, comparison=said, effect=summarise(excess), refused=NO_SHUFFLED)
    differences = (mine - _measured(theirs, maps, _moran)).dropna()
    if differences.empty:
        return replace(found, missing="no seed has maps of both real and shuffled labels")
    values = np.asarray(differences, dtype=np.float64)
    p = flips(claim, values, smallest_sign_flip_p(len(values)))
    compared = Compared(ours.loc[differences.index], theirs.loc[differences.index])
    return replace(found, effect=summarise(values), p=p, compared=(compared,))


def _measured(rows: pd.DataFrame, maps: OfTrials, measure: Measure) -> "pd.Series[float]":
    """The mean of a statistic over the maps of each of these trials, by seed; leaves out trials without maps."""
    found = maps(list(rows["trial_id"])) if len(rows) else pd.DataFrame()
    if found.empty:
        return pd.Series(dtype="float64")
    by_trial = {str(trial): _mean(of_trial, measure) for trial, of_trial in found.groupby("trial_id")}
    return rows["trial_id"].map(by_trial).astype("float64").dropna()


def _mean(maps: pd.DataFrame, measure: Measure) -> float:
    numbers = [
        measure(np.asarray(values, dtype=np.float64).reshape(int(height), int(width)))
        for values, height, width in zip(maps["values"], maps["height"], maps["width"], strict=True)
        if height > 1 and width > 1
    ]
    known = [number for number in numbers if not math.isnan(number)]
    return float(np.mean(known)) if known else math.nan


def _moran(values: npt.NDArray[np.float64]) -> float:
    return float(morans_i(values))


def _excess(values: npt.NDArray[np.float64]) -> float:
    moran, shuffled = smoothness(values)
    return moran - shuffled


def _chosen(claim: Smooth, side: Side) -> str:
    chosen = chosen_name(side)
    return f"{short_kind_name(claim.ours.kind)} {chosen}" if chosen else ""
