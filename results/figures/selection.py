"""The data for a figure: rows of trials, and their curves and weight maps on demand."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from lrlc.results.datasets import Baseline, DatasetSummary
from lrlc.results.importance import Importance
from lrlc.results.names import kinds_in_order, layer_names, layer_of, setting_name
from lrlc.results.schema import SCHEMAS, TrialStatus
from lrlc.results.statistics import LAYER_SETTINGS, TRAINING_SETTINGS
from lrlc.results.store import Store
from lrlc.results.tuning import Tuned
from lrlc.studies.titles import titles_in_order

PANEL = ("dataset", "network", *TRAINING_SETTINGS)
"""Columns that must be equal for two layers to be comparable; each panel shows one combination."""

Objective = tuple[str, str]
"""A column of trials and 'maximize' or 'minimize'."""
MOST_PANELS = 12
MOST_DOTS = 100
"""Upper bound on the seeds of a cell that figures draw individually."""


class NothingToDraw(Exception):  # noqa: N818
    """These rows do not allow a figure; the message says why."""


TEXTS_OF_FEW = frozenset(
    (
        "dataset",
        "dataset_name",
        "label",
        "network",
        "kind",
        "placement",
        "options",
        "precision",
        "status",
        "optimizer",
        "schedule",
        "augment",
        "recipe",
    )
)
"""Text columns with few distinct values; figures that name their columns get them as pandas categories."""


def _no_rows(table: str, trial_ids: Collection[str]) -> pd.DataFrame:
    rows: pd.DataFrame = SCHEMAS[table].empty_table().to_pandas()
    return rows


@dataclass(frozen=True)
class Selection:
    """The rows for a figure."""

    read_trials: Callable[[Collection[str] | None], pd.DataFrame]
    """Reads the trials with these columns (None: all)."""
    curves: Callable[[Collection[str]], pd.DataFrame]
    """Reads the learning curves of these trial ids."""
    weights: Callable[[Collection[str]], pd.DataFrame]
    """Reads the weight maps of these trial ids."""
    measurements: Callable[[str, Collection[str]], pd.DataFrame] = _no_rows
    """Reads the rows of a companion table (`spectra`, `shifts`, ...) for these trial ids."""
    read_datasets: Callable[[], Mapping[str, DatasetSummary]] = dict
    """The recorded summaries of the data sets, by title."""
    importance: Sequence[Importance] = ()
    """The importance of a search's parameters, by objective."""
    tuning: Sequence[Tuned] = ()
    """The choices of pilots, for each group of cells."""
    objectives: Sequence[Objective] = ()
    """The search's objectives; () if there is no search or it is unknown."""

    @cached_property
    def datasets(self) -> Mapping[str, DatasetSummary]:
        """The recorded summaries of the data sets, by title; earlier versions recorded none."""
        return self.read_datasets()

    def baseline(self, dataset: str, rows: pd.DataFrame) -> Baseline | None:
        """The baseline of the subset that all finished `rows` of a data set train and test on."""
        finished = rows[rows["status"] == TrialStatus.FINISHED]
        counts = [finished[name].dropna().unique() for name in ("train_images", "test_images")]
        if dataset not in self.datasets or any(len(different) != 1 for different in counts):
            return None
        return self.datasets[dataset].baseline(*(int(different[0]) for different in counts))

    @cached_property
    def trials(self) -> pd.DataFrame:
        """The rows of trials, read on first use."""
        return self.read_trials(None)

    @cached_property
    def kinds(self) -> Collection[str]:
        """The layer kinds of all rows and pilots."""
        trained = self.read_trials(("kind",))["kind"].unique()
        return {*map(str, trained), *(each.kind for each in self.tuning)}

    def with_columns(self, columns: Collection[str]) -> "Selection":
        """The same rows with only these columns of trials, as all columns of a million rows take gigabytes."""
        return replace(self, read_trials=lambda _: self.read_trials(columns))

    @staticmethod
    def of(store: Store, profile: str | None = None) -> "Selection":
        """The rows of a profile's plan (None: the plan written last; all rows if there is none)."""

        metrics = [metric for metric, _ in _objectives(store, profile)]

        def read(columns: Collection[str] | None) -> pd.DataFrame:
            rows = store.planned_trials(profile, columns, TEXTS_OF_FEW.intersection(columns or ()))
            return store.with_metrics(rows, metrics) if columns is None else rows

        return Selection(
            read_trials=read,
            curves=store.curves,
            weights=store.weights,
            measurements=store.companion,
            read_datasets=store.datasets,
            importance=store.importance(profile),
            tuning=store.tuning(profile),
            objectives=_objectives(store, profile),
        )

    @staticmethod
    def of_frames(
        trials: pd.DataFrame,
        curves: pd.DataFrame,
        weights: pd.DataFrame,
        datasets: Mapping[str, DatasetSummary] | None = None,
        importance: Sequence[Importance] = (),
        tuning: Sequence[Tuned] = (),
        measurements: Mapping[str, pd.DataFrame] | None = None,
        objectives: Sequence[Objective] = (),
    ) -> "Selection":
        """A selection of frames with the columns of their tables; `measurements` has other companion tables by name."""
        given = measurements or {}

        def chosen(table: pd.DataFrame) -> Callable[[Collection[str]], pd.DataFrame]:
            return lambda ids: table[table["trial_id"].isin(list(ids))]

        def read(columns: Collection[str] | None) -> pd.DataFrame:
            return trials if columns is None else trials[list(columns)]

        return Selection(
            read_trials=read,
            curves=chosen(curves),
            weights=chosen(weights),
            measurements=lambda table, ids: (
                chosen(given[table])(ids) if table in given else _no_rows(table, ids)
            ),
            read_datasets=lambda: datasets or {},
            importance=importance,
            tuning=tuning,
            objectives=objectives,
        )


def _objectives(store: Store, profile: str | None) -> list[Objective]:
    record = store.study(profile)
    search = record.study.search if record is not None else None
    return [(each.metric, each.direction) for each in search.objectives] if search else []


@dataclass(frozen=True)
class Panel:
    """Comparable trials: one data set, network and way of training."""

    dataset: str
    detail: str
    """What distinguishes this panel from others of its data set: 'learning_rate 0.1'; '' if nothing does."""
    rows: pd.DataFrame


def panels(rows: pd.DataFrame) -> list[Panel]:
    """Split rows into panels, in order of first occurrence, those of one data set together.

    Raises NothingToDraw if no trial has finished, or if settings vary too much for panels.
    """
    if rows.empty:
        raise NothingToDraw("no trial has a row yet")
    if not (rows["status"] == TrialStatus.FINISHED).any():
        raise NothingToDraw(f"none of its {len(rows)} trials has finished")
    found: list[Panel] = []
    of_datasets = {str(name): part for name, part in rows.groupby("dataset", sort=False)}
    for dataset in titles_in_order(of_datasets):
        of_dataset = of_datasets[dataset]
        varying = [name for name in PANEL[1:] if _varies(of_dataset[name])]
        combinations = [(key, part) for key, part in _groups(of_dataset, varying)]
        if len(combinations) > MOST_PANELS:
            told = ", ".join(varying)
            raise NothingToDraw(
                f"its trials on {dataset} differ in {told} ({len(combinations)} combinations)"
            )
        for key, part in combinations:
            varied = [setting_name(name, value) for name, value in zip(varying, key, strict=True)]
            found.append(Panel(dataset, ", ".join(varied), part))
    finished = [panel for panel in found if (panel.rows["status"] == TrialStatus.FINISHED).any()]
    if len(finished) > MOST_PANELS:
        raise NothingToDraw(f"it needs {len(finished)} panels; the maximum is {MOST_PANELS}")
    return finished


def cells(rows: pd.DataFrame) -> Iterator[tuple[dict[str, object], pd.DataFrame]]:
    """The layer settings of each cell of a panel, and its rows."""
    for key, part in _groups(rows, LAYER_SETTINGS):
        yield dict(zip(LAYER_SETTINGS, key, strict=True)), part


def best_cells(panel: Panel) -> dict[str, pd.DataFrame]:
    """The finished rows of each kind's cell with the best mean validation accuracy."""
    best: dict[str, pd.DataFrame] = {}
    for layer, rows in cells(panel.rows[panel.rows["status"] == TrialStatus.FINISHED]):
        kind = str(layer["kind"])
        if kind not in best or rows["validation_accuracy"].mean() > best[kind]["validation_accuracy"].mean():
            best[kind] = rows
    return best


def chosen_cells(panel: Panel, best: Mapping[str, pd.DataFrame]) -> str:
    """'LRLC (1+2+3) rank 4, CoordConv (1)': the cells in `best` of the kinds that have several; '' if none has."""
    finished = panel.rows[panel.rows["status"] == TrialStatus.FINISHED]
    found = [layer for layer, _ in cells(finished)]
    counts = Counter(str(layer["kind"]) for layer in found)
    names = layer_names({layer_of(each) for each in found})
    told = []
    for kind in kinds_in_order(kind for kind in best if counts[kind] > 1):
        cell = best[kind].iloc[0]
        ranks = finished.loc[finished["kind"] == kind, "rank"].nunique()
        told.append(names[layer_of(cell)] + (f" rank {cell['rank']:.0f}" if ranks > 1 else ""))
    return ", ".join(told)


def _groups(rows: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[tuple[object, ...], pd.DataFrame]]:
    if not by:
        yield (), rows
        return
    yield from rows.groupby(list(by), dropna=False, sort=False)


def _varies(values: "pd.Series[Any]") -> bool:
    """Whether any two values differ, a null from all others too; counting them would take ten times as long."""
    first = values.iloc[0]
    return not bool((values.isna() if pd.isna(first) else values == first).all())
