"""The search: Optuna suggests, we train, rows decide.

The rows are the truth and Optuna's storage is a view of them, with one Optuna study for each space and settings. A
suggestion goes back to Optuna once all its seeds have ended; one that was made before is answered from its rows.
"""

import time
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from optuna.trial import TrialState

from lrlc.harness.plan.catalogue import OpenedStudy
from lrlc.harness.plan.planning import Planner
from lrlc.harness.search.asking import keys_waiting, suggest
from lrlc.harness.search.importance import importances
from lrlc.harness.search.journal import journal_folder
from lrlc.harness.search.notices import say_nothing_is_left, say_notices, say_repeats
from lrlc.harness.search.optuna_setup import open_optuna
from lrlc.harness.search.outcome import outcome
from lrlc.harness.search.resume import resume
from lrlc.harness.search.row import COLUMNS, Row, accuracies, stored_rows
from lrlc.harness.search.space import SearchSpace
from lrlc.harness.search.suggestion import Suggestion, final_accuracies, key_of, mean_curve
from lrlc.harness.search.told import ANSWERED
from lrlc.harness.trial import Trial
from lrlc.results.importance import Importance
from lrlc.results.plans import Stage, StagedPlan
from lrlc.results.schema import EpochRecord, TrialResult, TrialStatus
from lrlc.results.store import DEFAULT_PROFILE, Store

PLAN_SHARE = 0.02
"""Upper bound on the share of time that goes into rewriting the plan, which grows with the search."""


class SearchSource:
    """The search of a study as a source of trials for the driver; several seeds count as one suggestion."""

    def __init__(
        self,
        opened: OpenedStudy,
        planner: Planner,
        store: Store,
        profile: str | None,
        retry: Collection[TrialStatus] = (),
    ) -> None:
        self._space = SearchSpace(opened, planner)
        self._search, self._epochs = self._space.search, opened.study.train.epochs
        self._store, self._profile = store, profile
        trials = store.with_metrics(store.trials(columns=COLUMNS), self._search.metrics)
        rows = stored_rows(trials, self._search.metrics)
        self._rows = {trial_id: row for trial_id, row in rows.items() if row.status not in retry}
        self._waiting: list[Suggestion] = []
        self._queue: deque[Trial] = deque()
        self._claimed: set[str] = set()
        name = f"{opened.study.name}-{self._space.digest()}"
        self._optuna = open_optuna(name, self._search, self._epochs, journal_folder(store.root))
        say_notices(self._space)
        resumed = resume(self._optuna, self._space, store, self._rows, rows.keys() - self._rows.keys())
        self._queue.extend(resumed.uncommitted.values())
        self._claimed |= resumed.uncommitted.keys()
        self._uncommitted = len(resumed.uncommitted)
        self._repeats = 0  # suggestions of this run that train nothing
        self._done, self._told = len(resumed.told), {key_of(trial.params) for trial in resumed.told}
        self._made = set(self._told)
        answered = [trial_id for trial in resumed.told for trial_id in trial.user_attrs[ANSWERED]]
        self._plan = store.staged_plan(profile or DEFAULT_PROFILE) or StagedPlan({})
        planned = self._plan.stages.get(Stage.GRID, ())
        self._planned = dict.fromkeys([*planned, *answered])
        self._plan_size, self._plan_due = len(planned), 0.0
        for suggested in resumed.told:
            if suggested.state == TrialState.PRUNED:
                self._unplan(self._space.trials(suggested.params, suggested.number))
        self._write_plan()
        if resumed.is_new and self._told and self._is_answered:
            say_nothing_is_left(self.done)

    @property
    def total(self) -> int:
        """Suggestions that the study asks for over all its runs, or those already made if there are more."""
        return max(self._space.total, self.done)

    @property
    def done(self) -> int:
        """Suggestions whose outcome Optuna knows, for this space and settings; with brute force, distinct ones."""
        return len(self._told) if self._is_exhaustive else self._done

    @property
    def total_trials(self) -> int:
        """The trials of `total` suggestions, one per seed."""
        return self.total * len(self._search.seeds)

    @property
    def trials_done(self) -> int:
        """The trials of `done` suggestions, without those retrained because a dead driver had not committed them."""
        return self.done * len(self._search.seeds) - self._uncommitted

    def next_trial(self) -> Trial | None:
        while not self._queue and self.done + len(self._waiting) < self._space.total:
            if self._is_exhausted():
                break
            self._ask()
        if self._queue:
            return self._queue.popleft()
        if not self._waiting:
            self._write_plan(at_once=True)
            say_repeats(self._repeats)
            self._repeats = 0
        return None

    def report(self, trial: Trial, record: EpochRecord) -> Sequence[Trial]:
        """Prune on the seeds' mean validation accuracy, as soon as every seed has reached the epoch."""
        if self._search.pruner in ("none", "wilcoxon"):
            return ()
        stopped: list[Trial] = []
        for suggestion in self._asking_for(trial.id):
            if suggestion.pruned:
                continue
            curve = suggestion.curves.setdefault(trial.id, [])
            curve[record.epoch - 1 :] = [
                record.validation_accuracy
            ]  # a trial whose worker was lost starts again
            if len(suggestion.curves) == len(suggestion.trials):
                means = mean_curve(suggestion.curves.values())
                suggestion.report({epoch: means[epoch] for epoch in means if epoch == record.epoch})
                # Pruning at the last epoch would save nothing, but lose the test.
                if record.epoch < self._epochs and record.epoch in means and suggestion.asked.should_prune():
                    stopped += self._prune(suggestion)
        return stopped

    def tell(self, result: TrialResult) -> Sequence[Trial]:
        """Record the end of a trial and report every suggestion that it completes to Optuna."""
        row = Row.of_result(result)
        self._rows[result.trial_id] = row
        self._claimed.discard(result.trial_id)
        stopped: list[Trial] = []
        for suggestion in self._asking_for(result.trial_id):
            suggestion.rows[result.trial_id] = row
            stopped += self._prune_if_seeds_lose(suggestion)
            self._tell_if_complete(suggestion)
        return stopped

    def importance(self) -> list[Importance]:
        """How much each parameter mattered to each objective, over all suggestions with an outcome."""
        return importances(self._optuna, self._search)

    def _prune(self, suggestion: Suggestion) -> list[Trial]:
        """Drop the suggestion's queued trials and return its running ones, except those that another one needs."""
        suggestion.pruned = True
        alone = [trial for trial in suggestion.missing if len(self._asking_for(trial.id)) == 1]
        queued = [trial for trial in alone if trial in self._queue]
        for trial in queued:
            self._queue.remove(trial)
            self._claimed.discard(trial.id)
        return [trial for trial in alone if trial not in queued]

    def _unplan(self, trials: Iterable[Trial]) -> None:
        """Drop those of a pruned suggestion's trials from the plan that have no row and that no other one needs."""
        for trial in trials:
            if trial.id not in self._rows and not self._asking_for(trial.id) and trial.id in self._planned:
                del self._planned[trial.id]
                self._plan_size = -1  # as many new ones do not make the written plan right

    def _asking_for(self, trial_id: str) -> list[Suggestion]:
        return [s for s in self._waiting if any(trial.id == trial_id for trial in s.missing)]

    def _ask(self) -> None:
        asked = self._optuna.ask()
        params = suggest(asked, self._space)
        while self._is_exhaustive and key_of(params) in self._made:
            self._optuna.tell(asked, state=TrialState.FAIL)
            self._enqueue_unmade()
            asked = self._optuna.ask()
            params = suggest(asked, self._space)
        trials = self._space.trials(params, asked.number)
        known = {trial.id: self._rows[trial.id] for trial in trials if trial.id in self._rows}
        suggestion = Suggestion(asked, trials, known)
        self._made.add(key_of(params))
        self._waiting.append(suggestion)
        self._planned |= dict.fromkeys(trial.id for trial in trials)
        self._write_plan()
        if known and suggestion.missing and self._search.pruner != "none":
            suggestion.curves |= accuracies(known, self._store)
            self._prune_if_seeds_lose(suggestion)
        if not suggestion.pruned:
            new = [trial for trial in suggestion.missing if trial.id not in self._claimed]
            self._claimed |= {trial.id for trial in new}
            self._queue.extend(new)
            self._repeats += not new
        self._tell_if_complete(suggestion)

    def _tell_if_complete(self, suggestion: Suggestion) -> None:
        if suggestion.pruned:
            if any(trial.id in self._claimed for trial in suggestion.missing):
                return
        elif suggestion.missing:
            return
        ended = outcome(list(suggestion.rows.values()), self._search, pruned=suggestion.pruned)
        for name, over in ended.violations.items():
            suggestion.asked.set_constraint(name, over)
        suggestion.asked.set_user_attr(ANSWERED, sorted(suggestion.rows))
        self._optuna.tell(suggestion.asked, ended.values, state=ended.state)
        self._waiting.remove(suggestion)
        if suggestion.pruned:
            self._unplan(suggestion.missing)
        self._told.add(key_of(suggestion.asked.params))
        self._done += 1

    def _prune_if_seeds_lose(self, suggestion: Suggestion) -> list[Trial]:
        """Wilcoxon compares suggestions seed by seed, so each seed is a step with its final accuracy as the value."""
        if self._search.pruner != "wilcoxon" or suggestion.pruned:
            return []
        suggestion.report(final_accuracies(suggestion.trials, suggestion.rows))
        lost = suggestion.reported and suggestion.asked.should_prune()
        return self._prune(suggestion) if lost else []

    @property
    def _is_exhaustive(self) -> bool:
        """Whether each suggestion is made only once."""
        return self._search.sampler == "brute_force"

    @property
    def _is_answered(self) -> bool:
        """Whether rows answer all requested suggestions although the space has more."""
        size = self._space.size
        return self.done >= self._space.total and (size is None or len(self._made) < size)

    def _is_exhausted(self) -> bool:
        """Whether brute force has made all suggestions, some of which may still be training."""
        return self._is_exhaustive and len(self._made) >= (self._space.size or 0)

    def _enqueue_unmade(self) -> None:
        """Enqueue a suggestion that Optuna believes was made, although a driver died or the journal's end was lost."""
        waiting = keys_waiting(self._optuna)
        for params in self._space.suggestions():
            if key_of(params) not in self._made:
                if key_of(params) not in waiting:
                    self._optuna.enqueue_trial(params)
                return

    def _write_plan(self, *, at_once: bool = False) -> None:
        started = time.monotonic()
        if len(self._planned) != self._plan_size and (at_once or started >= self._plan_due):
            stages = {**self._plan.stages, Stage.GRID: self._planned}
            self._store.write_plan(self._profile, replace(self._plan, stages=stages))
            self._plan_size = len(self._planned)
            ended = time.monotonic()
            self._plan_due = ended + (ended - started) / PLAN_SHARE
