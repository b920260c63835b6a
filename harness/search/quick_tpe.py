"""Optuna's TPE for long searches: it suggests what Optuna's own suggests, and reads every finished trial once.

Optuna's goes through all of them in Python several times a suggestion. Here what TPE asks of them is kept: which
parameters occur together, the best, and the values as arrays; and the densities are computed in fewer steps.
Written against the insides of Optuna 5.0; `optuna_setup` takes another version's own TPE.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, cast

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe._erf import erf
from optuna.samplers._tpe._truncnorm import _log_gauss_mass, _norm_pdf_logC
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.probability_distributions import _BatchedCategoricalDistributions
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.trial import FrozenTrial, TrialState

Integers = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Space = dict[str, BaseDistribution]

MOST_GOOD: int = default_gamma(10**9)
"""So many trials at most make TPE's density of what is good; all others make that of what is not."""


class QuickTPE(TPESampler):
    """TPE of one objective in few steps; with several objectives only the groups of parameters are found faster.

    For one study, like any TPESampler with groups.
    """

    @wraps(TPESampler.__init__)  # type: ignore[misc]  # a study file takes the options of its signature
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._parzen_estimator_cls = _Density
        self._all_read = 0  # so many of the first trials have ended and were read
        self._read: set[int] = set()  # and these later ones
        self._finished: list[FrozenTrial] = []  # in the order they were read
        self._running: list[FrozenTrial] = []
        self._best: list[FrozenTrial] = []
        self._observed: dict[tuple[str, ...], _Observed] = {}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Optuna calls this once a trial, before any value is drawn; trials read before split no group again."""
        trials = study._get_trials(deepcopy=False, use_cache=True)
        unread = [one for one in trials[self._all_read :] if one.number not in self._read]
        ended = [one for one in unread if one.state.is_finished()]
        new = [one for one in ended if one.state != TrialState.FAIL]
        self._read.update(one.number for one in ended)
        while self._all_read in self._read:
            self._read.remove(self._all_read)
            self._all_read += 1
        self._finished += new
        self._running = [
            one for one in unread if one.state == TrialState.RUNNING and one.number != trial.number
        ]
        if not study._is_multi_objective():
            known = sorted(self._best + new, key=lambda one: one.number)  # of equals the older is the better
            self._best, _ = _split_trials(study, known, MOST_GOOD)
        return super().infer_relative_search_space(_study_of(new, study) if self._group else study, trial)

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        return super().sample_relative(_study_of(self._finished, study), trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return super().sample_independent(
            _study_of(self._finished, study), trial, param_name, param_distribution
        )

    def _sample(self, study: Any, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        if study._is_multi_objective():
            return super()._sample(study._study, trial, search_space)
        good, _ = _split_trials(study, self._best, default_gamma(len(self._finished)))
        finished = self._observed.setdefault(tuple(search_space), _Observed.nothing(len(search_space)))
        finished.add(self._rows(self._finished[finished.read :], search_space, study), len(self._finished))
        is_good = finished.are(np.array([one.number for one in good], dtype=np.int64))
        running = self._rows(self._running if self._constant_liar else [], search_space, study)
        below = self._density(finished.numbers[is_good], finished.values[is_good], search_space)
        above = self._density(
            np.append(finished.numbers[~is_good], running.numbers),
            np.concatenate([finished.values[~is_good], running.values]),
            search_space,
        )
        candidates = below.sample(self._rng.rng, self._n_ei_candidates)
        chosen = self._compare(candidates, self._compute_acquisition_func(candidates, below, above))
        return {name: axis.to_external_repr(chosen[name]) for name, axis in search_space.items()}

    def _density(self, numbers: Integers, values: Floats, space: Space) -> Any:
        """TPE weighs trials by their age."""
        in_order = values[np.argsort(numbers, kind="stable")]  # nearly in order: there a merge sort is quick
        columns = {name: in_order[:, column] for column, name in enumerate(space)}
        return self._parzen_estimator_cls(columns, space, self._parzen_estimator_parameters)

    def _rows(self, trials: Sequence[FrozenTrial], space: Space, study: optuna.Study) -> "_Observed":
        """What those of the trials had that have all parameters of the space."""
        found = [(one.number, self._get_params(one, study)) for one in trials]
        found = [(number, params) for number, params in found if space.keys() <= params.keys()]
        values = [
            [axis.to_internal_repr(params[name]) for name, axis in space.items()] for _, params in found
        ]
        return _Observed(
            np.array([number for number, _ in found], dtype=np.int64),
            np.array(values, dtype=np.float64).reshape(len(found), len(space)),
        )


@dataclass
class _Observed:
    """The values that trials had of some parameters, (trials, parameters), as Optuna represents them inside.

    By their numbers, ascending.
    """

    numbers: Integers
    values: Floats
    read: int = 0
    """How many trials were looked at; not all had these parameters."""

    @classmethod
    def nothing(cls, parameters: int) -> "_Observed":
        return cls(np.empty(0, dtype=np.int64), np.empty((0, parameters)))

    def add(self, more: "_Observed", read: int) -> None:
        numbers = np.append(self.numbers, more.numbers)
        order = np.argsort(numbers, kind="stable")
        self.numbers, self.values = numbers[order], np.concatenate([self.values, more.values])[order]
        self.read = read

    def are(self, numbers: Integers) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which of the trials have one of the numbers; not all numbers need be here."""
        found = np.zeros(len(self.numbers), dtype=np.bool_)
        rows = np.searchsorted(self.numbers, numbers)
        numbers, rows = numbers[rows < len(found)], rows[rows < len(found)]
        found[rows[self.numbers[rows] == numbers]] = True
        return found


class _Density(_ParzenEstimator):
    """Optuna's mixture of kernels, one a trial; where no parameter has steps its logarithm is computed here.

    By Optuna's operations in their order, but in place, which spares the large arrays between them: far from all
    trials candidates tie, and only so are ties decided as there.
    """

    def log_pdf(self, samples_dict: dict[str, Floats]) -> Floats:
        mixture = self._mixture_distribution
        if any(getattr(axis, "step", 0) for axis in mixture.distributions):
            return np.asarray(super().log_pdf(samples_dict))
        samples = self._transform(samples_dict)
        logs = np.zeros((len(samples), len(mixture.weights)))
        normals = np.zeros_like(logs)
        for column, axis in zip(samples.T, mixture.distributions, strict=True):
            if isinstance(axis, _BatchedCategoricalDistributions):
                logs += np.log(axis.weights).T[column.astype(np.int64)]
            else:
                normals += _log_normal(np.log(column) if axis.is_log else column, axis)
        logs += normals
        logs += np.log(mixture.weights)
        most = logs.max(axis=1)
        logs -= most[:, np.newaxis]
        return np.asarray(np.log(np.exp(logs, out=logs).sum(axis=1)) + most)


def _log_normal(samples: Floats, kernels: Any) -> Floats:
    """Normal densities cut off at the interval's ends: (samples, kernels)."""
    low, high = ((end - kernels.mu) / kernels.sigma for end in (kernels.adapted_low, kernels.adapted_high))
    logs = samples[:, np.newaxis] - kernels.mu
    logs /= kernels.sigma
    logs *= logs
    logs /= -2
    logs -= _norm_pdf_logC
    logs -= _log_mass(low, high)
    logs -= np.log(kernels.sigma)
    return np.asarray(logs)


def _log_mass(low: Floats, high: Floats) -> Floats:
    """Logarithm of the normal mass between `low` and `high`, which lie on both sides of 0 where a kernel is inside."""
    if ((high <= 0) | (low > 0)).any():
        return np.asarray(_log_gauss_mass(low, high))
    return np.asarray(np.log1p(-_normal_cdf(low) - _normal_cdf(-high)))


def _normal_cdf(at: Floats) -> Floats:
    scaled = at / 2**0.5
    short = scaled.size < 2000  # from here on Optuna's computes it otherwise
    return 0.5 + 0.5 * (np.array([*map(math.erf, scaled.tolist())]) if short else erf(scaled))


def _study_of(trials: list[FrozenTrial], study: optuna.Study) -> optuna.Study:
    return cast(optuna.Study, _StudyOf(trials, study))


class _StudyOf:
    """A study whose completed and pruned trials are `trials`: TPE asks for no others of it."""

    def __init__(self, trials: list[FrozenTrial], study: optuna.Study) -> None:
        self._trials, self._study = trials, study

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(self, *asked: object, **how: object) -> list[FrozenTrial]:
        return self._trials
