"""The results of a study: rows are committed once, read as pandas frames, and never rewritten in place.

<root>/<table>/<part>.parquet    the tables, trials and its companions: one file per table and commit
<root>/plans/<profile>.parquet   the trials that a profile of the study consists of, by stage
<root>/study.json                the study as last run, per profile
<root>/datasets/<title>.parquet  summaries of its data sets, for figures
<root>/importance.json           the importance of each parameter of a search, per profile
<root>/tuning.json               the settings that pilots chose for each kind, per profile
<root>/widths.json               measured widths for kinds matched by training time
<root>/checkpoints/<trial>.pt    trials in mid-training, in case their worker or driver dies
<root>/models/<trial>.<what>.safetensors    weights of trained networks that the study keeps
<root>/environments/<time>.json  packages, machine and driver of the runs
<root>/logs/<trial>.txt          what a trial printed, if it printed anything
<root>/optuna.journal            the suggestions of a search
<root>/lease/                    which driver writes here at the moment
<root>/figures/, report.html     what `lrlc plot` and `lrlc report` draw, and export/, the tables of `lrlc export`
<root>/README.txt                how to read the parts without lrlc
<root>/damaged/                  files that were damaged when a run began, and all files of damaged parts

Each file has a checksum of its content and place; files of earlier versions are accepted without one.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from lrlc.results import (
    aside,
    checkpoints,
    compaction,
    datasets,
    environments,
    frames,
    logs,
    models,
    note,
    plans,
    widths,
)
from lrlc.results.committing import commit
from lrlc.results.damage import Damage
from lrlc.results.datasets import DatasetSummary
from lrlc.results.environments import Environment
from lrlc.results.errors import StoreError
from lrlc.results.files import Location, locate
from lrlc.results.importance import Importance
from lrlc.results.parts import load
from lrlc.results.plans import Stage, StagedPlan
from lrlc.results.profiles import DEFAULT_PROFILE, IMPORTANCE, STUDY, TUNING, StudyRecord
from lrlc.results.schema import BROKEN, SCHEMAS, TrialResult, TrialStatus, to_tables
from lrlc.results.tuning import Tuned
from lrlc.results.widths import MeasuredWidth
from lrlc.studies import Study
from lrlc.studies.lines import masked

__all__ = ["DEFAULT_PROFILE", "Store", "StoreError", "StudyRecord"]


class Store:
    """The tables of one study, under `root` (`<results>/<study name>`), which need not exist before a commit.

    One process commits; any number may read meanwhile, and only see complete parts. Damaged parts are left out.
    Nullable integer columns are read as float64, with null as NaN. `before_writing` is called before anything
    appears in the store, and may raise.
    """

    def __init__(
        self, root: str | Path | Location, before_writing: Callable[[], object] = lambda: None
    ) -> None:
        self.root = locate(root)
        self._before_writing = before_writing

    def commit(self, results: Sequence[TrialResult]) -> None:
        """Add rows as one part: either all of them, with their rows in companion tables, or, if killed, none.

        Of two results of one trial, the later is kept. Raises StoreError if writing fails; nothing of the
        part is then left.
        """
        latest = list({result.trial_id: result for result in results}.values())
        if not latest:
            return
        commit(self.root, to_tables(latest), self._before_writing)

    def copy_from(self, other: "Store", trial_ids: Collection[str]) -> None:
        """Copy another study's rows of these trials, as one part like any commit, and the trials' output."""
        tables = {
            table: load(other.root, table, trial_ids=trial_ids).table.select(schema.names).cast(schema)
            for table, schema in SCHEMAS.items()
        }
        if len(tables["trials"]):
            commit(self.root, tables, self._before_writing)
        for trial_id in logs.trials(other.root).intersection(trial_ids):
            logs.copy(other.root, trial_id, self.root)

    def trials(
        self, columns: Collection[str] | None = None, categories: Collection[str] = ()
    ) -> pd.DataFrame:
        """One row per trial, oldest commit first; `columns` None reads all.

        If a trial was committed more than once, a finished row takes precedence, then the latest.
        Text columns in `categories` are read as pandas categories, in alphabetical order.
        """
        return frames.read(self.root, "trials", columns, categories=categories)

    def curves(self, trial_ids: Collection[str] | None = None) -> pd.DataFrame:
        """One row per epoch of the committed trials, or only of `trial_ids`."""
        return self.companion("curves", trial_ids)

    def weights(self, trial_ids: Collection[str] | None = None) -> pd.DataFrame:
        """One row per map of combining weights of the committed trials, or only of `trial_ids`."""
        return self.companion("weights", trial_ids)

    def correct(self, trial_ids: Collection[str] | None = None) -> pd.DataFrame:
        """Which test images each trial classified correctly; `results.correct.correct_matrix` unpacks the bits."""
        return self.companion("correct", trial_ids)

    def spectra(self, trial_ids: Collection[str] | None = None) -> pd.DataFrame:
        """One row per singular value of a locally connected layer's filters."""
        return self.companion("spectra", trial_ids)

    def shifts(self, trial_ids: Collection[str] | None = None) -> pd.DataFrame:
        """One row per distance by which a trial's test images were shifted."""
        return self.companion("shifts", trial_ids)

    def equivariance(self, trial_ids: Collection[str] | None = None) -> pd.DataFrame:
        """One row per layer and distance by which its input was shifted."""
        return self.companion("equivariance", trial_ids)

    def metrics(self, trial_ids: Collection[str] | None = None) -> pd.DataFrame:
        """The values of plugins' metrics, optionally only of some trials."""
        return self.companion("metrics", trial_ids)

    def with_metrics(self, rows: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
        """Rows of trials with a column for each of these metrics that is not one yet; NaN if it has no value."""
        new = [name for name in dict.fromkeys(names) if name not in rows.columns]
        if not new:
            return rows
        return frames.with_metrics(rows, self.metrics(list(rows["trial_id"])), new)

    def companion(self, table: str, trial_ids: Collection[str] | None = None) -> pd.DataFrame:
        """The rows of a table beside `trials`, by its name: of the committed trials, or of `trial_ids` alone."""
        return frames.read(self.root, table, trial_ids=trial_ids)

    def table(self, name: str) -> pa.Table:
        """A whole table (`trials`, `curves`, ...) as Arrow, with its schema."""
        return load(self.root, name).table.select(SCHEMAS[name].names).cast(SCHEMAS[name])

    def counts(self) -> dict[str, int]:
        """Number of trials by status, in the order of TrialStatus, without unused ones."""
        found = self.trials(["status"])["status"].value_counts()
        order = [*(str(status) for status in TrialStatus), *sorted(found.index)]
        return {status: int(found[status]) for status in dict.fromkeys(order) if status in found.index}

    def unplanned(self) -> set[str]:
        """Trials with a row that are no longer in any profile's plan: settings, data or code have changed since.

        None if no plan was ever written.
        """
        plans = self.plans()
        rows = set(self.trials(["trial_id"])["trial_id"])
        return rows - set(plans["trial_id"].to_pylist()) if len(plans) else set()

    def broken_trials(self, profile: str | None = None) -> set[str]:
        """The trials of a profile's plan (None: the latest) whose row has a failed status (see BROKEN)."""
        rows = self.trials(["trial_id", "status"])
        ended = rows.loc[rows["status"].isin([str(ending) for ending in BROKEN]), "trial_id"]
        planned = self.plan(profile)
        return set(ended) if planned is None else planned.intersection(ended)

    def planned_trials(
        self,
        profile: str | None = None,
        columns: Collection[str] | None = None,
        categories: Collection[str] = (),
        stage: str = Stage.GRID,
    ) -> pd.DataFrame:
        """The rows of a profile's plan (None: the latest plan); every row if no plan was ever written.

        `columns` and `categories` are those of `trials`; `stage` is one of results.plans.Stage. A tuned training
        setting reads 'tuned': each kind is compared at its own best value.
        """
        planned = plans.of_profile(self.root, profile)
        if planned is None:
            rows = self.trials(columns, categories)
            return rows if stage == Stage.GRID else rows[:0]
        return frames.read_planned(self.root, planned, Stage(stage), columns, categories)

    def damaged(self) -> list[Damage]:
        """Files that are unreadable, altered or missing; reads continue without them."""
        return aside.damaged(self.root)

    def set_damaged_aside(self) -> list[Location]:
        """Move damaged files, and all files of damaged parts, to `damaged/`; returns their new paths.

        The trials of such a part then have no row.
        """
        return aside.move_damaged(self.root, self._before_writing)

    def set_aside(self) -> list[Location]:
        """The files that runs moved to `damaged/`."""
        return aside.moved(self.root)

    def compact(self) -> None:
        """Merge small parts into one. If killed at any moment, no row is lost or duplicated."""
        self._before_writing()
        compaction.compact(self.root)

    def checkpoints(self) -> set[str]:
        """The trials that left a checkpoint."""
        return checkpoints.trials(self.root)

    def checkpoint(self, trial_id: str) -> bytes | None:
        """A trial's last checkpoint, as it was saved; None if it is gone."""
        return checkpoints.read(self.root, trial_id)

    def save_checkpoint(self, trial_id: str, content: bytes) -> None:
        """Save a trial's checkpoint, replacing its earlier one."""
        self._before_writing()
        checkpoints.write(self.root, trial_id, content)

    def drop_checkpoint(self, trial_id: str) -> None:
        """Delete a trial's checkpoint."""
        checkpoints.path(self.root, trial_id).remove()

    def keep_model(self, trial_id: str, what: str, content: bytes) -> None:
        """Save a trained network's weights, a safetensors file, replacing an earlier one of the trial."""
        self._before_writing()
        models.write(self.root, trial_id, what, content)

    def kept_models(self, what: str) -> set[str]:
        """The trials that have kept `weights` or `best_weights`."""
        return models.kept(self.root, what)

    def model(self, trial_id: str, what: str) -> bytes | Damage | None:
        """The safetensors file written by `keep_model`; None if there is none, and what is wrong with a damaged one."""
        return models.read(self.root, trial_id, what)

    def write_environment(self, now: Environment) -> None:
        """Record the environment of this run, unless the last one had the same."""
        self._before_writing()
        environments.write(self.root, now)

    def environments(self) -> list[Environment]:
        """The environments of the runs, the oldest first; runs of earlier versions recorded none."""
        return environments.read_all(self.root)

    def add_log(self, trial_id: str, attempt: int, ending: str, text: str) -> None:
        """Append the output of an attempt of the trial, under a heading with its number and ending."""
        self._before_writing()
        logs.add(self.root, trial_id, attempt, ending, text)

    def log(self, trial_id: str) -> str:
        """The trial's output; '' if it printed nothing."""
        return logs.read(self.root, trial_id)

    def logged(self) -> set[str]:
        """The trials that printed anything."""
        return logs.trials(self.root)

    def write_plan(self, profile: str | None, planned: StagedPlan | Collection[str]) -> None:
        """Record the trials of a profile of the study, replacing its earlier plan.

        Without stages, all of them belong to the grid.
        """
        plan = planned if isinstance(planned, StagedPlan) else StagedPlan({Stage.GRID: planned})
        self._before_writing()
        plans.write(self.root, profile or DEFAULT_PROFILE, plan)

    def plan(self, profile: str | None = None, stage: Stage | None = None) -> set[str] | None:
        """The planned trials of a profile (None: the plan written last), of one stage or all; None if no plan was ever
        written.

        Raises StoreError for a profile that was never run.
        """
        planned = plans.of_profile(self.root, profile)
        return None if planned is None else set(planned.trial_ids(stage).to_pylist())

    def staged_plan(self, profile: str | None = None) -> StagedPlan | None:
        """`plan` with its stages and tuned settings."""
        planned = plans.of_profile(self.root, profile)
        return None if planned is None else planned.plan()

    def plans(self) -> pa.Table:
        """The plans of all profiles: `profile`, `trial_id`, `stage` and `tuned`."""
        return plans.joined(plans.read_all(self.root))

    def write_dataset(self, summary: DatasetSummary) -> None:
        """Record a data set's summary for figures, replacing an earlier one."""
        self._before_writing()
        datasets.write(self.root, summary)

    def datasets(self) -> dict[str, DatasetSummary]:
        """The recorded summaries of data sets, by title."""
        return datasets.read(self.root)

    def write_widths(self, found: Sequence[MeasuredWidth]) -> None:
        """Record measured widths; StoreError if one was meanwhile measured differently."""
        if found:
            self._before_writing()
            widths.write(self.root, found)

    def widths(self) -> list[MeasuredWidth]:
        """The widths measured for trials of this study."""
        return widths.read(self.root)

    def write_study(
        self,
        study: Study,
        profile: str | None = None,
        overrides: Sequence[str] = (),
        file: str | None = None,
    ) -> None:
        """Record the study as run with a profile, for claims, figures and report; passwords are masked.

        `file` is the study's file, if it has one; without it, an earlier recorded file is kept.
        """
        name = profile or DEFAULT_PROFILE
        self._before_writing()
        note.write(self.root)
        before = STUDY.read(self.root).get(name)
        file = file or (before.file if before else None)
        STUDY.write(self.root, name, StudyRecord(name, study, tuple(map(masked, overrides)), file))

    def study(self, profile: str | None = None) -> StudyRecord | None:
        """The study as run with a profile (None: the one run last); None if it was never recorded."""
        profiles = STUDY.read(self.root)
        return profiles.get(profile or next(reversed(profiles), DEFAULT_PROFILE))

    def write_importance(self, found: Sequence[Importance], profile: str | None = None) -> None:
        """Record how much a search's parameters mattered, for the figures; an empty result removes the earlier one."""
        if found or IMPORTANCE.read(self.root):
            self._before_writing()
            IMPORTANCE.write(self.root, profile or DEFAULT_PROFILE, list(found))

    def importance(self, profile: str | None = None) -> list[Importance]:
        """How much a search's parameters mattered with a profile (None: the one run last), by objective."""
        return IMPORTANCE.read(self.root).get(self._profile(profile), [])

    def write_tuning(self, found: Sequence[Tuned], profile: str | None = None) -> None:
        """Record the choices of pilots, for report and figures; an empty result removes the earlier one."""
        if found or TUNING.read(self.root):
            self._before_writing()
            TUNING.write(self.root, profile or DEFAULT_PROFILE, list(found))

    def tuning(self, profile: str | None = None) -> list[Tuned]:
        """The choices of pilots with a profile (None: the one run last), in the order of the grid."""
        return TUNING.read(self.root).get(self._profile(profile), [])

    def _profile(self, profile: str | None) -> str:
        asked = self.study(profile)
        return asked.profile if asked else DEFAULT_PROFILE
