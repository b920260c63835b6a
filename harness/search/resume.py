"""Resuming a search: repair what a dead driver left in Optuna's storage, and add what only the rows know.

Trials that a dead driver left RUNNING are failed and enqueued again; those that it reported to Optuna without
committing their rows are trained again; suggestions that rows answer but Optuna does not know (after a lost journal,
or in a wider space) are added to it.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from lrlc.harness.search.asking import distribution, keys_waiting, suggest
from lrlc.harness.search.optuna_setup import make_sampler
from lrlc.harness.search.outcome import outcome
from lrlc.harness.search.row import Row, accuracies
from lrlc.harness.search.space import Answer, SearchSpace
from lrlc.harness.search.suggestion import final_accuracies, key_of, mean_curve
from lrlc.harness.search.told import ANSWERED, standing
from lrlc.harness.trial import Trial
from lrlc.results.store import Store


@dataclass(frozen=True)
class Resumed:
    """Where a search stands when its driver starts."""

    told: tuple[FrozenTrial, ...]
    """The suggestions that Optuna knows the outcome of, those added from rows included."""
    uncommitted: Mapping[str, Trial]
    """Trials to train again, by id: an earlier driver reported them to Optuna but died before committing them."""
    is_new: bool
    """Whether Optuna knew of no suggestion before rows were added."""


def resume(
    study: optuna.Study, space: SearchSpace, store: Store, rows: Mapping[str, Row], retried: Set[str]
) -> Resumed:
    """Bring Optuna's storage in line with the rows.

    `rows` are those that count, by trial id; `retried` are the ids whose rows do not count any more.
    """
    _free_abandoned(study, space)
    told = _without_retried(study, standing(study.get_trials(deepcopy=False)), retried)
    uncommitted = _uncommitted(told, space, rows)
    is_new = not told
    if added := _add_from_rows(study, space, store, rows, told):
        told += added  # the sampler must not draw them again
        study.sampler = make_sampler(space.search, len(study.get_trials(deepcopy=False)))
    return Resumed(tuple(told), uncommitted, is_new)


def _free_abandoned(study: optuna.Study, space: SearchSpace) -> None:
    """Fail the trials that a dead driver left RUNNING, and enqueue them again with the same values.

    Values that were not suggested yet are drawn now: brute force cannot place a trial that ended half asked.
    """
    for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        params = suggest(optuna.trial.Trial(study, left._trial_id), space)
        study.tell(left.number, state=TrialState.FAIL)
        study.enqueue_trial(params)


def _without_retried(
    study: optuna.Study, told: Sequence[FrozenTrial], retried: Set[str]
) -> list[FrozenTrial]:
    """The suggestions whose rows still count; the others are enqueued again."""
    again = [trial for trial in told if not retried.isdisjoint(trial.user_attrs[ANSWERED])]
    waiting = keys_waiting(study)
    for trial in again:
        if key_of(trial.params) not in waiting:
            study.enqueue_trial(trial.params)
    return [trial for trial in told if trial not in again]


def _uncommitted(
    told: Iterable[FrozenTrial], space: SearchSpace, rows: Mapping[str, Row]
) -> dict[str, Trial]:
    """The trials, by id, whose outcome Optuna knows but which have no row."""
    lost: dict[str, Trial] = {}
    for trial in told:
        missing = {trial_id for trial_id in trial.user_attrs[ANSWERED] if trial_id not in rows}
        if missing:
            of_suggestion = space.trials(trial.params, trial.number)
            lost |= {one.id: one for one in of_suggestion if one.id in missing}
    return lost


def _add_from_rows(
    study: optuna.Study,
    space: SearchSpace,
    store: Store,
    rows: Mapping[str, Row],
    told: Sequence[FrozenTrial],
) -> list[FrozenTrial]:
    """Add the suggestions that rows answer and Optuna does not know; enqueue those that rows answer in part."""
    known = {trial_id for trial in told for trial_id in trial.user_attrs[ANSWERED]}
    answers = list(space.answers(rows, known))
    whole = [answer for answer in answers if answer.is_whole]
    steps = _steps(whole, space.search.pruner, store)
    added = [
        _frozen(study, space, answer, values, len(told) + number)
        for number, (answer, values) in enumerate(zip(whole, steps, strict=True))
    ]
    study.add_trials(added)
    waiting = keys_waiting(study)
    for answer in answers:
        if not answer.is_whole and key_of(answer.params) not in waiting:
            study.enqueue_trial(answer.params)
    return added


def _frozen(
    study: optuna.Study, space: SearchSpace, answer: Answer, steps: Mapping[int, float], number: int
) -> FrozenTrial:
    """The finished trial that Optuna would have, had it made the suggestion itself."""
    ended = outcome(list(answer.rows.values()), space.search)
    return create_trial(
        params=answer.params,
        distributions={name: distribution(space.axes[name]) for name in answer.params},
        state=ended.state,
        values=ended.values,
        constraints=dict(ended.violations),
        intermediate_values=dict(steps),
        user_attrs={ANSWERED: sorted(answer.rows)},
        system_attrs=_generation(study.sampler, number),
    )


def _steps(answers: Sequence[Answer], pruner: str, store: Store) -> list[dict[int, float]]:
    """What each suggestion would have reported to the pruner."""
    if pruner == "none":
        return [{} for _ in answers]
    if pruner == "wilcoxon":
        return [final_accuracies(answer.trials, answer.rows) for answer in answers]
    curves = accuracies({key: row for answer in answers for key, row in answer.rows.items()}, store)
    return [mean_curve([curves.get(key, []) for key in answer.rows]) for answer in answers]


def _generation(sampler: BaseSampler, number: int) -> dict[str, int]:
    """NSGA-II breeds only from trials that carry a generation number (Optuna 5)."""
    if not isinstance(sampler, NSGAIISampler):
        return {}
    return {sampler._get_generation_key(): number // (sampler.population_size or 1)}
