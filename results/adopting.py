"""Merge the tables of a study run elsewhere with those here, without duplicating trials."""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import get_args

import pandas as pd

from lrlc.results import aside, parts, plans
from lrlc.results.damage import Damage
from lrlc.results.datasets import DatasetSummary
from lrlc.results.errors import StoreError
from lrlc.results.part_files import FILE, part_name
from lrlc.results.plans import StagedPlan
from lrlc.results.profiles import IMPORTANCE, STUDY, TUNING
from lrlc.results.schema import SCHEMAS, TrialStatus
from lrlc.results.store import Store
from lrlc.results.widths import MeasuredWidth
from lrlc.studies.schema import Kept

PACKAGE = "lrlc-bench"


@dataclass(frozen=True)
class Adopted:
    """The outcome of adopting the tables at `source`."""

    source: Store
    target: Store
    joined: frozenset[str]
    """Trials whose rows were copied."""
    known: int
    """Trials that already have an equally good row here."""
    damaged: tuple[Damage, ...]
    """Damaged files at the source; no row of a damaged part was copied."""
    kept_plans: tuple[str, ...]
    """Profiles with a different plan here, which is kept."""


def check(source: Store, target: Store, code_epoch: int, version: str) -> None:
    """A one-line StoreError if the rows at `source` are of other code, or its measured widths differ."""
    rows = source.trials(["code_epoch", "versions"])
    for epoch in sorted(set(rows["code_epoch"]) - {code_epoch}):
        raise StoreError(
            f"{source.root}: rows of code epoch {epoch:g}, but this lrlc trains epoch {code_epoch}: they are "
            f"other trials; adopt them with the lrlc that trained them"
        )
    written = {json.loads(text).get(PACKAGE, version) for text in set(rows["versions"])}
    for other in sorted(written - {version}):
        raise StoreError(
            f"{source.root}: rows of {PACKAGE} {other}, but this is {version}; adopt them with that version"
        )
    _check_widths(source, target)


def adopt(source: Store, target: Store) -> Adopted:
    """Copy the rows that `target` lacks, as one part, and the study's documents. Call `check` first.

    A finished row is copied if the one here is not finished. A plan, and the study it belongs to, is copied if there is
    none here or if it has every trial of the one here.
    """
    damaged = aside.damaged(source.root)
    theirs = _whole_rows(source, damaged)
    wanted = _better(theirs, target.trials(["trial_id", "status"]))
    target.write_widths(source.widths())
    kept = _join_documents(source, target)
    if wanted:
        target.copy_from(source, wanted)
    damaged += _copy_models(source, target)
    for environment in source.environments():
        target.write_environment(environment)
    return Adopted(source, target, frozenset(wanted), len(theirs) - len(wanted), tuple(damaged), tuple(kept))


def _check_widths(source: Store, target: Store) -> None:
    here: dict[object, MeasuredWidth] = {each.measured_for: each for each in target.widths()}
    for each in source.widths():
        known = here.get(each.measured_for)
        if known is not None and known.width != each.width:
            raise StoreError(
                f"{source.root}: {each.measured_for.kind} was measured to match at {each.width} channels there and "
                f"at {known.width} here: they are other trials; adopt into another results folder"
            )


def _whole_rows(source: Store, damaged: Collection[Damage]) -> pd.DataFrame:
    """Trial ids and statuses of parts without damaged files."""
    of_parts = {part_name(each.path) for each in damaged if each.path.parent.name in SCHEMAS}
    rows = parts.load(source.root, "trials", ["trial_id", "status"]).table.to_pandas()
    part = rows[FILE].str.rpartition("/")[2].str.removesuffix(".parquet") if len(rows) else rows[FILE]
    whole: pd.DataFrame = rows.loc[~part.isin(of_parts), ["trial_id", "status"]]
    return whole


def _better(theirs: pd.DataFrame, ours: pd.DataFrame) -> set[str]:
    """The trials without a row here, and those that only finished there."""

    def finished(rows: pd.DataFrame) -> set[str]:
        return set(rows.loc[rows["status"] == TrialStatus.FINISHED, "trial_id"])

    return (set(theirs["trial_id"]) - set(ours["trial_id"])) | (finished(theirs) - finished(ours))


def _join_documents(source: Store, target: Store) -> list[str]:
    """Copy documents per profile and per data set; returns the profiles whose plans here are kept."""
    found = sorted(plans.read_all(source.root).values(), key=lambda file: file.written_ns)
    kept = [file.profile for file in found if not _take_profile(source, target, file.profile, file.plan())]
    here = target.datasets()
    for title, summary in source.datasets().items():
        joined = _joined_summary(here.get(title), summary)
        if joined is not here.get(title):
            target.write_dataset(joined)
    return kept


def _take_profile(source: Store, target: Store, profile: str, plan: StagedPlan) -> bool:
    """Copy the profile's plan and its documents; returns False if the plan here is kept."""
    present = plans.read_all(target.root).get(profile)
    if present is not None and not present.plan().trial_ids <= plan.trial_ids:
        return False
    if (record := STUDY.read(source.root).get(profile)) is not None:
        target.write_study(record.study, profile, record.overrides)
    target.write_plan(profile, plan)
    target.write_tuning(TUNING.read(source.root).get(profile, []), profile)
    target.write_importance(IMPORTANCE.read(source.root).get(profile, []), profile)
    return True


def _copy_models(source: Store, target: Store) -> list[Damage]:
    """Copy kept weights of trials that have a row here but no weights; returns the damaged ones."""
    damaged = []
    rows = set(target.trials(["trial_id"])["trial_id"])
    for what in get_args(Kept):
        for trial_id in (source.kept_models(what) - target.kept_models(what)) & rows:
            found = source.model(trial_id, what)
            if isinstance(found, Damage):
                damaged.append(found)
            elif found is not None:
                target.keep_model(trial_id, what, found)
    return damaged


def _joined_summary(here: DatasetSummary | None, there: DatasetSummary) -> DatasetSummary:
    """The summary here with the baselines of both; a different data set with the same title is kept as it is here."""
    if here is None or here.data_digest != there.data_digest:
        return here or there
    known = {(each.train_images, each.test_images) for each in here.baselines}
    new = [each for each in there.baselines if (each.train_images, each.test_images) not in known]
    return replace(here, baselines=(*here.baselines, *new)) if new else here
