"""`lrlc compare`: two result sets side by side in a terminal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lrlc.harness.cli.claims import p_value
from lrlc.harness.errors import UserError
from lrlc.harness.text import aligned
from lrlc.results.claims import Asked, Tables
from lrlc.results.claims.compare import ComparedCell, Regimes, known_regime, only_in, read_csv, unknown
from lrlc.results.files import locate
from lrlc.results.names import dataset_name, short_kind_name
from lrlc.results.statistics import Summary, possible
from lrlc.results.store import Store
from lrlc.studies.regime import Regime

HEAD = ("data set", "layer", "rank", "replaced", "A, %", "B, %", "A minus B, points", "seeds", "p", "")


@dataclass(frozen=True)
class ResultSet:
    """Rows, and a function that gives the regime of their cells."""

    rows: pd.DataFrame
    regimes: Regimes = unknown


def result_set(named: str, results: str) -> ResultSet:
    """The result set of a study's folder, a study under `results`, or a CSV file; UserError if there is none."""
    if named.endswith(".csv"):
        return ResultSet(read_csv(locate(named)))
    for place in (locate(named), locate(results) / named):
        if (place / "trials").is_folder():
            store = Store(place)
            record = store.study()
            regime = Asked.of(record.study).regime if record else Regime()
            return ResultSet(store.planned_trials(), known_regime(Tables.of(store), regime))
    raise UserError(f"{named}: neither a study's folder of tables, nor a study in {results}, nor a CSV file")


def shown(compared: Sequence[ComparedCell], first: pd.DataFrame, second: pd.DataFrame) -> list[str]:
    """A line for each cell; other settings that distinguish cells get their own columns if they differ."""
    varying = _varying(compared)
    head = [*HEAD[:4], *(name.replace("_", " ") for name in varying), *HEAD[4:]]
    lines = aligned([head, *(_line(each, varying) for each in compared)])
    lines += dict.fromkeys(f"out of regime: {each.reason}" for each in compared if each.reason)
    lines += [
        f"not in the other set: {count} of the cells of {name}"
        for name, count in (("A", only_in(first, compared)), ("B", only_in(second, compared)))
        if count
    ]
    return lines


def _varying(compared: Sequence[ComparedCell]) -> list[str]:
    usual = ("dataset", "kind", "rank", "placement")
    return [
        name for name in compared[0].cell if name not in usual and len({c.cell[name] for c in compared}) > 1
    ]


def _line(each: ComparedCell, varying: Sequence[str]) -> list[str]:
    cell = each.cell
    return [
        dataset_name(cell["dataset"]),
        short_kind_name(cell["kind"]),
        cell.get("rank", ""),
        cell.get("placement", ""),
        *(cell[name] for name in varying),
        _estimate(possible(each.first, "%"), ""),
        _estimate(possible(each.second, "%"), ""),
        _estimate(possible(each.difference, "points"), "+"),
        str(each.difference.n),
        p_value(each.p),
        f"{each.outcome} ({each.how})",
    ]


def _estimate(found: Summary, sign: str) -> str:
    interval = "" if math.isnan(found.low) else f" ({found.low:{sign}.2f} to {found.high:{sign}.2f})"
    return f"{found.mean:{sign}.2f}{interval}"
