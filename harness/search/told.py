"""Which of Optuna's trials count as suggestions of the study."""

from collections.abc import Iterable

from optuna.trial import FrozenTrial, TrialState

ANSWERED = "answered"
"""The attribute with the trials that answered a suggestion; a dead driver leaves failed suggestions without it."""


def standing(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that have ended, without failed ones whose trials were retrained and answered a later one."""
    told = [trial for trial in trials if trial.state.is_finished() and ANSWERED in trial.user_attrs]
    answered = {_answered(trial) for trial in told if trial.state != TrialState.FAIL}
    return [trial for trial in told if trial.state != TrialState.FAIL or _answered(trial) not in answered]


def _answered(trial: FrozenTrial) -> tuple[str, ...]:
    return tuple(trial.user_attrs[ANSWERED])
