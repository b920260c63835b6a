"""The search: Optuna suggests, we train, rows decide.

The rows are the truth and Optuna's storage a view of them that can be built anew: a suggestion is told once all
its seeds have ended, one that was made before is answered from its rows, what a dead driver left RUNNING is freed
and asked for again, and what it told without having committed its rows is trained again.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from harness.catalogue import OpenedStudy
from harness.journal import journal_folder
from harness.optuna_setup import open_optuna
from harness.planning import Planner
from harness.trial import Trial
from results.schema import EpochRecord, TrialResult, TrialStatus
from results.store import DEFAULT_PROFILE, Store
from studies import Search, placements, suggested_configs

ANSWERED = "answered"
"""The trials whose rows answered a suggestion; one that failed without them was left behind by a dead driver."""

Row = Mapping[str, Any]
Distribution = CategoricalDistribution | FloatDistribution


@dataclass
class _Suggestion:
    """One question to Optuna: its trials (one a seed), the rows they have and the accuracies they reported."""

    asked: optuna.Trial
    trials: tuple[Trial, ...]
    rows: dict[str, Row] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)
    pruned: bool = False

    @property
    def missing(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.id not in self.rows]


class SearchSource:
    """The search of a study as a source of trials for the driver; several seeds count as one suggestion."""

    def __init__(self, opened: OpenedStudy, planner: Planner, store: Store, profile: str | None) -> None:
        if opened.study.search is None:
            raise ValueError(f"study {opened.study.name} has no search")
        self._opened, self._planner, self._search = opened, planner, opened.study.search
        self._store, self._profile = store, profile
        self._planned = set(store.plan(profile or DEFAULT_PROFILE) or ())
        rows = store.trials().to_dict("records")
        self._rows: dict[str, Row] = {
            str(row["trial_id"]): {str(k): v for k, v in row.items()} for row in rows
        }
        self._optuna = open_optuna(opened.study.name, self._search, journal_folder(store.root))
        self._space = _distributions(opened, self._search)
        self._waiting: list[_Suggestion] = []
        self._queue: deque[Trial] = deque()
        self._claimed: set[str] = set()
        self._free_abandoned()
        self._queue_uncommitted()
        self._rebuild()

    @property
    def total(self) -> int:
        """Suggestions the study asks for, over all its runs."""
        return self._search.trials

    @property
    def done(self) -> int:
        """Suggestions that Optuna has been told."""
        return sum(_counts(trial) for trial in self._optuna.get_trials(deepcopy=False))

    def next_trial(self) -> Trial | None:
        while not self._queue and self.done + len(self._waiting) < self._search.trials:
            self._ask()
        return self._queue.popleft() if self._queue else None

    def report(self, trial: Trial, record: EpochRecord) -> Sequence[Trial]:
        """Prune on the seeds' mean validation accuracy, as soon as every seed has reached the epoch."""
        if self._search.pruner in ("none", "wilcoxon"):
            return ()
        stopped: list[Trial] = []
        for suggestion in self._asking_for(trial.id):
            if suggestion.pruned:
                continue
            suggestion.curves.setdefault(trial.id, []).append(record.validation_accuracy)
            reached = [curve[record.epoch - 1 :][:1] for curve in suggestion.curves.values()]
            if len(reached) == len(suggestion.trials) and all(reached):
                suggestion.asked.report(fmean(accuracy for (accuracy,) in reached), record.epoch)
                if suggestion.asked.should_prune():
                    stopped += self._prune(suggestion)
        return stopped

    def tell(self, result: TrialResult) -> Sequence[Trial]:
        """Note a trial's end and tell Optuna of every suggestion that it completes."""
        row = vars(result)
        self._rows[result.trial_id] = row
        self._claimed.discard(result.trial_id)
        stopped: list[Trial] = []
        for suggestion in self._asking_for(result.trial_id):
            suggestion.rows[result.trial_id] = row
            if self._search.pruner == "wilcoxon" and not suggestion.pruned and self._seeds_lose(suggestion):
                stopped += self._prune(suggestion)
            self._tell_if_complete(suggestion)
        return stopped

    def _prune(self, suggestion: _Suggestion) -> list[Trial]:
        """Drop the suggestion's queued trials and return its running ones; those another waits for stay."""
        suggestion.pruned = True
        alone = [trial for trial in suggestion.missing if len(self._asking_for(trial.id)) == 1]
        queued = [trial for trial in alone if trial in self._queue]
        for trial in queued:
            self._queue.remove(trial)
            self._claimed.discard(trial.id)
        return [trial for trial in alone if trial not in queued]

    def _asking_for(self, trial_id: str) -> list[_Suggestion]:
        return [s for s in self._waiting if any(trial.id == trial_id for trial in s.missing)]

    def _ask(self) -> None:
        asked = self._optuna.ask()
        values = self._suggest(asked)
        configs = suggested_configs(self._opened.study, self._opened.catalogue, values)
        trials = tuple(self._planner.trial(config, asked.number) for config in configs)
        known = {trial.id: self._rows[trial.id] for trial in trials if trial.id in self._rows}
        suggestion = _Suggestion(asked, trials, known)
        self._waiting.append(suggestion)
        self._note_plan(trials)
        new = [trial for trial in suggestion.missing if trial.id not in self._claimed]
        self._claimed |= {trial.id for trial in new}
        self._queue.extend(new)
        self._tell_if_complete(suggestion)

    def _suggest(self, asked: optuna.Trial) -> dict[str, Any]:
        """Ask for the kind first: only a kind with a rank is asked for one."""
        values: dict[str, Any] = {}
        for name, distribution in self._space.items():
            if name != "rank" or self._opened.catalogue.kinds[values["kind"]]:
                if isinstance(distribution, FloatDistribution):
                    low, high, log = distribution.low, distribution.high, distribution.log
                    values[name] = asked.suggest_float(name, low, high, log=log)
                else:
                    values[name] = asked.suggest_categorical(name, distribution.choices)
        return values

    def _tell_if_complete(self, suggestion: _Suggestion) -> None:
        if suggestion.pruned:
            if any(trial.id in self._claimed for trial in suggestion.missing):
                return
            state, values = TrialState.PRUNED, None
        elif suggestion.missing:
            return
        else:
            state, values = _outcome([suggestion.rows[trial.id] for trial in suggestion.trials], self._search)
        suggestion.asked.set_user_attr(ANSWERED, sorted(suggestion.rows))
        self._optuna.tell(suggestion.asked, values, state=state)
        self._waiting.remove(suggestion)

    def _seeds_lose(self, suggestion: _Suggestion) -> bool:
        """Wilcoxon compares suggestions seed by seed: a seed's final accuracy is its step's value."""
        for step, trial in enumerate(suggestion.trials):
            row = suggestion.rows.get(trial.id)
            if row is not None and row["status"] == TrialStatus.FINISHED:
                suggestion.asked.report(row["validation_accuracy"], step)
        return suggestion.asked.should_prune()

    def _note_plan(self, trials: Sequence[Trial]) -> None:
        new = {trial.id for trial in trials} - self._planned
        if new:
            self._planned |= new
            self._store.write_plan(self._profile, sorted(self._planned))

    def _free_abandoned(self) -> None:
        """Fail what a dead driver left RUNNING, and ask for it again with the same values."""
        for trial in self._optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._optuna.tell(trial.number, state=TrialState.FAIL)
            if trial.params:
                self._optuna.enqueue_trial(trial.params)

    def _queue_uncommitted(self) -> None:
        """Train again what Optuna was told by a driver that died before the commit; it is not told twice."""
        lost: dict[str, Trial] = {}
        for told in self._optuna.get_trials(deepcopy=False):
            missing = {
                trial_id for trial_id in told.user_attrs.get(ANSWERED, ()) if trial_id not in self._rows
            }
            if missing:
                configs = suggested_configs(self._opened.study, self._opened.catalogue, told.params)
                trials = [self._planner.trial(config, told.number) for config in configs]
                lost |= {trial.id: trial for trial in trials if trial.id in missing}
        self._queue.extend(lost.values())
        self._claimed |= lost.keys()

    def _rebuild(self) -> None:
        """Where Optuna's storage is new or lost, add the suggestions that the rows still hold."""
        if any(_counts(trial) for trial in self._optuna.get_trials(deepcopy=False)):
            return
        groups: dict[int, list[Row]] = {}
        for row in self._rows.values():
            number = row["search_number"]
            if (
                number is not None and number == number and row["trial_id"] in self._planned
            ):  # NaN: a grid's row
                groups.setdefault(int(number), []).append(row)
        for _, rows in sorted(groups.items()):
            if len(rows) == len(self._search.seeds):
                params = self._params(rows[0])
                distributions: dict[str, BaseDistribution] = {name: self._space[name] for name in params}
                if all(_allows(self._space[name], value) for name, value in params.items()):
                    state, values = _outcome(rows, self._search)
                    answered = {ANSWERED: sorted(row["trial_id"] for row in rows)}
                    self._optuna.add_trial(
                        create_trial(
                            params=params,
                            distributions=distributions,
                            state=state,
                            values=values,
                            user_attrs=answered,
                        )
                    )

    def _params(self, row: Row) -> dict[str, Any]:
        """The suggestion that a row answers; a kind without places keeps the first that could be chosen."""
        places = (
            self._space["placement"].choices
            if isinstance(self._space["placement"], CategoricalDistribution)
            else ()
        )
        params: dict[str, Any] = {"kind": row["kind"], "placement": row["placement"] or places[0]}
        if self._opened.catalogue.kinds[row["kind"]]:
            params["rank"] = int(row["rank"])
        searched = [name for name in self._space if name.startswith("train.")]
        return params | {name: float(row[name.removeprefix("train.")]) for name in searched}


def _distributions(opened: OpenedStudy, search: Search) -> dict[str, Distribution]:
    """The search space, in the order it is asked."""
    places = placements(search.space.placement, opened.catalogue.networks[search.network])
    space: dict[str, Distribution] = {
        "kind": CategoricalDistribution(search.space.kind),
        "placement": CategoricalDistribution(["+".join(map(str, place)) for place in places]),
    }
    if search.space.rank:
        space["rank"] = CategoricalDistribution(search.space.rank)
    for name, interval in search.space.train.items():
        space[f"train.{name}"] = FloatDistribution(interval.low, interval.high, log=interval.log)
    return space


def _outcome(rows: Sequence[Row], search: Search) -> tuple[TrialState, list[float] | None]:
    """What Optuna is told: the mean over the seeds of each objective; a failed or diverged seed fails it."""
    statuses = {TrialStatus(row["status"]) for row in rows}
    if statuses == {TrialStatus.FINISHED}:
        return TrialState.COMPLETE, [fmean(row[o.metric] for row in rows) for o in search.objectives]
    if TrialStatus.PRUNED in statuses and statuses <= {TrialStatus.FINISHED, TrialStatus.PRUNED}:
        return TrialState.PRUNED, None
    return TrialState.FAIL, None


def _counts(trial: FrozenTrial) -> bool:
    return trial.state.is_finished() and ANSWERED in trial.user_attrs


def _allows(distribution: Distribution, value: Any) -> bool:
    if isinstance(distribution, FloatDistribution):
        return bool(distribution.low <= value <= distribution.high)
    return value in distribution.choices
