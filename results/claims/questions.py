"""Turn a study's claims into questions: one test on the rows of one data set, or of two, trained the same way."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from operator import attrgetter

import pandas as pd

from lrlc.results.claims.asked import Asked
from lrlc.results.claims.cells import of_cells
from lrlc.results.claims.tables import Tables
from lrlc.results.names import dataset_name, setting_name
from lrlc.results.statistics import CELL, LAYER_SETTINGS, TRAINING_SETTINGS
from lrlc.studies.claims import BestRank, Change, Claim, Interaction, Smooth
from lrlc.studies.titles import Title


@dataclass(frozen=True)
class Question:
    """A claim's test on the rows of one data set (or of a second against a first), with any status."""

    claim: Claim
    where: str
    titles: tuple[str, ...]
    parts: tuple[pd.DataFrame, ...]

    def of_seeds(self, seeds: Collection[int]) -> tuple[pd.DataFrame, ...]:
        return tuple(rows[rows["seed"].isin(seeds)] for rows in self.parts)

    @property
    def has_sides(self) -> bool:
        """Whether everything that the claim compares has rows here."""
        parts = self.parts[:1] if isinstance(self.claim, Smooth) else self.parts  # the second may be missing
        return not any(of_cells(rows, cells).empty for rows in parts for cells in self.claim.sides.values())

    def has_all(self, seeds: Collection[int]) -> bool:
        """Whether each cell used by the test has a row for each of these seeds."""
        for title, rows in zip(self.titles, self.parts, strict=True):
            for cells in self.claim.sides.values():
                looked_at = of_cells(rows, cells)
                by_cell = looked_at.groupby(list(LAYER_SETTINGS), dropna=False)["seed"]
                missing = looked_at.empty and not Title.parse(title).shuffled
                if missing or not by_cell.agg(lambda found: set(seeds) <= set(found)).all():
                    return False
        return True


@dataclass(frozen=True)
class _Panel:
    """The rows of a data set with one network and way of training."""

    detail: str
    """'epochs 10': what distinguishes it from the data set's other panels."""
    rows: pd.DataFrame
    settings: tuple[str, ...]
    recipe: tuple[str, ...]
    """`settings` without the images."""

    @staticmethod
    def of(detail: str, rows: pd.DataFrame) -> "_Panel":
        first = rows.iloc[0]
        return _Panel(detail, rows, *(tuple(str(first[name]) for name in names) for names in (_ALL, _RECIPE)))

    def partner(self, beside: Sequence["_Panel"], others: Sequence["_Panel"]) -> "_Panel | None":
        """The panel of another data set that is trained alike; None if there is none. `beside` are its own's.

        Data sets may have their own numbers of images, or each their own way of training.
        """
        for key in (attrgetter("settings"), attrgetter("recipe")):
            alike = [each for each in others if key(each) == key(self)]
            if len(alike) == 1 == sum(key(each) == key(self) for each in beside):
                return alike[0]
        return next((each for each in others if each.detail == self.detail), None)


_ALL = ("network", *TRAINING_SETTINGS)
_RECIPE = tuple(name for name in _ALL if name not in ("train_images", "draw"))


def questions(asked: Asked, tables: Tables) -> list[Question]:
    """The questions in the order of the claims, only for those of a claim's data sets that the study trains on.

    There is a question for each way of training with rows of both sides; one with rows of only one side is left out
    once no planned trial can add the other.
    """
    rows = tables.rows
    names = asked.names | set(rows["dataset_name"])
    rows = _comparable(rows, asked.seeds)
    panels = {str(title): _panels(of_title) for title, of_title in rows.groupby("dataset", sort=False)}
    default = [title for title in asked.datasets or panels if not Title.parse(title).shuffled]
    found: list[Question] = []
    for claim in asked.claims:
        for titles in _titles(claim, names, default):
            possible = _questions(claim, titles, panels, rows)
            awaited = [each for each in possible if each.has_sides or _may_join(each, asked, tables)]
            found += awaited or [max(possible, key=_sides_here)]
    return found


def _sides_here(question: Question) -> int:
    """The number of the claim's sides that have rows on its first data set."""
    return sum(not of_cells(question.parts[0], cells).empty for cells in question.claim.sides.values())


def _may_join(question: Question, asked: Asked, tables: Tables) -> bool:
    """Whether a side without rows may still get some: a grid trains all cells with one seed, then with the next."""
    first_look = set(asked.seed_order[: asked.looks[0]])
    seen = set[int]().union(*(rows["seed"] for rows in question.parts))
    return not tables.is_whole and not first_look <= seen


def _comparable(rows: pd.DataFrame, seeds: Collection[int]) -> pd.DataFrame:
    """The rows without cells that only a search trained, with too few seeds, if a grid trained others.

    No run of the study adds their other seeds, so their tests would stay open forever. A study that only searches is
    judged on its suggestions.
    """
    if (
        "search_number" not in rows
        or rows["search_number"].isna().all()
        or rows["search_number"].notna().all()
    ):
        return rows
    by_cell = rows.groupby([name for name in CELL if name in rows], dropna=False, sort=False)
    is_of_grid = by_cell["search_number"].transform(lambda numbers: numbers.isna().any()).astype(bool)
    has_seeds = by_cell["seed"].transform(lambda found: set(seeds) <= set(found)).astype(bool)
    return rows[is_of_grid | has_seeds]


def _titles(claim: Claim, names: Collection[str], default: Sequence[str]) -> list[tuple[str, ...]]:
    """One or two data sets per question: the named ones that the study trains on, or the first if there are none."""
    named: list[tuple[str, ...]]
    match claim:
        case Change():
            named = list(_couples(claim.before, claim.after))
        case BestRank() | Interaction():
            named = list(product(claim.higher_on, claim.than_on))
        case Smooth():
            named = [(title, shuffled(title)) for title in claim.datasets or default]
        case _:
            named = [(title,) for title in claim.datasets or default]
    known = [titles for titles in named if {Title.parse(title).name for title in titles} <= set(names)]
    return known or named[:1]


def shuffled(title: str) -> str:
    """The title of a data set with shuffled labels, which is the null for what a network learns from labels."""
    return str(replace(Title.parse(title), shuffled=True))


def _couples(before: Sequence[str], after: Sequence[str]) -> Iterable[tuple[str, str]]:
    return zip(before, after, strict=True) if len(before) == len(after) else product(before, after)


def _questions(
    claim: Claim, titles: tuple[str, ...], panels: Mapping[str, list[_Panel]], rows: pd.DataFrame
) -> list[Question]:
    """A question for each way of training shared by all its data sets; one without rows if there is none."""
    first, *others = (panels.get(title, []) for title in titles)
    where, found = _where(claim, titles), []
    for panel in first:
        same = [panel.partner(first, each) for each in others]
        if _is_one_sided(claim, panel.rows):
            continue
        if all(same) or isinstance(claim, Smooth):
            parts = (panel.rows, *(rows[:0] if each is None else each.rows for each in same))
            detail = f", {panel.detail}" if panel.detail else ""
            found.append(Question(claim, where + detail, titles, parts))
    return found or [Question(claim, where, titles, tuple(rows[:0] for _ in titles))]


def _is_one_sided(claim: Claim, rows: pd.DataFrame) -> bool:
    """Whether only a search trained these rows, but not everything that the claim compares; no others will be added."""
    if "search_number" not in rows or rows["search_number"].isna().any():
        return False
    return any(of_cells(rows, cells).empty for cells in claim.sides.values())


def _where(claim: Claim, titles: Sequence[str]) -> str:
    """'UTKFace against CIFAR-10': the data set, then the one whose number is subtracted."""
    if isinstance(claim, Smooth):
        return dataset_name(titles[0])
    order = titles if isinstance(claim, BestRank | Interaction) else tuple(reversed(titles))
    return " against ".join(map(dataset_name, order))


def _panels(rows: pd.DataFrame) -> list[_Panel]:
    """Rows by network and way of training; the detail names what varies."""
    varying = [name for name in ("network", *TRAINING_SETTINGS) if rows[name].nunique(dropna=False) > 1]
    if not varying:
        return [_Panel.of("", rows)]
    return [
        _Panel.of(
            ", ".join(setting_name(name, value) for name, value in zip(varying, key, strict=True)),
            part,
        )
        for key, part in rows.groupby(varying, dropna=False, sort=False)
    ]
