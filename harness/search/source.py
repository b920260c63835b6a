"""The search: Optuna suggests, we train, rows decide.

The rows are the truth and Optuna's storage is a view of them, with one Optuna study for each space and settings. A
suggestion is told once all its seeds have ended; one that was made before is answered from its rows. Trials that a dead
driver left RUNNING are failed and enqueued again; those that it told without committing their rows are trained again;
suggestions that rows answer but Optuna does not know (after a lost journal, or in a wider space) are added.
"""

import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from lrlc.harness.plan.catalogue import OpenedStudy
from lrlc.harness.plan.planning import Planner
from lrlc.harness.search.importance import importances
from lrlc.harness.search.journal import journal_folder
from lrlc.harness.search.optuna_setup import (
    BLIND_TO_CONDITIONS,
    BLIND_TO_CONSTRAINTS,
    make_sampler,
    open_optuna,
)
from lrlc.harness.search.outcome import outcome
from lrlc.harness.search.row import COLUMNS, Row, stored_rows
from lrlc.harness.search.space import Answer, Axis, Params, SearchSpace, Whole
from lrlc.harness.search.suggestion import Key, Suggestion, key_of, mean_curve
from lrlc.harness.search.told import ANSWERED, standing
from lrlc.harness.text import counted, say
from lrlc.harness.trial import Trial
from lrlc.results.importance import Importance
from lrlc.results.plans import Stage, StagedPlan
from lrlc.results.schema import EpochRecord, TrialResult, TrialStatus
from lrlc.results.store import DEFAULT_PROFILE, Store
from lrlc.studies import Interval

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
        self._say_notices()
        self._free_abandoned()
        told = standing(self._optuna.get_trials(deepcopy=False))
        told = self._without_those_to_retry(told, rows.keys() - self._rows.keys())
        self._uncommitted = self._queue_uncommitted(told)
        is_new = not told
        if added := self._add_from_rows(told):  # and the sampler must not draw them again
            told += added
            self._optuna.sampler = make_sampler(self._search, len(self._optuna.get_trials(deepcopy=False)))
        self._done, self._told = len(told), {key_of(trial.params) for trial in told}
        self._made = set(self._told)
        answered = {trial_id for trial in told for trial_id in trial.user_attrs[ANSWERED]}
        self._plan = store.staged_plan(profile or DEFAULT_PROFILE) or StagedPlan({})
        planned = self._plan.of_stage(Stage.GRID)
        self._planned, self._plan_size, self._plan_due = planned | answered, len(planned), 0.0
        self._write_plan()
        if is_new:
            self._say_if_nothing_is_left()

    @property
    def total(self) -> int:
        """Suggestions that the study asks for over all its runs, or those already made if there are more."""
        return max(self._space.total, self.done)

    @property
    def done(self) -> int:
        """Suggestions that Optuna has been told, of the present space and settings; by brute force different ones."""
        return len(self._told) if self._is_exhaustive else self._done

    @property
    def total_trials(self) -> int:
        """The trials of `total` suggestions, one a seed."""
        return self.total * len(self._search.seeds)

    @property
    def trials_done(self) -> int:
        """Their trials, without those that are trained again because a dead driver had not committed their rows."""
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
            curve[record.epoch - 1 :] = [record.validation_accuracy]  # a lost worker's run starts anew
            if len(suggestion.curves) == len(suggestion.trials):
                means = mean_curve(suggestion.curves.values())
                suggestion.report({epoch: means[epoch] for epoch in means if epoch == record.epoch})
                # At the last epoch nothing is saved, and the test would be lost.
                if record.epoch < self._epochs and record.epoch in means and suggestion.asked.should_prune():
                    stopped += self._prune(suggestion)
        return stopped

    def tell(self, result: TrialResult) -> Sequence[Trial]:
        """Note a trial's end and tell Optuna of every suggestion that it completes."""
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
        """How much each parameter mattered to each objective, over what Optuna has been told."""
        return importances(self._optuna, self._search)

    def _prune(self, suggestion: Suggestion) -> list[Trial]:
        """Drop the suggestion's queued trials and return its running ones; those another waits for stay."""
        suggestion.pruned = True
        alone = [trial for trial in suggestion.missing if len(self._asking_for(trial.id)) == 1]
        queued = [trial for trial in alone if trial in self._queue]
        for trial in queued:
            self._queue.remove(trial)
            self._claimed.discard(trial.id)
        return [trial for trial in alone if trial not in queued]

    def _asking_for(self, trial_id: str) -> list[Suggestion]:
        return [s for s in self._waiting if any(trial.id == trial_id for trial in s.missing)]

    def _ask(self) -> None:
        asked = self._optuna.ask()
        params = self._suggest(asked)
        while self._is_exhaustive and key_of(params) in self._made:
            self._optuna.tell(asked, state=TrialState.FAIL)
            self._enqueue_unmade()
            asked = self._optuna.ask()
            params = self._suggest(asked)
        trials = self._space.trials(params, asked.number)
        known = {trial.id: self._rows[trial.id] for trial in trials if trial.id in self._rows}
        suggestion = Suggestion(asked, trials, known)
        self._made.add(key_of(params))
        self._waiting.append(suggestion)
        self._planned |= {trial.id for trial in trials}
        self._write_plan()
        if known and suggestion.missing and self._search.pruner != "none":
            suggestion.curves |= self._accuracies(known)
            self._prune_if_seeds_lose(suggestion)
        if not suggestion.pruned:
            new = [trial for trial in suggestion.missing if trial.id not in self._claimed]
            self._claimed |= {trial.id for trial in new}
            self._queue.extend(new)
        self._tell_if_complete(suggestion)

    def _suggest(self, asked: optuna.Trial) -> Params:
        """Ask for the kind first, which decides what else is asked."""
        params: Params = {"kind": _suggested(asked, "kind", self._space.axes["kind"])}
        for name in self._space.asked(params):
            params[name] = _suggested(asked, name, self._space.axes[name])
        return params

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
        self._told.add(key_of(suggestion.asked.params))
        self._done += 1

    def _prune_if_seeds_lose(self, suggestion: Suggestion) -> list[Trial]:
        """Wilcoxon compares suggestions seed by seed: a seed's final accuracy is its step's value."""
        if self._search.pruner != "wilcoxon" or suggestion.pruned:
            return []
        suggestion.report(_finals(suggestion.trials, suggestion.rows))
        lost = suggestion.reported and suggestion.asked.should_prune()
        return self._prune(suggestion) if lost else []

    @property
    def _is_exhaustive(self) -> bool:
        """Whether each suggestion is to be made once."""
        return self._search.sampler == "brute_force"

    def _is_exhausted(self) -> bool:
        """Brute force has suggested all there is, though some may still be training."""
        return self._is_exhaustive and len(self._made) >= (self._space.size or 0)

    def _enqueue_unmade(self) -> None:
        """Enqueue a suggestion that Optuna believes was made, though a driver died or a journal lost its end before."""
        waiting = self._keys_waiting()
        for params in self._space.suggestions():
            if key_of(params) not in self._made:
                if key_of(params) not in waiting:
                    self._optuna.enqueue_trial(params)
                return

    def _keys_waiting(self) -> set[Key]:
        """The suggestions that were asked for and have not been made yet."""
        waiting = self._optuna.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return {key_of(trial.system_attrs.get("fixed_params", {})) for trial in waiting}

    def _write_plan(self, *, at_once: bool = False) -> None:
        started = time.monotonic()
        if len(self._planned) > self._plan_size and (at_once or started >= self._plan_due):
            stages = {**self._plan.stages, Stage.GRID: self._planned}
            self._store.write_plan(self._profile, StagedPlan(stages, self._plan.tuned))
            self._plan_size = len(self._planned)
            ended = time.monotonic()
            self._plan_due = ended + (ended - started) / PLAN_SHARE

    def _free_abandoned(self) -> None:
        """Fail the trials that a dead driver left RUNNING, and enqueue them again with the same values.

        Values that were not yet suggested are drawn now: brute force cannot place a trial that ended half asked.
        """
        for left in self._optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            params = self._suggest(optuna.trial.Trial(self._optuna, left._trial_id))
            self._optuna.tell(left.number, state=TrialState.FAIL)
            self._optuna.enqueue_trial(params)

    def _without_those_to_retry(self, told: Sequence[FrozenTrial], lost: Set[str]) -> list[FrozenTrial]:
        """The suggestions without those that failed with a row that no longer counts: they are asked for again."""
        again = [trial for trial in told if not lost.isdisjoint(trial.user_attrs[ANSWERED])]
        waiting = self._keys_waiting()
        for trial in again:
            if key_of(trial.params) not in waiting:
                self._optuna.enqueue_trial(trial.params)
        return [trial for trial in told if trial not in again]

    def _queue_uncommitted(self, told: Iterable[FrozenTrial]) -> int:
        """Train again the trials that a driver told Optuna of but died before committing; they are not told twice.

        Returns how many trials that are.
        """
        lost: dict[str, Trial] = {}
        for trial in told:
            missing = {trial_id for trial_id in trial.user_attrs[ANSWERED] if trial_id not in self._rows}
            if missing:
                of_suggestion = self._space.trials(trial.params, trial.number)
                lost |= {one.id: one for one in of_suggestion if one.id in missing}
        self._queue.extend(lost.values())
        self._claimed |= lost.keys()
        return len(lost)

    def _add_from_rows(self, told: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Add the suggestions that rows answer and Optuna does not know; ask for those they answer in part."""
        known = {trial_id for trial in told for trial_id in trial.user_attrs[ANSWERED]}
        answers = list(self._space.answers(self._rows, known))
        whole = [answer for answer in answers if answer.is_whole]
        steps = self._steps(whole)
        added = [
            self._as_told(answer, values, len(told) + number)
            for number, (answer, values) in enumerate(zip(whole, steps, strict=True))
        ]
        self._optuna.add_trials(added)
        asked = self._keys_waiting()
        for answer in answers:
            if not answer.is_whole and key_of(answer.params) not in asked:
                self._optuna.enqueue_trial(answer.params)
        return added

    def _as_told(self, answer: Answer, steps: Mapping[int, float], number: int) -> FrozenTrial:
        ended = outcome(list(answer.rows.values()), self._search)
        distributions = {name: _distribution(self._space.axes[name]) for name in answer.params}
        return create_trial(
            params=answer.params,
            distributions=distributions,
            state=ended.state,
            values=ended.values,
            constraints=dict(ended.violations),
            intermediate_values=dict(steps),
            user_attrs={ANSWERED: sorted(answer.rows)},
            system_attrs=_generation(self._optuna.sampler, number),
        )

    def _steps(self, answers: Sequence[Answer]) -> list[dict[int, float]]:
        """What each suggestion would have reported to the pruner."""
        if self._search.pruner == "none":
            return [{} for _ in answers]
        if self._search.pruner == "wilcoxon":
            return [_finals(answer.trials, answer.rows) for answer in answers]
        curves = self._accuracies({key: row for answer in answers for key, row in answer.rows.items()})
        return [mean_curve([curves.get(key, []) for key in answer.rows]) for answer in answers]

    def _accuracies(self, rows: Mapping[str, Row]) -> dict[str, list[float]]:
        """Validation accuracy by epoch: of a row of this run from itself, of an earlier one from the table."""
        found = {key: list(row.curve) for key, row in rows.items() if row.curve is not None}
        curves = self._store.curves(rows.keys() - found.keys()).sort_values("epoch")
        stored = curves.groupby("trial_id")["validation_accuracy"].agg(list)
        return found | {str(key): list(values) for key, values in stored.items()}

    def _say_if_nothing_is_left(self) -> None:
        """Of a space that is new, and of which rows already answer as many suggestions as are asked for."""
        size = self._space.size
        if self._told and self.done >= self._space.total and (size is None or len(self._made) < size):
            done = f"all {self.done} suggestions" if self.done > 1 else "the one suggestion"
            say(
                f"search: rows answer {done} that search.trials asks for in this space; raise it "
                "to explore what the space has gained"
            )

    def _say_notices(self) -> None:
        """What a user might not expect of this sampler in this space, a line each."""
        search, size = self._search, self._space.size
        if size is not None and size < search.trials:
            rest = "ends there" if search.sampler == "brute_force" else "answers the others from their rows"
            say(
                f"search: the space holds {counted(size, 'suggestion')}, {search.trials} are asked for; it {rest}"
            )
        if search.constraints and search.sampler in BLIND_TO_CONSTRAINTS:
            say(
                f"search: sampler {search.sampler} looks at no result, so at no constraint; tpe, gp, nsga2 do"
            )
        if self._space.is_conditional and search.sampler in BLIND_TO_CONDITIONS:
            say(
                f"search: sampler {search.sampler} draws at random what only some kinds have; tpe learns of it too"
            )


def _suggested(asked: optuna.Trial, name: str, axis: Axis) -> Any:
    if isinstance(axis, Interval):
        return asked.suggest_float(name, axis.low, axis.high, log=axis.log)
    if isinstance(axis, Whole):
        return asked.suggest_int(name, axis.low, axis.high, log=axis.log)
    return asked.suggest_categorical(name, axis)


def _distribution(axis: Axis) -> BaseDistribution:
    if isinstance(axis, Interval):
        return FloatDistribution(axis.low, axis.high, log=axis.log)
    if isinstance(axis, Whole):
        return IntDistribution(axis.low, axis.high, log=axis.log)
    return CategoricalDistribution(axis)


def _generation(sampler: BaseSampler, number: int) -> dict[str, int]:
    """NSGA-II breeds from numbered generations alone (Optuna 5): without a number it would not see the trial."""
    if not isinstance(sampler, NSGAIISampler):
        return {}
    return {sampler._get_generation_key(): number // (sampler.population_size or 1)}


def _finals(trials: Sequence[Trial], rows: Mapping[str, Row]) -> dict[int, float]:
    """By position of the seed, the final accuracy of those that finished."""
    return {
        step: rows[trial.id].metrics["validation_accuracy"]
        for step, trial in enumerate(trials)
        if trial.id in rows and rows[trial.id].status == TrialStatus.FINISHED
    }
