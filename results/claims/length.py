"""The length check: how much an effect changes when the same cells are trained with fewer epochs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lrlc.results.claims.asked import Asked
from lrlc.results.claims.cells import alike
from lrlc.results.claims.dispatch import evidence_of
from lrlc.results.claims.evidence import Evidence
from lrlc.results.claims.questions import Question
from lrlc.results.claims.tables import Tables
from lrlc.results.statistics import LAYER_SETTINGS, TRAINING_SETTINGS, Summary, digits, summarise
from lrlc.studies.lines import counted
from lrlc.studies.stages import share_of_epochs

NO_CHECK = "no length check: add one to the study, such as length_check: {{seeds: 3}}"
NO_ROWS = "no finished trials of the length check: `lrlc run` trains them"


@dataclass(frozen=True)
class Lengths:
    """The change of the effect with fewer epochs, over the seeds of the length check."""

    change: Summary | None
    """Counted as positive; its interval is NaN if the effect is not a mean over seeds."""
    missing: str = ""
    """Why it is unknown, and what to do about it."""
    detail: str = ""
    """The effects with all and with fewer epochs: '+0.8 with 24 epochs, -1.5 with 12 (3 seeds)'."""


def compare_lengths(
    question: Question, asked: Asked, evidence: Evidence, parts: Sequence[pd.DataFrame], tables: Tables
) -> Lengths:
    """The change for the cells that represent each side, whoever chose them; `parts` has the question's rows."""
    if asked.length_check is None:
        return Lengths(None, NO_CHECK)
    asked_epochs = asked.length_check.epochs
    pairs = []
    for title, rows, compared in zip(question.titles, parts, evidence.compared, strict=True):
        sides = [side for side in (compared.ours, compared.theirs) if side is not None]
        cells = {key for side in sides for key in _keys(side)}
        full = rows[_keys(rows).isin(cells)]
        short = _shortened(tables.shorter, title, full, asked_epochs, cells)
        pairs.append((full[full["seed"].isin(short["seed"])], short))
    found = [(parts, evidence_of(question.claim, parts, tables.maps)) for parts in zip(*pairs, strict=True)]
    shared = set.intersection(*(set(one.seeds) for _, one in found))
    longer, shorter = (_over(question, parts, one, shared, tables) for parts, one in found)
    if longer.effect is None or shorter.effect is None:
        return Lengths(None, NO_ROWS)
    epochs, fewer = (int(rows["epochs"].iloc[0]) for rows in pairs[0])
    seeds = counted(longer.effect.n, "seed")
    form = f"+{digits(evidence.unit)}"
    detail = (
        f"{longer.effect.mean:{form}} with {counted(epochs, 'epoch')}, "
        f"{shorter.effect.mean:{form}} with {fewer} ({seeds})"
    )
    return Lengths(_change(longer, shorter), detail=detail)


def _change(longer: Evidence, shorter: Evidence) -> Summary:
    """How far the effect moves, over seeds where it is a mean over them."""
    assert longer.effect is not None
    assert shorter.effect is not None
    moved = shorter.effect.mean - longer.effect.mean
    if longer.by_seed is None or shorter.by_seed is None:
        return summarise([abs(moved)])
    return summarise(np.copysign(1.0, moved) * (shorter.by_seed - longer.by_seed))


def _over(
    question: Question, parts: Sequence[pd.DataFrame], found: Evidence, seeds: set[int], tables: Tables
) -> Evidence:
    """The evidence of these parts over `seeds`; `found` is that over all their seeds."""
    if set(found.seeds) == seeds:
        return found
    kept = [rows[rows["seed"].isin(seeds)] for rows in parts]
    return evidence_of(question.claim, kept, tables.maps)


def _shortened(
    shorter: pd.DataFrame, title: str, full: pd.DataFrame, epochs: int | str, cells: set[str]
) -> pd.DataFrame:
    """The length check's rows of these cells, trained like `full` except for the epochs."""
    rows = shorter[shorter["dataset"] == title]
    if rows.empty or full.empty:
        return rows
    first = full.iloc[0]
    settings = {name: first[name] for name in ("network", *TRAINING_SETTINGS)}
    settings["epochs"] = share_of_epochs(epochs, int(first["epochs"]))
    return rows[alike(rows, settings) & _keys(rows).isin(cells)]


def _keys(rows: pd.DataFrame) -> "pd.Series[str]":
    """A key for each cell's layer settings."""
    keys = pd.Series("", index=rows.index)
    for name in LAYER_SETTINGS:
        keys = keys + "|" + rows[name].astype("str")
    return keys
