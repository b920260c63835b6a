"""From a study's claims to questions: one test on the rows of one data set, or of two, trained the same way."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from results.claims.cells import of_cells
from results.claims.evidence import Claim
from results.figures.naming import dataset_name, setting_name
from results.statistics import LAYER_SETTINGS, TRAINING_SETTINGS
from studies.titles import Title


@dataclass(frozen=True)
class Question:
    """A claim's test on the rows of one data set (or the second's against the first's), however they ended."""

    claim: Claim
    where: str
    titles: tuple[str, ...]
    parts: tuple[pd.DataFrame, ...]

    def of_seeds(self, seeds: Collection[int]) -> tuple[pd.DataFrame, ...]:
        return tuple(rows[rows["seed"].isin(seeds)] for rows in self.parts)

    def has_all(self, seeds: Collection[int]) -> bool:
        """Whether each cell that the test looks at has a row for each of these seeds."""
        sides = [self.claim[side] for side in ("ours", "theirs") if side in self.claim]
        for rows, cells in product(self.parts, sides):
            looked_at = of_cells(rows, cells)
            by_cell = looked_at.groupby(list(LAYER_SETTINGS), dropna=False)["seed"]
            if looked_at.empty or not by_cell.agg(lambda found: set(seeds) <= set(found)).all():
                return False
        return True


@dataclass(frozen=True)
class _Panel:
    detail: str
    rows: pd.DataFrame


def questions(study: Mapping[str, Any], rows: pd.DataFrame) -> list[Question]:
    """In the order of the claims; of the data sets that a claim names those are asked that the study trains on."""
    names = dataset_names(study) | set(rows["dataset_name"])
    panels = {title: _panels(of_title) for title, of_title in rows.groupby("dataset", sort=False)}
    default = [str(Title.of(spec)) for spec in study["datasets"]] or [str(title) for title in panels]
    found: list[Question] = []
    for claim in study["claims"]:
        for titles in _titles(claim, names, default):
            found += _questions(claim, titles, panels, rows)
    return found


def dataset_names(study: Mapping[str, Any]) -> set[str]:
    """The data sets that a study of study.json trains on, without what is done to them."""
    asked: list[Any] = list(study["datasets"])
    for block in study.get("grid", []):
        given = block.get("dataset", [])
        asked += given if isinstance(given, list) else [given]
    if study.get("search"):
        asked.append(study["search"]["dataset"])
    titles = (Title.of(each) if isinstance(each, Mapping) else Title.parse(str(each)) for each in asked)
    return {title.name for title in titles}


def _titles(claim: Claim, names: set[str], default: Sequence[str]) -> list[tuple[str, ...]]:
    """One or two data sets a question; of those named the study's own, or the first if it trains on none of them."""
    named: list[tuple[str, ...]]
    if claim["test"] == "change":
        named = list(_couples(claim["before"], claim["after"]))
    elif claim["test"] == "best_rank":
        named = list(product(claim["higher_on"], claim["than_on"]))
    else:
        named = [(title,) for title in claim["datasets"] or default]
    known = [titles for titles in named if {Title.parse(title).name for title in titles} <= names]
    return known or named[:1]


def _couples(before: Sequence[str], after: Sequence[str]) -> Iterable[tuple[str, str]]:
    return zip(before, after, strict=True) if len(before) == len(after) else product(before, after)


def _questions(
    claim: Claim, titles: tuple[str, ...], panels: Mapping[Any, list[_Panel]], rows: pd.DataFrame
) -> list[Question]:
    """One for each way of training that all its data sets share; one without rows if there is none."""
    where = " against ".join(dataset_name(title) for title in reversed(titles))
    if claim["test"] == "best_rank":
        where = " against ".join(dataset_name(title) for title in titles)
    first, *others = (panels.get(title, []) for title in titles)
    found = []
    for panel in first:
        same = [[other for other in each if other.detail == panel.detail] for each in others]
        if all(same):
            parts = (panel.rows, *(each[0].rows for each in same))
            detail = f", {panel.detail}" if panel.detail else ""
            found.append(Question(claim, where + detail, titles, parts))
    return found or [Question(claim, where, titles, tuple(rows[:0] for _ in titles))]


def _panels(rows: pd.DataFrame) -> list[_Panel]:
    """Rows by network and way of training; the detail names what varies."""
    varying = [name for name in ("network", *TRAINING_SETTINGS) if rows[name].nunique(dropna=False) > 1]
    if not varying:
        return [_Panel("", rows)]
    return [
        _Panel(
            ", ".join(setting_name(name, value) for name, value in zip(varying, key, strict=True)),
            part,
        )
        for key, part in rows.groupby(varying, dropna=False, sort=False)
    ]
