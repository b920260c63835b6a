"""Which of a search's parameters mattered, by conditional PED-ANOVA.

Watanabe et al. (arXiv 2304.10255), for conditional parameters arXiv 2601.20800; Optuna 5 has both. Its other
evaluators only cover the parameters of every suggestion, often just the kind.
"""

import warnings
from collections.abc import Callable

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from lrlc.results.importance import Importance
from lrlc.studies import Search

FEWEST = 10
"""Minimum number of complete suggestions for an importance."""
TOP_SHARE, TOP = 0.1, 5
"""How many suggestions count as the best: this share of all, but at least this many."""


def importances(asked: optuna.Study, search: Search) -> list[Importance]:
    """The importances for each objective; none while too few suggestions are complete."""
    count = len(asked.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    if count < FEWEST:
        return []
    evaluator = PedAnovaImportanceEvaluator(target_quantile=max(TOP_SHARE, TOP / count))
    found = []
    for number, objective in enumerate(search.objectives):
        cost = _cost(number, is_maximised=objective.direction == "maximize")
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # that the target must be a cost, which it is, and about kinds tried once
            shares = get_param_importances(asked, evaluator=evaluator, target=cost)
        ordered = sorted(
            shares.items(), key=lambda share: (-share[1], share[0])
        )  # Optuna's order is that of a set
        found.append(Importance(objective.metric, objective.direction, count, dict(ordered)))
    return found


def _cost(objective: int, *, is_maximised: bool) -> Callable[[FrozenTrial], float]:
    """The objective as a cost, since the evaluator treats the lowest as the best."""
    return lambda trial: -trial.values[objective] if is_maximised else trial.values[objective]
