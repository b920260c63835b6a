"""The part of a trial's row that a search needs, from the tables or from a trial that has just ended."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lrlc.results.schema import TrialResult, TrialStatus
from lrlc.results.store import Store
from lrlc.studies.search import SEARCHED_COLUMNS

COLUMNS = (
    *("trial_id", "status", "seed", "search_number", "kind", "rank", "placement", "options", "config"),
    *SEARCHED_COLUMNS,
)
"""The columns of trials that make up a row."""


@dataclass(frozen=True)
class Row:
    """A trial's end as a search sees it."""

    trial_id: str
    status: TrialStatus
    seed: int
    search_number: int | None
    """The suggestion that first requested it; None for a trial of the grid."""
    kind: str
    rank: int | None
    placement: str
    options: str
    """Layer options that are not at their default, as JSON."""
    config: str
    """All settings, as JSON."""
    metrics: Mapping[str, float]
    """The measured metrics."""
    curve: tuple[float, ...] | None = None
    """Validation accuracy by epoch; None if it is only in the tables."""

    @classmethod
    def of_table(cls, record: Mapping[str, Any], metrics: Iterable[str] = ()) -> "Row":
        """From a record of the trials table, with at least `COLUMNS` and these `metrics`; nulls may be None or NaN."""
        number, rank = _known(record["search_number"]), _known(record["rank"])
        measured = {name: _known(record[name]) for name in (*SEARCHED_COLUMNS, *metrics)}
        return cls(
            trial_id=str(record["trial_id"]),
            status=TrialStatus(record["status"]),
            seed=int(record["seed"]),
            search_number=None if number is None else int(number),
            kind=record["kind"],
            rank=None if rank is None else int(rank),
            placement=record["placement"],
            options=record["options"],
            config=record["config"],
            metrics={name: value for name, value in measured.items() if value is not None},
        )

    @classmethod
    def of_result(cls, result: TrialResult) -> "Row":
        """From a trial that has just ended."""
        curve = tuple(record.validation_accuracy for record in result.curve)
        measured = {each.name: each.value for each in result.metrics}
        return cls(**{**vars(cls.of_table({**vars(result), **measured}, measured)), "curve": curve})


def stored_rows(trials: pd.DataFrame, metrics: Sequence[str] = ()) -> dict[str, Row]:
    """The rows of a trials table by trial id; it must have `COLUMNS` and the columns of these metrics."""
    records: Any = trials.to_dict("records")
    rows = (Row.of_table(record, metrics) for record in records)
    return {row.trial_id: row for row in rows}


def accuracies(rows: Mapping[str, Row], store: Store) -> dict[str, list[float]]:
    """Validation accuracy by epoch, by trial id: from the row where it has its curve, otherwise from the table."""
    in_rows = {key: list(row.curve) for key, row in rows.items() if row.curve is not None}
    curves = store.curves(rows.keys() - in_rows.keys()).sort_values("epoch")
    stored = curves.groupby("trial_id")["validation_accuracy"].agg(list)
    return in_rows | {str(key): list(values) for key, values in stored.items()}


def _known(value: Any) -> Any:
    """The value, or None for a null, which is NaN in a table."""
    return None if value is None or value != value else value
