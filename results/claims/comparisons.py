"""Ours against theirs: on a data set (difference), and whether the difference changes (change, interaction)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from lrlc.results.claims.cells import (
    Side,
    cells_name,
    choose,
    chosen_name,
    chosen_settings,
    pair,
    rows_of_cell,
)
from lrlc.results.claims.evidence import (
    POINTS,
    Compared,
    Evidence,
    PValues,
    flips,
    no_difference,
    nobody,
    noise_of,
    sided,
    within_p,
)
from lrlc.results.claims.ranks import best_ranks
from lrlc.results.names import short_kind_name
from lrlc.results.statistics import summarise
from lrlc.results.statistics.interaction import difference_of_gains, welch_above_p, welch_p
from lrlc.results.statistics.paired import FEWEST_FOR_EQUIVALENCE, smallest_sign_flip_p, superiority
from lrlc.studies.claims import Change, Difference, Interaction

Comparison = Difference | Change | Interaction
LARGEST = 1e100


@dataclass(frozen=True)
class _Gain:
    """Ours minus theirs on one data set, by evaluation seed."""

    pairs: pd.DataFrame
    """Columns `ours` and `theirs`, in points, by seed."""
    compared: Compared
    chosen: tuple[str, ...]
    """The chosen cell of each side that had a choice: 'LRLC rank 4'."""
    chose: tuple[int, ...]

    @property
    def differences(self) -> "pd.Series[float]":
        return self.pairs["ours"] - self.pairs["theirs"]


def difference(claim: Difference, parts: Sequence[pd.DataFrame]) -> Evidence:
    """Ours minus theirs with the same seed, each chosen by the first seeds; tested by sign flips."""
    (rows,) = parts
    gain = _gain(claim, rows)
    if gain.pairs.empty:
        has = f"a finite {claim.metric}" if claim.metric else "finished"
        return Evidence(_versus(claim), missing=nobody(claim, rows) or f"no seed has {has} in both")
    found = _paired(claim, _versus(claim), gain.differences, [gain], rows)
    varies = len(gain.pairs) > 1 and bool((gain.pairs.std() > 0).all())
    return replace(
        found, correlation=float(gain.pairs["ours"].corr(gain.pairs["theirs"])) if varies else None
    )


def change(claim: Change, parts: Sequence[pd.DataFrame]) -> Evidence:
    """The difference on the second data set minus that on the first; by seed if one is a translation of the other."""
    before, after = (_gain(claim, rows) for rows in parts)
    said = f"change in {_versus(claim)}"
    for gain, rows in zip((before, after), parts, strict=True):
        if gain.pairs.empty:
            return Evidence(said, missing=nobody(claim, rows) or "no seed has finished in both")
    if parts[0]["dataset_name"].iloc[0] == parts[1]["dataset_name"].iloc[0]:
        changes = (after.differences - before.differences).dropna()
        return _paired(claim, said, changes, [before, after], parts[1])
    left, right = (np.asarray(gain.differences, dtype=np.float64) for gain in (after, before))
    effect, _ = difference_of_gains(left, right)
    return _told(
        Evidence(said, POINTS, effect, _welch(claim, left, right), test_noise=noise_of(parts[1])),
        [before, after],
    )


def interaction(claim: Interaction, parts: Sequence[pd.DataFrame]) -> Evidence:
    """The difference on the first data set minus that on the second, paired by seeds in both.

    The best ranks are reported beside it, as an arg-max over ranks has almost no power at ten seeds.
    """
    on, than = (_gain(claim, rows) for rows in parts)
    said = f"gain of {cells_name(claim.ours)} over {cells_name(claim.theirs)}"
    for gain, rows in zip((on, than), parts, strict=True):
        if gain.pairs.empty:
            return Evidence(said, missing=nobody(claim, rows) or "no seed has finished in both")
    found = _paired(claim, said, (on.differences - than.differences).dropna(), [on, than], parts[0])
    return replace(found, beside=best_ranks(parts, claim.ours))


def _gain(claim: Comparison, rows: pd.DataFrame) -> _Gain:
    judged = _judged_by(claim, rows)
    ours, theirs = Side.of(judged, claim.ours), Side.of(judged, claim.theirs)
    if claim.matched:
        theirs = theirs.beside(ours)
    pairs = pair(ours, theirs)
    cells = [chosen_settings(side) for side in (ours, theirs)]
    compared = Compared(*(rows_of_cell(rows, cell, pairs.index) if cell else rows[:0] for cell in cells))
    free = [
        (f"{short_kind_name(claim.sides[name].kind)} {chosen}", choose(side).chose)
        for name, side in (("ours", ours), ("theirs", theirs))
        if (chosen := chosen_name(side))
    ]
    chose = sorted({int(seed) for _, seeds in free for seed in seeds})
    return _Gain(pairs, compared, tuple(text for text, _ in free), tuple(chose))


def _judged_by(claim: Comparison, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a hundredth of the claim's metric in place of test accuracy, as points are hundredths.

    A metric that is not finite, or so large that its square is not, counts as not computed.
    """
    metric = _metric(claim)
    if metric is None:
        return rows
    return rows.assign(test_accuracy=rows[metric].where(rows[metric].abs() < LARGEST) / 100)


def _metric(claim: Comparison) -> str | None:
    return claim.metric if isinstance(claim, Difference) else None


def _paired(
    claim: Comparison, said: str, differences: "pd.Series[float]", gains: Sequence[_Gain], rows: pd.DataFrame
) -> Evidence:
    values = np.asarray(differences, dtype=np.float64)
    if not len(values):
        return Evidence(said, missing="no seed has finished in all cells")
    seeds = set(differences.index)
    p = replace(flips(claim, values, smallest_sign_flip_p(len(values))), within=within_p(claim, values))
    metric = _metric(claim)
    found = Evidence(
        comparison=said,
        unit=POINTS if metric is None else metric.replace("_", " "),
        effect=summarise(values),
        p=p,
        test_noise=noise_of(rows) if metric is None else None,
        superiority=superiority(values),
        by_seed=differences,
    )
    return _told(found, [_of_seeds(gain, seeds) for gain in gains])


def _of_seeds(gain: _Gain, seeds: set[int]) -> _Gain:
    kept = [
        rows[rows["seed"].isin(seeds)]
        for rows in (gain.compared.ours, gain.compared.theirs)
        if rows is not None
    ]
    return replace(gain, compared=Compared(*kept))


def _told(found: Evidence, gains: Sequence[_Gain]) -> Evidence:
    """The evidence with the choices on each data set, the seeds that made them, and the rows used."""
    chosen = dict.fromkeys(text for gain in gains for text in gain.chosen)
    chose = sorted({seed for gain in gains for seed in gain.chose})
    return replace(
        found,
        chosen="; ".join(chosen),
        chose=tuple(chose),
        compared=tuple(gain.compared for gain in gains),
    )


def _welch(claim: Change, second: npt.NDArray[np.float64], first: npt.NDArray[np.float64]) -> PValues:
    """p of the difference of two independent gains."""
    if min(len(second), len(first)) < 2:
        return PValues(smallest=1.0)
    bounds = no_difference(claim.expects, claim.tolerance)
    mean = float(second.mean() - first.mean())
    p = sided(mean, bounds, lambda bound: welch_p(second, first, bound))
    margin = claim.tolerance
    if not margin or min(len(second), len(first)) < FEWEST_FOR_EQUIVALENCE:
        return p
    over, under = welch_above_p(second, first, -margin), welch_above_p(-second, -first, -margin)
    return replace(p, within=over if claim.expects == "not_lower" else max(over, under))


def _versus(claim: Comparison) -> str:
    matched = ", matched" if claim.matched else ""
    return f"{cells_name(claim.ours)} minus {cells_name(claim.theirs)}{matched}"
