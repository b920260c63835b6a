"""The tests that a claim may name: rows in, an effect with its interval and p values out. Nothing is decided here."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.claims.cells import Side, cells_name, choose, chosen_name, of_cells, pair
from results.figures.naming import short_kind_name
from results.schema import TrialStatus
from results.statistics import Summary, binomial_sd, summarise
from results.statistics.interaction import difference_of_gains
from results.statistics.paired import (
    above_p,
    equivalence_p,
    sign_flip_p,
    smallest_sign_flip_p,
    superiority,
)
from results.statistics.ranks import best_columns, page_p
from results.statistics.smoothness import smoothness

Claim = Mapping[str, Any]
Maps = Callable[[Sequence[str]], pd.DataFrame]
"""Trial ids to their rows of the weights table."""
POINTS = "points"


@dataclass(frozen=True)
class Evidence:
    """What one test found. `p` is two-sided, `smallest_p` what it could have been at best with so many seeds.

    `p_margin` is small if the effect lies within the claim's margin (direction not_lower: not below it); None without
    one. `missing` says why there is no effect.
    """

    comparison: str
    unit: str = POINTS
    effect: Summary | None = None
    p: float = math.nan
    smallest_p: float = 1.0
    p_margin: float | None = None
    test_noise: float | None = None
    correlation: float | None = None
    superiority: float | None = None
    missing: str = ""
    chosen: str = ""
    """What the first seeds chose of several cells."""


def difference(claim: Claim, parts: Sequence[pd.DataFrame], maps: Maps) -> Evidence:
    """Ours minus theirs with the same seed, each as the first seeds chose it; the sign-flip test."""
    (rows,) = parts
    sides = _sides(claim, rows)
    pairs = _pairs(claim, sides)
    said = _versus(claim)
    if pairs.empty:
        return Evidence(said, missing=_nobody(claim, rows) or "no seed has finished in both")
    found = _paired(claim, said, pairs["ours"] - pairs["theirs"], pairs, rows)
    return replace(found, chosen=_chosen(claim, [sides]))


def change(claim: Claim, parts: Sequence[pd.DataFrame], maps: Maps) -> Evidence:
    """The difference on the second data set minus that on the first; by seed where one is the other translated."""
    sides = [_sides(claim, rows) for rows in parts]
    before, after = (_pairs(claim, each) for each in sides)
    said = f"change in {_versus(claim)}"
    if before.empty or after.empty:
        return Evidence(said, missing=_nobody(claim, parts[0 if before.empty else 1]))
    first, second = (each["ours"] - each["theirs"] for each in (before, after))
    if parts[0]["dataset_name"].iloc[0] == parts[1]["dataset_name"].iloc[0]:
        found = _paired(claim, said, (second - first).dropna(), None, parts[1])
        return replace(found, chosen=_chosen(claim, sides))
    effect, p = difference_of_gains(second, first)
    margin = claim.get("margin")
    p_margin = None
    if margin is not None and not math.isnan(effect.low):
        p_margin = _welch_margin_p(effect, second, first, margin, claim["direction"])
    return Evidence(said, POINTS, effect, p, 0.0, p_margin, _noise(parts[1]), chosen=_chosen(claim, sides))


def best_rank(claim: Claim, parts: Sequence[pd.DataFrame], maps: Maps) -> Evidence:
    """The best rank on validation of the first data set minus that of the second; seeds drawn again for both."""
    said = f"best rank of {cells_name(claim['ours'])}"
    drawn, means, seeds = [], [], []
    for rows in parts:
        ranks, table = rank_table(rows, claim["ours"], "validation")
        if len(ranks) < 2 or len(table) < 2:
            return Evidence(said, "ranks", missing=_nobody(claim, rows) or "fewer than 2 ranks or seeds")
        drawn.append(np.array(ranks)[best_columns(table)])
        means.append(ranks[int(np.argmax(table.mean(axis=0)))])
        seeds.append(len(table))
    apart = drawn[0] - np.random.default_rng(1).permutation(
        drawn[1]
    )  # the two data sets' seeds are drawn apart
    low, high = (float(np.quantile(apart, q)) for q in (0.025, 0.975))
    p = min(1.0, 2 * min(_share(apart <= 0), _share(apart >= 0)))
    effect = Summary(min(seeds), float(means[0] - means[1]), float(apart.std()), low, high)
    return Evidence(said, "ranks", effect, p, 2 / len(apart))


def trend(claim: Claim, parts: Sequence[pd.DataFrame], maps: Maps) -> Evidence:
    """Page's test along rank; the effect is the highest rank's accuracy minus the lowest's."""
    (rows,) = parts
    said = f"trend along rank, {cells_name(claim['ours'])}"
    ranks, table = rank_table(rows, claim["ours"], "test")
    if len(ranks) < 3 or len(table) < 2:
        return Evidence(said, missing=_nobody(claim, rows) or "fewer than 3 ranks or 2 seeds")
    effect = summarise(table[:, -1] - table[:, 0])
    p = min(1.0, 2 * min(page_p(table), page_p(table[:, ::-1])))
    return Evidence(
        said, POINTS, effect, p, 2 / math.factorial(len(ranks)) ** len(table), test_noise=_noise(rows)
    )


def smooth(claim: Claim, parts: Sequence[pd.DataFrame], maps: Maps) -> Evidence:
    """Moran's I of each seed's maps of combining weights minus its mean over shuffled rows and columns."""
    (rows,) = parts
    said = f"Moran's I over shuffled, weights of {cells_name(claim['ours'])}"
    sides = _sides(claim, rows)
    chosen_rows = _rows_chosen(of_cells(rows, claim["ours"]), sides["ours"])
    found = maps(list(chosen_rows["trial_id"])) if len(chosen_rows) else pd.DataFrame()
    if found.empty:
        return Evidence(said, "Moran's I", missing=_nobody(claim, rows) or "no combining weights were stored")
    excess = found.groupby("trial_id", sort=False).apply(_mean_excess)
    per_seed = excess.dropna().to_numpy(dtype=np.float64)
    if not len(per_seed):
        return Evidence(said, "Moran's I", missing="the maps of combining weights are constant")
    return Evidence(
        said,
        "Moran's I",
        summarise(per_seed),
        sign_flip_p(per_seed),
        smallest_sign_flip_p(len(per_seed)),
        chosen=_chosen(claim, [sides]),
    )


def cost(claim: Claim, parts: Sequence[pd.DataFrame], maps: Maps) -> Evidence:
    """Ours as a multiple of theirs: of several cells the dearest of ours and the cheapest of theirs."""
    (rows,) = parts
    metric, names = claim["metric"], [cells_name(claim[side]) for side in ("ours", "theirs")]
    said = f"{metric.replace('_', ' ')} of {names[0]} over {names[1]}"
    unit = "times"
    by_seed = []
    for side, dearest in (("ours", True), ("theirs", False)):
        of_side = of_cells(rows, claim[side])
        of_side = of_side[(of_side["status"] == TrialStatus.FINISHED) & of_side[metric].notna()]
        grouped = of_side.groupby("seed")[metric]
        by_seed.append(grouped.max() if dearest else grouped.min())
    ratios = (by_seed[0] / by_seed[1]).dropna()
    if ratios.empty:
        return Evidence(said, unit, missing=_nobody(claim, rows) or f"no row tells its {metric}")
    effect = summarise(ratios)
    bound = claim["at_most"] if claim["at_most"] is not None else claim["at_least"]
    if len(ratios) < 2 or np.ptp(ratios) == 0:  # counted, not measured: nothing to test
        effect = replace(effect, low=effect.mean, high=effect.mean)
        return Evidence(said, unit, effect, 0.0 if effect.mean != bound else 1.0, 0.0)
    logs = np.log(ratios / bound)
    p = 2 * min(above_p(logs, 0.0), above_p(-logs, 0.0))
    return Evidence(said, unit, effect, min(1.0, p), 0.0)


TESTS: Mapping[str, Callable[[Claim, Sequence[pd.DataFrame], Maps], Evidence]] = {
    "difference": difference,
    "change": change,
    "best_rank": best_rank,
    "trend": trend,
    "smooth": smooth,
    "cost": cost,
}


def rank_table(
    rows: pd.DataFrame, cells: Mapping[str, Any], split: str
) -> tuple[list[int], npt.NDArray[np.float64]]:
    """Ranks in order, and accuracies in points, seeds x ranks, of the seeds that finished all of them.

    Of several placements or options of a rank the one best on validation counts.
    """
    side = Side.of(rows, {**cells, "rank": cells.get("rank") or []})
    by_rank: dict[int, list[int]] = {}
    for column, settings in enumerate(side.settings):
        if not pd.isna(settings["rank"]):
            by_rank.setdefault(int(settings["rank"]), []).append(column)
    means = side.validation.mean()
    columns = [max(of_rank, key=lambda column: means[column]) for _, of_rank in sorted(by_rank.items())]
    table = (side.test if split == "test" else side.validation)[columns].dropna()
    return sorted(by_rank), table.to_numpy(dtype=np.float64)


def _sides(claim: Claim, rows: pd.DataFrame) -> dict[str, Side]:
    return {side: Side.of(rows, claim[side]) for side in ("ours", "theirs") if side in claim}


def _pairs(claim: Claim, sides: Mapping[str, Side]) -> pd.DataFrame:
    return pair(sides["ours"], sides["theirs"], matched=claim["matched"])


def _chosen(claim: Claim, of_parts: Sequence[Mapping[str, Side]]) -> str:
    """What was chosen for each side that had a choice, on each part; each thing said once."""
    told = [
        f"{short_kind_name(claim[name]['kind'])} {chosen}"
        for sides in of_parts
        for name, side in sides.items()
        if (
            chosen := chosen_name(
                side.beside(sides["ours"]) if name == "theirs" and claim["matched"] else side
            )
        )
    ]
    return "; ".join(dict.fromkeys(told))


def _paired(
    claim: Claim, said: str, differences: "pd.Series[float]", pairs: pd.DataFrame | None, rows: pd.DataFrame
) -> Evidence:
    values = differences.to_numpy(dtype=np.float64)
    if not len(values):
        return Evidence(said, missing="no seed has finished in all cells")
    margin = claim.get("margin")
    p_margin = None
    if margin is not None:
        within = (
            above_p(values, -margin) if claim["direction"] == "not_lower" else equivalence_p(values, margin)
        )
        p_margin = within
    varies = pairs is not None and len(pairs) > 1 and bool((pairs.std() > 0).all())
    return Evidence(
        comparison=said,
        effect=summarise(values),
        p=sign_flip_p(values),
        smallest_p=smallest_sign_flip_p(len(values)),
        p_margin=p_margin,
        test_noise=_noise(rows),
        correlation=float(pairs["ours"].corr(pairs["theirs"])) if varies and pairs is not None else None,
        superiority=superiority(values),
    )


def _welch_margin_p(
    effect: Summary, second: "pd.Series[float]", first: "pd.Series[float]", margin: float, direction: str
) -> float:
    from scipy.stats import ttest_ind

    lower = float(ttest_ind(second + margin, first, equal_var=False, alternative="greater").pvalue)
    upper = float(ttest_ind(second - margin, first, equal_var=False, alternative="less").pvalue)
    return lower if direction == "not_lower" else max(lower, upper)


def _noise(rows: pd.DataFrame) -> float | None:
    finished = rows[rows["status"] == TrialStatus.FINISHED]
    images = finished["test_images"].dropna()
    if finished.empty or images.empty:
        return None
    return 100 * binomial_sd(float(finished["test_accuracy"].mean()), int(images.iloc[0]))


def _rows_chosen(rows: pd.DataFrame, side: Side) -> pd.DataFrame:
    """The finished rows of the chosen cell, one a seed."""
    choice = choose(side)
    if not side.settings:
        return rows[:0]
    finished = rows[(rows["status"] == TrialStatus.FINISHED) & rows["seed"].isin(choice.seeds)]
    wanted = _key(side.settings[choice.column])
    is_wanted = [_key(row) == wanted for row in finished.to_dict("records")]
    return finished[is_wanted].drop_duplicates("seed", keep="last")


def _key(settings: Mapping[Any, Any]) -> tuple[str, str, str, str]:
    return str(settings["kind"]), str(settings["rank"]), str(settings["placement"]), str(settings["options"])


def _mean_excess(maps: pd.DataFrame) -> float:
    found = [
        smoothness(np.asarray(values, dtype=np.float64).reshape(int(height), int(width)))
        for values, height, width in zip(maps["values"], maps["height"], maps["width"], strict=True)
        if height > 1 and width > 1
    ]
    excess = [
        moran - shuffled for moran, shuffled in found if not (math.isnan(moran) or math.isnan(shuffled))
    ]
    return float(np.mean(excess)) if excess else math.nan


def _versus(claim: Claim) -> str:
    matched = ", matched" if claim["matched"] else ""
    return f"{cells_name(claim['ours'])} minus {cells_name(claim['theirs'])}{matched}"


def _nobody(claim: Claim, rows: pd.DataFrame) -> str:
    """Which side has no finished trial; '' if both have."""
    for side in ("ours", "theirs"):
        if side in claim:
            of_side = of_cells(rows, claim[side])
            if not (of_side["status"] == TrialStatus.FINISHED).any():
                return f"no finished trial of {cells_name(claim[side])}"
    return ""


def _share(which: npt.NDArray[np.bool_]) -> float:
    """Never zero: a bootstrap of so many draws cannot tell."""
    return (1 + int(which.sum())) / (1 + len(which))
