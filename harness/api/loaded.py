"""A study's results in Python: its tables as pandas frames, figures, verdicts and status, read on demand."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from lrlc.harness.api.status import StudyStatus, status_of
from lrlc.harness.api.trial_ids import full_id
from lrlc.harness.errors import UserError
from lrlc.harness.named_store import existing_store, load_plugins
from lrlc.results.claims import Finding, Judged, judge
from lrlc.results.plans import Stage
from lrlc.results.schema import COMPANIONS, TrialStatus
from lrlc.results.store import Store
from lrlc.studies.errors import nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

FINDING_COLUMNS = (
    "claim", "where", "comparison", "verdict", "effect", "low", "high", "unit", "seeds", "p", "note",
)  # fmt: skip


def load(study: str | Path, *, results: str | Path = "runs", profile: str | None = None) -> "StudyResults":
    """The results of a study, named as for `lrlc plot`: by its file, its name, or the name of its folder of tables.

    `results` is the location of the tables: a folder, `file://...` or `s3://bucket/prefix`. `profile` None is the one
    run last. If the study is named by its file, its plugins add their figures. Raises UserError or StudyError if there
    are no results, StoreError for a profile that was never run.
    """
    study = str(study)
    found = StudyResults(existing_store(study, str(results)), profile)
    found.store.staged_plan(profile)  # refuse an unknown profile here, not at the first table
    load_plugins(study, found.store, profile)
    return found


@dataclass(frozen=True)
class StudyResults:
    """A study's tables. Each access reads them again, so it shows the progress of a run.

    Nullable integer columns, such as `rank`, are read as float64, with null as NaN.
    """

    store: Store
    profile: str | None = None

    @property
    def name(self) -> str:
        return self.store.root.name

    @property
    def trials(self) -> pd.DataFrame:
        """One row per finished trial of the grid or search, with the columns of docs/schema.md."""
        rows = self.every
        asked_for = (rows["stage"] == Stage.GRID) & (rows["status"] == TrialStatus.FINISHED)
        return rows[asked_for].drop(columns="stage").reset_index(drop=True)

    @property
    def unfinished(self) -> pd.DataFrame:
        """Planned trials that ended without finishing: pruned, diverged, failed, timed_out, out_of_memory."""
        rows = self.every
        return rows[rows["stage"].notna() & (rows["status"] != TrialStatus.FINISHED)].reset_index(drop=True)

    @property
    def stale(self) -> pd.DataFrame:
        """Trials that are no longer in any plan: the study's settings, its data or the code have changed."""
        rows = self.store.trials()
        return rows[rows["trial_id"].isin(self.store.unplanned())].reset_index(drop=True)

    @property
    def every(self) -> pd.DataFrame:
        """Every row, with its stage in the profile's plan as `stage`: grid, tune, length, or null if not planned."""
        rows, plan = self.store.trials(), self.store.staged_plan(self.profile)
        if plan is None:
            return rows.assign(stage=str(Stage.GRID))
        # If a trial is in two stages, the grid counts.
        of_trial = {each: str(stage) for stage in reversed(Stage) for each in plan.of_stage(stage)}
        return rows.assign(stage=rows["trial_id"].map(of_trial))

    @property
    def curves(self) -> pd.DataFrame:
        """One row per epoch of the finished trials."""
        return self.table("curves")

    @property
    def weights(self) -> pd.DataFrame:
        """One row per map of combining weights of the finished trials."""
        return self.table("weights")

    def table(self, name: str) -> pd.DataFrame:
        """A table beside `trials` (`curves`, `weights`, `correct`, `shifts`, ...) with the rows of finished trials."""
        if name not in COMPANIONS:
            raise UserError(f"no table {name!r}; {nearest(name, COMPANIONS)}")
        return self.store.companion(name, set(self.trials["trial_id"]))

    def plot(self, figure: str, *, cells: Sequence[str] = (), width: str | float | None = None) -> "Figure":
        """A figure of docs/gallery.md or of the study's plugins, by name, as matplotlib's Figure.

        `cells` are patterns such as "LRLC*" or "kind=lrlc,rank=4" (none: all), `width` is "column", "text" or inches.
        UserError if the rows do not allow it, StoreError for a wrong pattern or width.
        """
        from lrlc.results.figures import (
            NothingToDraw,
            Selection,
            figure_names,
            figure_of,
            width_inches,
            with_cells,
        )

        if figure not in figure_names():
            raise UserError(f"no figure {figure!r}; {nearest(figure, figure_names())}")
        inches = width_inches(None if width is None else str(width), "width")
        try:
            return figure_of(figure, with_cells(Selection.of(self.store, self.profile), cells), inches)
        except NothingToDraw as reason:
            raise UserError(f"{figure}: not drawn, {reason}") from None

    def model(self, trial_id: str, *, best: bool = False) -> "nn.Module":
        """The trained network of a trial whose study keeps weights, on the CPU and for evaluation.

        It has the weights after the last epoch, or (`best`) after the one with the best validation accuracy. `trial_id`
        may be a unique beginning of the id. UserError if it matches no trial or several, or if no weights were kept.
        """
        from lrlc.harness.run.kept_models import kept_model

        found = full_id(trial_id, self.store.trials(["trial_id"])["trial_id"], f"study {self.name}")
        model, _ = kept_model(self.store, found, "best_weights" if best else "weights")
        return model

    def claims(self) -> pd.DataFrame:
        """One row per test of a claim, with its verdict and the effect with its 95% interval; empty without claims.

        `lrlc.results.claims.judge` gives the same with all evidence.
        """
        judged = judge(self.store, self.profile)
        rows = [_finding(claim, finding) for claim in judged for finding in claim.findings]
        return pd.DataFrame(rows, columns=list(FINDING_COLUMNS))

    def status(self) -> StudyStatus:
        """The information in `lrlc status`, on this profile's plan."""
        return status_of(self.store, self.profile)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.store.counts().items())
        return f"<study {self.name}: {counts or 'no rows'}; tables in {self.store.root}>"


def _finding(claim: Judged, finding: Finding) -> tuple[object, ...]:
    effect = finding.effect
    interval = (effect.mean, effect.low, effect.high) if effect else (None, None, None)
    told = (claim.name, finding.where, finding.comparison, str(finding.verdict))
    return (*told, *interval, finding.unit, finding.seeds, finding.p, finding.note)
