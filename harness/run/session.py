"""A study that is ready to run: its plan, its table, and the run itself."""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lrlc.harness.measuring.lacking import lacking
from lrlc.harness.plan.catalogue import OpenedStudy
from lrlc.harness.plan.planning import Plan, Planner, all_pilots
from lrlc.harness.plan.widths import Widths
from lrlc.harness.run.data_summaries import note_baselines, note_datasets
from lrlc.harness.run.driver import Driver, GridSource, MayStop, TrialSource
from lrlc.harness.run.environment import environment
from lrlc.harness.run.executor import Executor
from lrlc.harness.run.fate import Fate
from lrlc.harness.run.kept_models import KeptModels, check_installed, kept_lacking
from lrlc.harness.run.lease import Lease, LeaseWatch, refuse_if_taken
from lrlc.harness.run.tuning import choices
from lrlc.harness.text import counted, say
from lrlc.harness.training.worker import thread_count
from lrlc.harness.trial import Trial
from lrlc.results.plans import Stage, StagedPlan
from lrlc.results.schema import TrialStatus
from lrlc.results.store import Store
from lrlc.results.tuning import Tuned
from lrlc.studies import DatasetSpec, Search, Study, limited, masked_settings

if TYPE_CHECKING:
    from lrlc.harness.search.source import SearchSource

Watcher = Callable[[int, int], AbstractContextManager[Callable[[Fate], None]]]
"""Called with the number of trials and of those with a row; yields a function that receives the fate of each trial."""


def unwatched(total: int, done: int) -> AbstractContextManager[Callable[[Fate], None]]:
    """A watcher that shows nothing."""
    return nullcontext(lambda fate: None)


@dataclass(frozen=True)
class RunSession:
    """A study that is ready to run: its plan and its table. Nothing is written before `run`.

    For a study that tunes, a session first covers only the pilots; `tuned` then gives the session of the grid.
    """

    opened: OpenedStudy
    planner: Planner
    plan: Plan
    store: Store
    data_dir: Path | None
    retry: Collection[TrialStatus]
    staged: StagedPlan
    """The trials by stage, which are written as the profile's plan."""
    choices: tuple[Tuned, ...] = ()
    """The pilots' choices for the grid."""

    @property
    def study(self) -> Study:
        return self.opened.study

    @property
    def profile(self) -> str | None:
        return self.opened.profile

    @property
    def is_of_pilots(self) -> bool:
        return self.staged.is_of_pilots

    @property
    def search(self) -> Search | None:
        """The search of this session; None while it runs pilots."""
        return None if self.is_of_pilots else self.study.search

    @property
    def trials_left(self) -> int:
        """Upper bound on the trials to train: the plan's missing ones, and those of suggestions that no rows answer."""
        return len(self.plan.missing) + (self._searches_left() if self.search else 0)

    def _searches_left(self) -> int:
        from lrlc.harness.search.row import COLUMNS, stored_rows
        from lrlc.harness.search.space import SearchSpace

        space, rows = SearchSpace(self.opened, self.planner), stored_rows(self.store.trials(columns=COLUMNS))
        settled = {trial_id: row for trial_id, row in rows.items() if row.status not in self.retry}
        answered = sum(answer.is_whole for answer in space.answers(settled))
        return max(0, space.total - answered) * len(space.search.seeds)

    def headline(self) -> str:
        search = f" and a search of {counted(self.search.trials, 'suggestion')}" if self.search else ""
        what = counted(len(self.plan.trials), "pilot" if self.is_of_pilots else "trial")
        done = f"{self.plan.done} of {what} done"
        return f"{self.study.name}: {done}{search}; tables in {self.store.root}"

    def tuned(self) -> "RunSession":
        """The session of the grid with the settings chosen by the pilots, which must have run."""
        chosen, found = choices(self.planner.pilots(), self.store)
        planner = self.planner.with_chosen(chosen)
        return replace(self, planner=planner, choices=tuple(found)).of_grid(planner.grid())

    def of_grid(self, grid: Sequence[Trial]) -> "RunSession":
        """This session with these trials of the grid, and the shorter ones of the length check."""
        shorter = self.planner.length_check(grid)
        pilots = self.staged.stages.get(Stage.TUNE, ())
        stages = {Stage.TUNE: pilots, Stage.GRID: _ids(grid), Stage.LENGTH: _ids(shorter)}
        tuned = {**_tuned_settings(self.study, shorter), **_tuned_settings(self.study, grid)}
        plan = Plan.of((*grid, *shorter), self.store, retry=self.retry)
        return replace(self, plan=plan, staged=StagedPlan(stages, tuned))

    def run(self, executor: Executor, watcher: Watcher = unwatched, may_stop: MayStop = nullcontext) -> None:
        """Train what is missing and merge the parts at the end; `may_stop` surrounds each of the driver's waits.

        Raises StoreError while another driver runs the study.
        """
        with Lease(self.store.root) as lease:
            store = Store(self.store.root, before_writing=lease.check)
            models = KeptModels(store, self.study.keep_gb)
            plan = self._plan_again(store, models)
            self._note(store, plan)
            # Sorted by GPU share, the largest first, as a change of share restarts all workers with their data.
            grid = GridSource(sorted(plan.missing, key=executor.share, reverse=True))
            search = self._search_source(store)
            sources: list[TrialSource] = [LeaseWatch(lease), grid, *([search] if search else [])]
            with watcher(*_progress(plan, search)) as on_fate:
                Driver(sources, executor, store, self.study.resources, on_fate, models, may_stop).run()
            self._finish(store, plan, search)

    def _plan_again(self, store: Store, models: KeptModels) -> Plan:
        """Plan against the current table, as another driver may have ended in the meantime."""
        _set_damaged_aside(store)
        plan = Plan.of(self.plan.trials, store, retry=self.retry)
        for lent in plan.lent:
            store.copy_from(lent.store, lent.trial_ids)
            models.take_from(lent.store, lent.trial_ids, self.study.keep)
            trials = counted(len(lent.trial_ids), "trial")
            say(f"{trials} taken from {lent.store.root}, trained there already")
        return plan

    def _note(self, store: Store, plan: Plan) -> None:
        """Write what claims, figures and report need besides the rows."""
        measured = () if self.is_of_pilots else plan.trials
        anew = f"`lrlc run {self.opened.file or self.study.name} --results NEW_FOLDER` retrains them with it"
        for key, count in lacking(store, measured, self.study.measured).items():
            why = "trained before the study asked for it" + (
                ", or a metric failed" if key == "metrics" else ""
            )
            say(f"{counted(count, 'finished trial')} without measure.{key}: {why}; {anew}")
        for line in kept_lacking(store, measured, self.study.keep):
            say(
                f"{line}: trained before the study asked for it, here or for the study they were copied from; {anew}"
            )
        store.write_study(self.study, self.profile, self.opened.overrides, self.opened.file)
        store.write_environment(environment())
        store.write_plan(self.profile, self.staged)
        store.write_tuning(self.choices, self.profile)
        store.write_widths(list(self.planner.widths.used.values()))
        note_datasets(store, self._datasets(plan), self.data_dir, min(self.study.seeds))

    def _datasets(self, plan: Plan) -> list[DatasetSpec]:
        searched = [limited(self.search.dataset, self.study)] if self.search is not None else []
        return list(dict.fromkeys([trial.config.dataset for trial in plan.trials] + searched))

    def _finish(self, store: Store, plan: Plan, search: "SearchSource | None") -> None:
        """Write what needs all rows, and merge the parts."""
        if search is not None:
            store.write_importance(search.importance(), self.profile)
        store.compact()
        if not self.is_of_pilots:
            # Last, as the rows are safe by now and no worker has to wait for it.
            note_baselines(store, self._datasets(plan), self.data_dir, min(self.study.seeds))

    def _search_source(self, store: Store) -> "SearchSource | None":
        if self.search is None:
            return None
        from lrlc.harness.search.source import SearchSource

        return SearchSource(self.opened, self.planner, store, self.profile, self.retry)


def open_run(
    opened: OpenedStudy, store: Store, data: Path | None, *, retry: Collection[TrialStatus] = ()
) -> RunSession:
    """Decode the study's data and plan its trials for `store`, or only its pilots if it tunes.

    Trials that ended with a status in `retry` are trained again. Raises StoreError while another driver runs the study.
    """
    study = opened.study
    check_search(study)
    check_installed(study)
    refuse_if_taken(store.root)  # before Ray starts; the run itself makes sure
    _check_storage(study)
    if study.tune is not None and store.damaged():  # lost pilots run again before they choose for the grid
        with Lease(store.root) as lease:
            _set_damaged_aside(Store(store.root, before_writing=lease.check))
    planner = Planner(opened, data, widths=Widths.of(store, threads=thread_count(study.resources.cpus)))
    pilots = all_pilots(planner.pilots())
    if study.search is not None:
        _check_suggestion(opened, planner)
    plan = Plan.of(pilots, store, retry=retry)
    staged = StagedPlan({Stage.TUNE: _ids(pilots)})
    session = RunSession(opened, planner, plan, store, data, retry, staged)
    return session if pilots else session.of_grid(planner.grid())


def _set_damaged_aside(store: Store) -> None:
    for path in store.set_damaged_aside():
        say(f"damaged, moved to {path}; trials without a row are trained again")


def _progress(plan: Plan, search: "SearchSource | None") -> tuple[int, int]:
    """The total number of trials, and the number with a row."""
    total, done = len(plan.trials), plan.done
    return (total + search.total_trials, done + search.trials_done) if search else (total, done)


def check_search(study: Study) -> None:
    """Raise UserError for a wrong option of the sampler or pruner before anything starts."""
    if study.search is not None:
        from lrlc.harness.search.optuna_setup import check_options

        check_options(study.search, study.train.epochs)


def _check_suggestion(opened: OpenedStudy, planner: Planner) -> None:
    """Raise StudyError for images that do not fit the search, which makes suggestions only once the run has begun."""
    from lrlc.harness.search.space import SearchSpace

    space = SearchSpace(opened, planner)
    space.trials(next(space.representatives()))


def _check_storage(study: Study) -> None:
    if study.search is not None:
        from lrlc.harness.search.optuna_setup import check_storage

        check_storage(study.search)


def _ids(trials: Iterable[Trial]) -> list[str]:
    return [trial.id for trial in trials]


def _tuned_settings(study: Study, trials: Sequence[Trial]) -> dict[str, tuple[str, ...]]:
    """The columns of tuned settings, which do not distinguish panels, by trial id; leaves out trials without any."""
    masked = masked_settings(study.tune, [trial.config for trial in trials]) if study.tune else {}
    return {trial.id: names for trial in trials if (names := masked.get(trial.config))}
