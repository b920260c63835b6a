"""Compare two result sets cell by cell: two commits, two machines, ours and published numbers.

A set is a frame with a row per trial (columns as in the trials table, accuracies 0..1) or a row per cell, as a paper
prints it: `test_accuracy` is then the mean, with `sd` and `seeds` if they are known.
"""

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from lrlc.results.claims.conditions import reason
from lrlc.results.claims.regime import of_cell
from lrlc.results.claims.tables import Tables
from lrlc.results.errors import StoreError
from lrlc.results.files import Location
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import CELL, Summary, summarise
from lrlc.results.statistics.interaction import difference_of_gains
from lrlc.results.statistics.paired import (
    FEWEST_FOR_EQUIVALENCE,
    equivalence_p,
    holm,
    sign_flip_p,
    smallest_sign_flip_p,
)
from lrlc.studies.lines import one_line
from lrlc.studies.regime import Regime

NEEDED = ("dataset", "kind", "test_accuracy")
WORDS = {"rank": "", "placement": "", "network": "three_layer", "options": "{}"}
"""Defaults for columns that a set lacks."""
NUMBERS: Mapping[str, tuple[str, Callable[[float], bool]]] = {
    "test_accuracy": ("a number from 0 to 1", lambda value: 0 <= value <= 1),
    "sd": ("a number from 0 to 1", lambda value: 0 <= value <= 1),
    "seeds": ("a whole number of at least 1", lambda value: value >= 1 and value.is_integer()),
    "rank": ("a whole number of at least 1", lambda value: value >= 1 and value.is_integer()),
}
"""What the numbers of a CSV file must be."""


class Outcome(StrEnum):
    """The verdict on the first set's cell compared with the second's."""

    IDENTICAL = "identical"
    """The same number with every shared seed."""
    BETTER = "better"
    WORSE = "worse"
    EQUAL = "practically equal"
    """Within the margin."""
    UNDECIDED = "undecided"
    OUT_OF_REGIME = "out of regime"
    """One of the two is known to be badly trained: a linear classifier beats it, or its weights hardly moved."""


@dataclass(frozen=True)
class ComparedCell:
    """One cell in both sets, in points; `p` is Holm-corrected over all cells, None if there was no test."""

    cell: dict[str, Any]
    first: Summary
    second: Summary
    difference: Summary
    """First minus second."""
    how: str
    """'paired by seed', 'unpaired' or 'against one number'."""
    p: float | None
    outcome: Outcome
    reason: str = ""
    """The reason why it is out of regime."""


Cells = dict[tuple[Any, ...], pd.DataFrame]
"""Rows by cell."""
Regimes = Callable[[pd.DataFrame], str]
"""Maps a cell's finished rows to the reason why they are out of regime; '' if they are not, or if it is unknown."""


def unknown(_: pd.DataFrame) -> str:
    """The reason for a set without summaries of data sets and weights."""
    return ""


def known_regime(tables: Tables, regime: Regime) -> Regimes:
    """The regime of cells according to a study's tables; skips conditions for which they lack numbers."""

    def why(rows: pd.DataFrame) -> str:
        found = of_cell(str(rows["dataset"].iloc[0]), rows, regime, tables)
        return reason([each for each in found if not each.missing])

    return why


@dataclass(frozen=True)
class _Tested:
    difference: Summary
    how: str
    p: float
    smallest_p: float
    p_margin: float
    identical: bool = False


def read_csv(path: Location) -> pd.DataFrame:
    """Published numbers: dataset, kind, test_accuracy (0..1) and columns that distinguish cells. Raises StoreError."""
    try:
        frame = pd.read_csv(io.BytesIO(path.read()), skip_blank_lines=False)  # so that a row knows its line
    except (ValueError, FileNotFoundError) as error:
        raise StoreError(f"{path}: not a readable CSV file ({error})") from None
    missing = [name for name in NEEDED if name not in frame.columns]
    if missing:
        raise StoreError(f"{path}: no column {missing[0]!r}; a set needs {', '.join(NEEDED)}")
    if not isinstance(frame.index, pd.RangeIndex):
        raise StoreError(f"{path}: a row has more fields than the header")
    frame = frame.dropna(how="all")
    if frame.empty:
        raise StoreError(f"{path}: no rows below the header")
    for row, fault in _faults(frame):
        raise StoreError(f"{path}, line {row + 2}: {fault}")
    return frame


def _faults(frame: pd.DataFrame) -> Iterator[tuple[int, str]]:
    """What cannot be compared, with the index of its row."""
    finished = _finished(frame)
    for name, (expected, is_right) in NUMBERS.items():
        given = frame[name].dropna() if name in frame else pd.Series(dtype=float)
        values = pd.to_numeric(given, errors="coerce").astype(float)
        for row in values.index[~values.map(is_right).astype(bool)]:
            yield row, f"{name} must be {expected}, got {given[row]}"
    for name in NEEDED:
        for row in finished.index[finished[name].isna()]:
            yield row, f"{name} must be {NUMBERS[name][0] if name in NUMBERS else 'given'}, but is blank"
    distinguishing = [name for name in (*CELL, "seed") if name in frame]
    if "seed" in frame:
        for row in finished.index[finished["seed"].isna()]:
            yield row, "seed must be given, but is blank"
        repeated = _settings(finished, distinguishing).duplicated()
        for row in repeated.index[repeated]:
            yield row, "this seed of the cell stands in an earlier line too"
        return
    sd, seeds = (frame.get(name, pd.Series(math.nan, frame.index)) for name in ("sd", "seeds"))
    for row in frame.index[sd.notna() & ~(seeds >= 2)]:
        yield row, "an sd needs the number of seeds, at least 2, in the column seeds"
    cells = _settings(finished, distinguishing)
    for row in cells.index[cells.duplicated()]:
        yield row, "the cell stands in an earlier line too"


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    margin: float | None = None,
    alpha: float = 0.05,
    regimes: tuple[Regimes, Regimes] = (unknown, unknown),
) -> list[ComparedCell]:
    """Every cell in both sets, in the order of the first; differences within `margin`, in points, count as equal.

    Cells that are out of regime in one of the sets are not judged, unless identical. Cells are distinguished by the
    settings in both sets; raises StoreError if they have no cell in common.
    """
    shared = [
        name
        for name in CELL
        if name in (set(first.columns) | set(WORDS)) & (set(second.columns) | set(WORDS))
    ]
    ours, theirs = (_cells(frame, shared) for frame in (first, second))
    both = [key for key in ours if key in theirs]
    if not both:
        told = " and ".join(_named(each) for each in (ours, theirs))
        raise StoreError(f"no cell in common: the two sets have {told}; cells differ by {', '.join(shared)}")
    tested = [_test(ours[key], theirs[key], margin) for key in both]
    different, within = (holm([getattr(each, name) for each in tested]) for name in ("p", "p_margin"))
    why = [_why(ours[key], theirs[key], regimes) for key in both]
    return [
        ComparedCell(
            cell=dict(zip(shared, key, strict=True)),
            first=_summary(ours[key]),
            second=_summary(theirs[key]),
            difference=each.difference,
            how=each.how,
            p=None if math.isnan(each.p) or each.smallest_p > alpha / len(both) else p,
            outcome=_outcome(each, p, p_margin, alpha, len(both), is_outside=bool(outside)),
            reason="" if each.identical else outside,
        )
        for key, each, p, p_margin, outside in zip(both, tested, different, within, why, strict=True)
    ]


def _named(cells: Cells) -> str:
    """'conv and lrlc on mnist', or that there are no finished trials."""
    if not cells:
        return "no finished trial"
    rows = pd.concat([each[["dataset", "kind"]].head(1) for each in cells.values()])
    kinds, places = (one_line(", ".join(sorted(set(rows[name].astype(str))))) for name in ("kind", "dataset"))
    return f"{kinds} on {places}"


def _why(ours: pd.DataFrame, theirs: pd.DataFrame, regimes: tuple[Regimes, Regimes]) -> str:
    said = [why(rows) for why, rows in zip(regimes, (ours, theirs), strict=True)]
    return "; ".join(dict.fromkeys(filter(None, said)))


def only_in(first: pd.DataFrame, compared: Sequence[ComparedCell]) -> int:
    """The number of cells of a set that were not compared."""
    shared = list(compared[0].cell)
    return len(_cells(first, shared)) - len(compared)


def _cells(frame: pd.DataFrame, shared: Sequence[str]) -> Cells:
    """Finished rows by cell, with uniformly written settings."""
    rows = _finished(frame)
    groups = _settings(rows, shared).groupby(list(shared), sort=False, dropna=False)
    found = {key: rows.loc[group.index] for key, group in groups}
    if "seed" not in frame and any(len(cell) > 1 for cell in found.values()):
        only = [name for name in CELL if name in frame and name not in shared]
        raise StoreError(f"the other set lacks {', '.join(only)}, which distinguish cells of this one")
    return {key: cell for key, cell in found.items() if cell["test_accuracy"].notna().any()}


def _finished(frame: pd.DataFrame) -> pd.DataFrame:
    return frame if "status" not in frame else frame[frame["status"] == TrialStatus.FINISHED]


def _settings(rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({name: _spelled(rows, name) for name in names})


def _spelled(rows: pd.DataFrame, name: str) -> "pd.Series[str]":
    """Settings as text: a CSV file reads placement 3 as a number and an empty rank as NaN."""
    if name not in rows:
        return pd.Series(WORDS[name], index=rows.index)
    usual = "" if pd.api.types.is_numeric_dtype(rows[name]) else WORDS.get(name, "")
    texts = [
        usual if pd.isna(value) else value if isinstance(value, str) else f"{value:g}" for value in rows[name]
    ]
    return pd.Series(texts, index=rows.index, dtype="object")


def _summary(rows: pd.DataFrame) -> Summary:
    """The summary of a cell's trials, or the published one."""
    if "seed" in rows:
        return summarise(100 * rows["test_accuracy"])
    row = rows.iloc[-1]
    n = int(row["seeds"]) if pd.notna(row.get("seeds")) else 1
    mean, sd = 100 * float(row["test_accuracy"]), 100 * float(row.get("sd", math.nan))
    if n < 2 or math.isnan(sd):
        return Summary(n, mean, math.nan, math.nan, math.nan)
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, 0.975)) * sd / math.sqrt(n)
    return Summary(n, mean, sd, mean - half, mean + half)


def _test(ours: pd.DataFrame, theirs: pd.DataFrame, margin: float | None) -> _Tested:
    if "seed" in ours and "seed" in theirs:
        pairs = pd.concat([_by_seed(ours), _by_seed(theirs)], axis=1, join="inner").dropna()
        if len(pairs):
            return _paired((pairs.iloc[:, 0] - pairs.iloc[:, 1]).to_numpy(dtype=np.float64), margin)
        summary, p = difference_of_gains(_by_seed(ours).dropna(), _by_seed(theirs).dropna())
        return _Tested(summary, "unpaired", p, 0.0, _within(summary, margin))
    first, second = _summary(ours), _summary(theirs)
    return _from_summaries(first, second, margin)


def _by_seed(rows: pd.DataFrame) -> "pd.Series[float]":
    return 100 * rows.drop_duplicates("seed", keep="last").set_index("seed")["test_accuracy"]


def _paired(differences: Any, margin: float | None) -> _Tested:
    n = len(differences)
    p_margin = equivalence_p(differences, margin) if margin is not None else math.nan
    return _Tested(
        summarise(differences),
        "paired by seed",
        sign_flip_p(differences),
        smallest_sign_flip_p(n),
        p_margin,
        identical=bool((differences == 0).all()),
    )


def _from_summaries(first: Summary, second: Summary, margin: float | None) -> _Tested:
    """Welch's t of two summaries; one without a spread counts as a fixed number."""
    known = [each for each in (first, second) if not math.isnan(each.sd)]
    mean = first.mean - second.mean
    how = "unpaired" if len(known) == 2 else "against one number"
    if not known:
        return _Tested(Summary(1, mean, math.nan, math.nan, math.nan), how, math.nan, 1.0, math.nan)
    from scipy.special import stdtr, stdtrit

    parts = [each.sd**2 / each.n for each in known]
    error = math.sqrt(sum(parts))
    freedom = (
        sum(parts) ** 2 / sum(part**2 / (each.n - 1) for part, each in zip(parts, known, strict=True))
        if error
        else 1
    )
    half = float(stdtrit(freedom, 0.975)) * error
    n = min(each.n for each in known)
    summary = Summary(n, mean, error * math.sqrt(n), mean - half, mean + half)
    p = 2 * float(stdtr(freedom, -abs(mean) / error)) if error else float(mean == 0)
    return _Tested(summary, how, p, 0.0, _within(summary, margin))


def _within(summary: Summary, margin: float | None) -> float:
    """p of two one-sided t tests from a mean and its standard error, with n - 1 degrees of freedom; NaN if untested."""
    if margin is None or summary.n < FEWEST_FOR_EQUIVALENCE or math.isnan(summary.sd) or summary.sd == 0:
        return math.nan
    from scipy.special import stdtr

    return float(stdtr(summary.n - 1, -(margin - abs(summary.mean)) * math.sqrt(summary.n) / summary.sd))


def _outcome(
    tested: _Tested, p: float, p_margin: float, alpha: float, tests: int, *, is_outside: bool
) -> Outcome:
    if tested.identical:
        return Outcome.IDENTICAL
    if is_outside:
        return Outcome.OUT_OF_REGIME
    if p_margin <= alpha:
        return Outcome.EQUAL
    if tested.smallest_p > alpha / tests or p > alpha or math.isnan(tested.p):
        return Outcome.UNDECIDED
    return Outcome.BETTER if tested.difference.mean > 0 else Outcome.WORSE
