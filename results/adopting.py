"""Join the tables of a study that was run elsewhere to those here, without duplicating a trial."""

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
    """Trials whose rows came over."""
    known: int
    """Trials that have as good a row here."""
    damaged: tuple[Damage, ...]
    """Files there that are damaged; of damaged parts no row came over."""
    kept_plans: tuple[str, ...]
    """Profiles that are planned otherwise here: their plans stay as they are."""


def check(source: Store, target: Store, code_epoch: int, version: str) -> None:
    """StoreError, of one line, where the rows at `source` are of another code, or its widths of other trials."""
    rows = source.trials(["code_epoch", "versions"])
    for epoch in sorted(set(rows["code_epoch"]) - {code_epoch}):
        raise StoreError(
            f"{source.root}: rows of code epoch {epoch:g}, where this lrlc trains epoch {code_epoch}: they are "
            f"other trials; adopt them with the lrlc that made them"
        )
    written = {json.loads(text).get(PACKAGE, version) for text in set(rows["versions"])}
    for other in sorted(written - {version}):
        raise StoreError(
            f"{source.root}: rows of {PACKAGE} {other}, where this is {version}; adopt them with that version"
        )
    _check_widths(source, target)


def adopt(source: Store, target: Store) -> Adopted:
    """Copy the rows that `target` lacks, as one part, and what is noted of the study. Call `check` first.

    A finished row is copied where the one that is here is not finished. A plan, and the study it belongs to, is taken
    over where it is not here or holds every trial of the one that is here.
    """
    damaged = aside.damaged(source.root)
    theirs = _whole_rows(source, damaged)
    wanted = _better(theirs, target.trials(["trial_id", "status"]))
    target.write_widths(source.widths())
    kept = _join_documents(source, target)
    if wanted:
        target.copy_from(source, wanted)
    _copy_models(source, target)
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
    """Trial ids and statuses of parts of which no file is damaged."""
    of_parts = {part_name(each.path) for each in damaged if each.path.parent.name in SCHEMAS}
    rows = parts.load(source.root, "trials", ["trial_id", "status"]).table.to_pandas()
    part = rows[FILE].str.rpartition("/")[2].str.removesuffix(".parquet") if len(rows) else rows[FILE]
    whole: pd.DataFrame = rows.loc[~part.isin(of_parts), ["trial_id", "status"]]
    return whole


def _better(theirs: pd.DataFrame, ours: pd.DataFrame) -> set[str]:
    """The trials without a row here, and those that finished there alone."""

    def finished(rows: pd.DataFrame) -> set[str]:
        return set(rows.loc[rows["status"] == TrialStatus.FINISHED, "trial_id"])

    return (set(theirs["trial_id"]) - set(ours["trial_id"])) | (finished(theirs) - finished(ours))


def _join_documents(source: Store, target: Store) -> list[str]:
    """Take over what is noted per profile and per data set; returns the profiles that stay as they are here."""
    found = sorted(plans.read_all(source.root).values(), key=lambda file: file.written_ns)
    kept = [file.profile for file in found if not _take_profile(source, target, file.profile, file.plan())]
    here = target.datasets()
    for title, summary in source.datasets().items():
        joined = _joined_summary(here.get(title), summary)
        if joined is not here.get(title):
            target.write_dataset(joined)
    return kept


def _take_profile(source: Store, target: Store, profile: str, plan: StagedPlan) -> bool:
    """Whether the profile's plan, and what belongs to it, is that of `source` now."""
    present = plans.read_all(target.root).get(profile)
    if present is not None and not present.plan().trial_ids <= plan.trial_ids:
        return False
    if (record := STUDY.read(source.root).get(profile)) is not None:
        target.write_study(record.study, profile, record.overrides)
    target.write_plan(profile, plan)
    target.write_tuning(TUNING.read(source.root).get(profile, []), profile)
    target.write_importance(IMPORTANCE.read(source.root).get(profile, []), profile)
    return True


def _copy_models(source: Store, target: Store) -> None:
    """Kept weights of trials that have a row here, and left none here."""
    rows = set(target.trials(["trial_id"])["trial_id"])
    for what in get_args(Kept):
        for trial_id in (source.kept_models(what) - target.kept_models(what)) & rows:
            if (content := source.model(trial_id, what)) is not None:
                target.keep_model(trial_id, what, content)


def _joined_summary(here: DatasetSummary | None, there: DatasetSummary) -> DatasetSummary:
    """The summary that is here with the baselines of both; another data set of that title stays as it is here."""
    if here is None or here.data_digest != there.data_digest:
        return here or there
    known = {(each.train_images, each.test_images) for each in here.baselines}
    new = [each for each in there.baselines if (each.train_images, each.test_images) not in known]
    return replace(here, baselines=(*here.baselines, *new)) if new else here
