"""Claims of cost: the cost of ours as a multiple of theirs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from lrlc.results.claims.cells import cells_name, of_cells
from lrlc.results.claims.evidence import Compared, Evidence, PValues, nobody, sided
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import summarise
from lrlc.results.statistics.paired import above_p
from lrlc.studies.claims import Cells, Cost

COUNTED = ("parameters", "flops_per_image")
"""Deterministic metrics; the others are measured."""


def cost(claim: Cost, parts: Sequence[pd.DataFrame]) -> Evidence:
    """Ours as a multiple of theirs, by seed, for the most expensive of our cells and the cheapest of theirs."""
    (rows,) = parts
    said = f"{claim.metric.replace('_', ' ')} of {cells_name(claim.ours)} over {cells_name(claim.theirs)}"
    ours, theirs = (_told(rows, cells, claim.metric) for cells in (claim.ours, claim.theirs))
    if any((each[claim.metric] <= 0).any() for each in (ours, theirs)):
        not_positive = f"a ratio needs positive values of {claim.metric}; some are not"
        return Evidence(said, "times", missing=not_positive)
    by_seed = [each.groupby("seed")[claim.metric] for each in (ours, theirs)]
    ratios = (by_seed[0].max() / by_seed[1].min()).dropna()
    if ratios.empty:
        return Evidence(said, "times", missing=nobody(claim, rows) or f"no row has its {claim.metric}")
    effect, bound = summarise(ratios), claim.bound
    compared = (Compared(ours[ours["seed"].isin(ratios.index)], theirs),)
    if claim.metric in COUNTED and np.ptp(ratios) == 0:
        effect = replace(effect, low=effect.mean, high=effect.mean)
        return Evidence(
            said, "times", effect, _counted(claim, effect.mean), is_counted=True, compared=compared
        )
    if len(ratios) < 2:
        return Evidence(said, "times", effect, PValues(smallest=1.0), compared=compared)
    logs = np.log(ratios / bound)
    p = sided(logs.mean(), (0.0, 0.0), lambda _: 2 * min(above_p(logs, 0.0), above_p(-logs, 0.0)))
    return Evidence(said, "times", effect, p, compared=compared)


def _told(rows: pd.DataFrame, cells: Cells, metric: str) -> pd.DataFrame:
    """Finished rows of the cells that have the metric, as a finite number."""
    found = of_cells(rows, cells)
    return found[(found["status"] == TrialStatus.FINISHED) & found[metric].abs().lt(np.inf)]


def _counted(claim: Cost, ratio: float) -> PValues:
    """p values of a deterministic effect; the bound itself is allowed."""
    is_low = ratio < claim.bound or (ratio == claim.bound and claim.expects == "lower")
    return PValues(below=0.0) if is_low else PValues(above=0.0)
