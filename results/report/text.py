"""Numbers formatted for a reader, each with the value its column is sorted by."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from lrlc.results.markup.content import Cell
from lrlc.results.statistics import Summary, possible


def words(text: object) -> Cell:
    return Cell(str(text))


def number(value: float | None, form: str) -> Cell:
    """'1,234.5' in a given format, with a proper minus sign; empty without a number."""
    if value is None or math.isnan(value):
        return Cell("")
    return Cell(_signed(value, form), float(value))


def estimate(summary: Summary | None, form: str, unit: str = "points") -> Cell:
    """'98.64 (98.57 to 98.71)', with the interval cut to the unit's range; no interval for one seed."""
    if summary is None or not summary.n:
        return Cell("")
    cut = possible(summary, unit)
    mean, low, high = (_signed(value, form) for value in (summary.mean, cut.low, cut.high))
    return Cell(mean if math.isnan(summary.low) else f"{mean} ({low} to {high})", summary.mean)


def count(value: float) -> Cell:
    """75466 as '75.5 k', 23.5e6 as '23.5 M'."""
    if pd.isna(value):
        return Cell("")
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return Cell(f"{value / size:.3g} {unit}", float(value))
    return Cell(f"{value:.0f}", float(value))


def chance(p: float | None) -> Cell:
    """A p value to two digits; 'none' if there was no test."""
    if p is None or math.isnan(p):
        return Cell("none")
    return Cell("< 0.001" if p < 0.001 else f"{p:.2g}", p)


def several(values: "pd.Series[Any]", most: int = 12) -> str:
    """The first `most` distinct values of a column, in order; 'unknown' if there are none."""
    known = [
        f"{value:.10g}" if isinstance(value, float) else str(value)
        for value in sorted(values.dropna().unique(), key=lambda value: (isinstance(value, str), value))
    ]
    shown = ", ".join(known[:most])
    return f"{shown} and {len(known) - most} more" if len(known) > most else shown or "unknown"


def alternatives(texts: Sequence[str]) -> str:
    """'a', 'a or b', 'a, b or c'."""
    return " or ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))


def _signed(value: float, form: str) -> str:
    return f"{value:{form}}".replace("-", "−")
