"""A claim's cells: rows selected by layer settings, arranged by seed, and the choice of the best cell on validation."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lrlc.results.names import layers_name, short_kind_name
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import LAYER_SETTINGS
from lrlc.studies.claims import Cells

CHOOSING_SEEDS = 3
_ACCURACIES = ("test_accuracy", "validation_accuracy")
Settings = Mapping[str, Any]
"""A cell's settings: kind, rank, placement and options, as in the tables."""


def of_cells(rows: pd.DataFrame, cells: Cells) -> pd.DataFrame:
    """The rows of these cells, with any status."""
    wanted = rows["kind"] == cells.kind
    if cells.rank:
        wanted &= rows["rank"].isin(cells.rank)
    if cells.placement:
        wanted &= rows["placement"].isin(cells.placement)
    if cells.layer or cells.defaults:
        texts = {text: json.loads(text) for text in rows["options"].unique()}
        fitting = [text for text, options in texts.items() if _fits(options, cells)]
        wanted &= rows["options"].isin(fitting)
    found: pd.DataFrame = rows[wanted]
    return found


def _fits(options: Mapping[str, Any], cells: Cells) -> bool:
    return cells.layer.items() <= options.items() and not options.keys() & cells.defaults.keys()


def alike(rows: pd.DataFrame, settings: Settings) -> "pd.Series[bool]":
    """Which rows have these settings; a null equals a null."""
    found = pd.Series(data=True, index=rows.index)
    for name, value in settings.items():
        is_null = value is None or value != value
        found &= rows[name].isna() if is_null else rows[name] == value
    return found


def has_finished(rows: pd.DataFrame) -> bool:
    return bool((rows["status"] == TrialStatus.FINISHED).any())


@dataclass(frozen=True)
class Side:
    """Finished accuracies in points, seeds x cells (NaN if one is missing), and the cells' settings in order."""

    test: pd.DataFrame
    validation: pd.DataFrame
    settings: tuple[Settings, ...]

    @staticmethod
    def of(rows: pd.DataFrame, cells: Cells) -> "Side":
        found = of_cells(rows[[*LAYER_SETTINGS, "status", "seed", *_ACCURACIES]], cells)
        finished = found[found["status"] == TrialStatus.FINISHED]
        numbers = finished.groupby(list(LAYER_SETTINGS), dropna=False, sort=True).ngroup()
        laid_out = finished.assign(cell=numbers).drop_duplicates(["seed", "cell"], keep="last")
        first = laid_out.drop_duplicates("cell").sort_values("cell")
        told = first[list(LAYER_SETTINGS)].to_dict("records")
        settings = tuple({name: row[name] for name in LAYER_SETTINGS} for row in told)
        test, validation = (
            100 * laid_out.pivot(index="seed", columns="cell", values=accuracy) for accuracy in _ACCURACIES
        )
        return Side(test, validation, settings)

    def beside(self, other: "Side") -> "Side":
        """The cells with the placement and rank of the one chosen for `other`, if these have them."""
        if not other.settings:
            return self
        chosen = other.settings[choose(other).column]
        columns = [column for column, settings in enumerate(self.settings) if _is_beside(settings, chosen)]
        test, validation = self.test.iloc[:, columns], self.validation.iloc[:, columns]
        return Side(test, validation, tuple(self.settings[column] for column in columns))


@dataclass(frozen=True)
class Choice:
    """The column that represents a side, and the seeds that may report it."""

    column: int
    seeds: "pd.Index[int]"
    chose: "pd.Index[int]"
    """The seeds that chose, which may not report."""


def choose(side: Side) -> Choice:
    """The best cell on validation over the first seeds, to be reported by the others.

    Three seeds choose, or half of fewer than six, and do not report, so that a lucky choice does not bias the result.
    (Leaving out one seed at a time keeps the mean unbiased, but not the p values: seeds choose alike, and 9% of
    simulated studies of equal layers showed a difference at a level of 5%.) With a single cell all seeds report. A cell
    that fewer of the choosing seeds finished, as some diverged, ranks below any that more finished.
    """
    table = side.validation
    first = min(CHOOSING_SEEDS, len(table) // 2) if table.shape[1] > 1 else 0
    choosing = table.iloc[: max(first, 1)]
    finished = choosing.count()
    means = choosing.mean().where(finished == finished.max(), -np.inf)
    return Choice(int(np.argmax(means)) if len(means) else 0, table.index[first:], table.index[:first])


def picked(table: pd.DataFrame, choice: Choice) -> "pd.Series[float]":
    """The chosen column's values by seed; seeds without one are left out."""
    if table.empty:
        return pd.Series(dtype="float64")
    column: pd.Series[float] = table.iloc[:, choice.column].reindex(choice.seeds).dropna()
    return column


def chosen(side: Side) -> "pd.Series[float]":
    """The test accuracy of the chosen cell by seed."""
    return picked(side.test, choose(side))


def cell_name(settings: Settings) -> str:
    """'LRLC rank 4, layer 3'."""
    rank = f" rank {rank}" if (rank := rank_of(settings)) else ""
    told = [layers_name(str(settings["placement"])), _options(str(settings["options"]))]
    return ", ".join([short_kind_name(str(settings["kind"])) + rank, *filter(None, told)])


def chosen_name(side: Side) -> str:
    """'rank 4, layer 3': what distinguishes the chosen cell from the side's others; '' if there is one cell."""
    varying = [name for name in LAYER_SETTINGS if len({str(each[name]) for each in side.settings}) > 1]
    if not varying:
        return ""
    settings = side.settings[choose(side).column]
    said = {
        "rank": f"rank {rank}" if (rank := rank_of(settings)) else "",
        "placement": layers_name(str(settings["placement"])),
        "options": _options(str(settings["options"])) or "with default options",
    }
    return ", ".join(text for name, text in said.items() if name in varying and text)


def chosen_settings(side: Side) -> Settings | None:
    """The settings of the chosen cell; None if the side has none."""
    return side.settings[choose(side).column] if side.settings else None


def pair(ours: Side, theirs: Side) -> pd.DataFrame:
    """Columns `ours` and `theirs`, the chosen cells' test accuracies, for the seeds that may report both."""
    sides = {"ours": chosen(ours), "theirs": chosen(theirs)}
    return pd.concat(sides, axis=1, join="inner").dropna()


def rows_of_cell(rows: pd.DataFrame, settings: Settings, seeds: Iterable[int]) -> pd.DataFrame:
    """The finished rows of one cell, one for each of these seeds, by seed."""
    wanted = (rows["status"] == TrialStatus.FINISHED) & rows["seed"].isin(list(seeds))
    wanted &= alike(rows, settings)
    return rows[wanted].drop_duplicates("seed", keep="last").set_index("seed", drop=False).sort_index()


def rank_of(settings: Settings) -> int | None:
    """The rank; None for a kind without one, which a table may hold as NaN."""
    rank = settings["rank"]
    return None if rank is None or math.isnan(rank) else int(rank)


def cells_name(cells: Cells) -> str:
    """'LRLC (rank 2 to 7, layer 3)'."""
    ranks, places = sorted(cells.rank), cells.placement
    said = []
    if ranks:
        said.append(f"rank {ranks[0]}" if len(ranks) == 1 else f"rank {_listed(ranks)}")
    if len(places) == 1:
        said.append(layers_name(places[0]))
    said += [f"{name} {value}" for name, value in [*cells.layer.items(), *cells.defaults.items()]]
    name = short_kind_name(cells.kind)
    return f"{name} ({', '.join(said)})" if said else name


def _options(text: str) -> str:
    return ", ".join(f"{name} {value}" for name, value in json.loads(text).items())


def _listed(ranks: Sequence[int]) -> str:
    if list(ranks) == list(range(ranks[0], ranks[-1] + 1)):
        return f"{ranks[0]} to {ranks[-1]}"
    return ", ".join(map(str, ranks[:-1])) + f" or {ranks[-1]}"


def _is_beside(settings: Settings, other: Settings) -> bool:
    ranks, places = (rank_of(settings), rank_of(other)), (settings["placement"], other["placement"])
    return (None in ranks or ranks[0] == ranks[1]) and ("" in places or places[0] == places[1])
