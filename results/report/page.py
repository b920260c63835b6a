"""The sections of a report, and its head."""

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from lrlc.results.claims import Asked, Judged, Tables
from lrlc.results.figures import Selection
from lrlc.results.markup.content import Block, Counts, Page, Text
from lrlc.results.plans import Stage
from lrlc.results.report import (
    along_rank,
    asked,
    between,
    data_sets,
    failures,
    figures,
    metrics,
    outcome,
    provenance,
    regime,
    tuning,
    verdicts,
)
from lrlc.results.report.elsewhere import Elsewhere, longer_training
from lrlc.results.report.lead import effects, in_short
from lrlc.results.schema import TrialStatus
from lrlc.results.store import DEFAULT_PROFILE, Store, StudyRecord
from lrlc.studies import Study


def describe(
    store: Store,
    profile: str | None,
    judged: Sequence[Judged],
    image_format: Literal["svg", "png"],
    elsewhere: Elsewhere,
) -> Page:
    """The content of the report, for `results.markup` to write."""
    selection = Selection.of(store, profile)
    record = store.study(profile) or _unrecorded(store, profile)
    rows = selection.trials
    planned = store.plan(profile, Stage.GRID)
    missing = len(planned - set(rows["trial_id"])) if planned is not None else 0
    compared = between.compared(record.study, Tables.of(store, profile))
    return Page(
        title=record.study.title or record.study.name,
        question=record.study.description,
        answer=in_short(judged, elsewhere),
        effect=effects(judged, compared, elsewhere),
        facts=_facts(rows, record, missing),
        sections=[
            *verdicts.sections(judged, longer_training(elsewhere)),
            *regime.sections(judged, Asked.of(record.study)),
            asked.section(record, rows),
            *data_sets.section(selection),
            *tuning.section(selection.tuning, elsewhere.better),
            figures.section(selection, image_format),
            outcome.section(rows),
            *metrics.section(selection),
            *between.section(compared, is_explained=bool(record.study.claims)),
            *along_rank.section(rows),
            failures.section(rows, missing),
            provenance.section(rows, store, profile),
            provenance.again(rows, record),
        ],
    )


def _unrecorded(store: Store, profile: str | None) -> StudyRecord:
    """The head for tables without a recorded study; a folder's name need not be a study's."""
    return StudyRecord(profile or DEFAULT_PROFILE, Study.model_construct(name=store.root.name), ())


def _facts(rows: pd.DataFrame, record: StudyRecord, missing: int) -> list[Block]:
    counted = {str(status): int((rows["status"] == status).sum()) for status in TrialStatus}
    counted["missing"] = missing
    shown = [
        (count, ending.replace("_", " "))
        for ending, count in counted.items()
        if count or ending == "finished"
    ]
    profile = "" if record.profile == DEFAULT_PROFILE else f", profile {record.profile}"
    of = Text(f"Trials of study {record.study.name}{profile}.")
    return [Counts(shown), of]
