"""A search space in Optuna's terms: how a suggestion is asked for, and which are still waiting to be."""

from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from lrlc.harness.search.space import Axis, Params, SearchSpace, Whole
from lrlc.harness.search.suggestion import Key, key_of
from lrlc.studies import Interval


def suggest(asked: optuna.Trial, space: SearchSpace) -> Params:
    """Draw a value on every axis of one suggestion; the kind first, since it decides which axes follow."""
    params: Params = {"kind": _suggested(asked, "kind", space.axes["kind"])}
    for name in space.asked(params):
        params[name] = _suggested(asked, name, space.axes[name])
    return params


def distribution(axis: Axis) -> BaseDistribution:
    if isinstance(axis, Interval):
        return FloatDistribution(axis.low, axis.high, log=axis.log)
    if isinstance(axis, Whole):
        return IntDistribution(axis.low, axis.high, log=axis.log)
    return CategoricalDistribution(axis)


def keys_waiting(study: optuna.Study) -> set[Key]:
    """The suggestions that are enqueued and have not been drawn yet."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return {key_of(trial.system_attrs.get("fixed_params", {})) for trial in waiting}


def _suggested(asked: optuna.Trial, name: str, axis: Axis) -> Any:
    if isinstance(axis, Interval):
        return asked.suggest_float(name, axis.low, axis.high, log=axis.log)
    if isinstance(axis, Whole):
        return asked.suggest_int(name, axis.low, axis.high, log=axis.log)
    return asked.suggest_categorical(name, axis)
