"""Whether a comparison's networks are trained like the talk's: the conditions of its regime, each with its numbers.

A network says nothing about its layers if it diverges with some seeds, if a linear classifier beats it, if the effect
still changes with the number of epochs, or if its combining weights have hardly left a constant. See docs/claims.md,
"The regime".
"""

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from lrlc.results.claims.asked import Asked
from lrlc.results.claims.cells import Settings, alike, cell_name, rank_of
from lrlc.results.claims.conditions import DIVERGED, IMAGES, LENGTH, LINEAR, POSITIONS, Condition
from lrlc.results.claims.evidence import Evidence
from lrlc.results.claims.length import Lengths, compare_lengths
from lrlc.results.claims.questions import Question
from lrlc.results.claims.spread import Spread, spread_of
from lrlc.results.claims.tables import Tables
from lrlc.results.names import dataset_name
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import CELL, LAYER_SETTINGS
from lrlc.studies.claims import Cost, Smooth
from lrlc.studies.lines import counted
from lrlc.studies.regime import Regime

LOW_RANK = ("lrlc", "lrlc_input_dependent")
"""Kinds that are compared for their combining weights; layers of other kinds may also have some."""
PER_IMAGE = "lrlc_input_dependent"
NO_BASELINE = "no linear baseline was computed for {}: run the study again, which will not train anything"


def conditions(
    question: Question, asked: Asked, evidence: Evidence, parts: Sequence[pd.DataFrame], tables: Tables
) -> tuple[Condition, ...]:
    """The conditions of the study's regime for this comparison; none for claims about costs.

    A claim about maps requires trained networks whose weights moved, but not a settled effect. A single seed without a
    margin gives nothing that the effect's change could be compared with, and cannot decide anything either.
    """
    regime, claim = asked.regime, question.claim
    if isinstance(claim, Cost):
        return ()
    found = [
        condition
        for title, cell in _cells(question, evidence)
        for condition in of_cell(title, cell, regime, tables)
    ]
    has_measure = claim.tolerance or (evidence.effect is not None and not math.isnan(evidence.effect.low))
    if regime.length and has_measure and not isinstance(claim, Smooth):
        found.append(
            _length(question, asked, evidence, compare_lengths(question, asked, evidence, parts, tables))
        )
    return tuple(dict.fromkeys(found))


def _cells(question: Question, evidence: Evidence) -> Iterator[tuple[str, pd.DataFrame]]:
    """The title of each data set and the compared rows of a cell on it, without shuffled labels."""
    for title, compared in zip(question.titles, evidence.compared, strict=False):
        sides = [compared.ours, compared.theirs]
        for rows in sides[:1] if isinstance(question.claim, Smooth) else sides:
            if rows is not None and len(rows):
                for _, cell in rows.groupby(list(LAYER_SETTINGS), dropna=False, observed=True):
                    yield title, cell


def of_cell(title: str, cell: pd.DataFrame, regime: Regime, tables: Tables) -> Iterator[Condition]:
    """The conditions on one cell's finished rows, which do not depend on what it is compared with."""
    settings = {str(name): value for name, value in cell.iloc[0].items()}
    if regime.no_divergence:
        yield _diverged(title, settings, tables)
    if regime.linear:
        yield _linear(title, cell, settings, tables)
    if regime.weights_std and rank_of(settings) != 1:  # equivalent to a convolution
        yield from _weights(dataset_name(title), settings, spread_of(cell, tables.maps), regime.weights_std)


def _weights(where: str, settings: Settings, spread: Spread, needed: float) -> Iterator[Condition]:
    kind, what = settings["kind"], cell_name(settings)
    if kind not in LOW_RANK and spread.positions is None:
        return
    spreads = {POSITIONS: spread.positions}
    if kind == PER_IMAGE:
        spreads[IMAGES] = spread.images
    for name, number in spreads.items():
        missing = f"no combining weights of {what} were stored on {{}}" if number is None else ""
        holds = number is not None and number >= needed
        yield Condition(name, where, what, number, needed, "", holds, missing)


def _diverged(title: str, settings: Settings, tables: Tables) -> Condition:
    rows = tables.rows[alike(tables.rows, {name: settings[name] for name in CELL})]
    number = int((rows["status"] == TrialStatus.DIVERGED).sum())
    detail = f"{number} of {counted(len(rows), 'seed')}"
    return Condition(
        DIVERGED, dataset_name(title), cell_name(settings), number, 0, "", not number, detail=detail
    )


def _linear(title: str, cell: pd.DataFrame, settings: Settings, tables: Tables) -> Condition:
    where, noted = dataset_name(title), tables.datasets.get(title)
    mean = 100 * float(cell["test_accuracy"].mean())
    images = [_count(settings[name]) for name in ("train_images", "test_images")]
    baseline = noted.baseline(*images) if noted else None
    linear = baseline.linear_accuracy if baseline else None
    if linear is None:
        return Condition(LINEAR, where, cell_name(settings), mean, None, "%", False, NO_BASELINE)
    return Condition(LINEAR, where, cell_name(settings), mean, 100 * linear, "%", mean > 100 * linear)


def _length(question: Question, asked: Asked, evidence: Evidence, lengths: Lengths) -> Condition:
    """Whether the effect changes by less than the margin or half its interval's width, whichever is larger."""
    effect = evidence.effect
    assert effect is not None
    half = (effect.high - effect.low) / 2
    needed = max(question.claim.tolerance, 0.0 if math.isnan(half) else half)
    change = lengths.change
    return Condition(
        LENGTH,
        question.where,
        evidence.comparison,
        change.mean if change else None,
        needed,
        evidence.unit,
        holds=change is not None and change.mean < needed,
        missing=lengths.missing,
        detail=lengths.detail,
        over_seeds=change,
    )


def _count(images: float | None) -> int | None:
    return None if images is None or math.isnan(images) else int(images)
