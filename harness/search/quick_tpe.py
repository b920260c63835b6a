"""Optuna's TPE for long searches: it gives the same suggestions as Optuna's own, but reads every finished trial once.

Optuna's goes through all of them in Python several times per suggestion. Here a history keeps what TPE needs of them:
which parameters occur together, the best trials, and the values as arrays; and the densities take fewer steps. The
methods may be called in any order and from several threads, as with Optuna's. Written against private modules of Optuna
5.0; with any other version `optuna_setup` uses Optuna's own TPE.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import wraps
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe._erf import erf
from optuna.samplers._tpe._truncnorm import _log_gauss_mass, _norm_pdf_logC
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.probability_distributions import _BatchedCategoricalDistributions
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

Integers = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Space = dict[str, BaseDistribution]

MOST_GOOD: int = default_gamma(10**9)
"""Upper bound on the number of trials in TPE's "good" density; all others form the other density."""


class QuickTPE(TPESampler):
    """TPE in fewer steps: it gives the same suggestions as Optuna's, but reads every finished trial once.

    With several objectives, or a custom `gamma`, only finding the groups of parameters is faster. The running trials
    are read once per suggestion. As in Optuna, a sampler with groups works for a single study.
    """

    @wraps(TPESampler.__init__)  # type: ignore[misc]  # a study file accepts the options in its signature
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._parzen_estimator_cls = _Density
        self._histories = _Histories()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the histories: a copy reads the trials again, as storages and locks cannot be copied."""
        return {**self.__dict__, "_histories": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _histories=_Histories())

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Only new trials can split groups further."""
        if not self._group:
            return super().infer_relative_search_space(study, trial)
        seen = self._seen(study)
        return super().infer_relative_search_space(seen.with_trials(seen.history.ungrouped()), trial)

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        return super().sample_relative(self._seen(study), trial, search_space) if search_space else {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return super().sample_independent(self._seen(study), trial, param_name, param_distribution)

    def _seen(self, study: optuna.Study) -> Any:
        histories = self._histories.setdefault(study._storage, {})
        history = histories.setdefault(study._study_id, _History())
        return _SeenStudy(study, history, history.read(study))

    def _sample(self, study: Any, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        if study._is_multi_objective() or self._gamma is not None:
            return super()._sample(study.whole, trial, search_space)
        below, above = self._split(study, trial, search_space)
        candidates = below.sample(self._rng.rng, self._n_ei_candidates)
        chosen = self._compare(candidates, self._compute_acquisition_func(candidates, below, above))
        return {name: axis.to_external_repr(chosen[name]) for name, axis in search_space.items()}

    def _split(self, study: "_SeenStudy", trial: FrozenTrial, space: Space) -> tuple["_Density", "_Density"]:
        """The densities of good trials and of all others, including running ones."""
        history = study.history
        with history.lock:
            good, _ = _split_trials(study.whole, history.best, default_gamma(len(history.finished)))
            finished = history.observed.setdefault(tuple(space), _Observed.nothing(len(space)))
            unread = history.finished[finished.read :]
            finished.add(self._rows(unread, space, study), len(history.finished))
            numbers, values = finished.numbers, finished.values
        others = [one for one in study.running if one.number != trial.number] if self._constant_liar else []
        running = self._rows(others, space, study)
        is_good = np.isin(numbers, [one.number for one in good])
        return (
            self._density(numbers[is_good], values[is_good], space),
            self._density(
                np.append(numbers[~is_good], running.numbers),
                np.concatenate([values[~is_good], running.values]),
                space,
            ),
        )

    def _density(self, numbers: Integers, values: Floats, space: Space) -> Any:
        """The density of trials in the order of their numbers, as TPE weights them by age."""
        in_order = values[np.argsort(numbers, kind="stable")]  # nearly sorted, for which a merge sort is fast
        columns = {name: in_order[:, column] for column, name in enumerate(space)}
        return self._parzen_estimator_cls(columns, space, self._parzen_estimator_parameters)

    def _rows(self, trials: Sequence[FrozenTrial], space: Space, study: Any) -> "_Observed":
        """The values of the trials that have all parameters of the space."""
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
    """The values of some parameters, (trials, parameters), in Optuna's internal representation.

    Sorted by trial number.
    """

    numbers: Integers
    values: Floats
    read: int = 0
    """How many trials were checked, not all of which had these parameters."""

    @classmethod
    def nothing(cls, parameters: int) -> "_Observed":
        return cls(np.empty(0, dtype=np.int64), np.empty((0, parameters)))

    def add(self, more: "_Observed", read: int) -> None:
        numbers = np.append(self.numbers, more.numbers)
        order = np.argsort(numbers, kind="stable")
        self.numbers, self.values = numbers[order], np.concatenate([self.values, more.values])[order]
        self.read = read


class _History:
    """What TPE needs of a study's finished trials, which is updated as they are read; safe for several threads."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.finished: list[FrozenTrial] = []
        """Completed and pruned trials, in the order they were read."""
        self.best: list[FrozenTrial] = []
        """The trials that can be among the good ones, with a single objective."""
        self.observed: dict[tuple[str, ...], _Observed] = {}
        """The values of parameters that are drawn together, by the parameters' names."""
        self._grouped = 0  # this many of `finished` are in Optuna's groups of parameters
        self._all_read = 0  # every trial below this number has ended and been read
        self._read: set[int] = set()  # and so have these above it

    def read(self, study: optuna.Study) -> list[FrozenTrial]:
        """Add the trials that have ended since the last call; returns the running ones."""
        with self.lock:
            trials = study._get_trials(deepcopy=False, use_cache=True)
            unread = [one for one in trials[self._all_read :] if one.number not in self._read]
            ended = [one for one in unread if one.state.is_finished()]
            new = [one for one in ended if one.state != TrialState.FAIL]
            self._read.update(one.number for one in ended)
            while self._all_read in self._read:
                self._read.remove(self._all_read)
                self._all_read += 1
            self.finished += new
            if new and not study._is_multi_objective():
                known = sorted(
                    self.best + new, key=lambda one: one.number
                )  # among equals the older one is better
                self.best, _ = _split_trials(study, known, MOST_GOOD)
            return [one for one in unread if one.state == TrialState.RUNNING]

    def ungrouped(self) -> list[FrozenTrial]:
        """The finished trials that earlier calls have not returned."""
        with self.lock:
            new = self.finished[self._grouped :]
            self._grouped += len(new)
            return new


_Histories = WeakKeyDictionary[BaseStorage, dict[int, _History]]
"""Histories by storage and study id, as under hyperband every suggestion comes with its own `Study` object."""


class _SeenStudy:
    """A study whose trials, as far as TPE requests them, come from a history."""

    def __init__(
        self,
        whole: optuna.Study,
        history: _History,
        running: list[FrozenTrial],
        trials: list[FrozenTrial] | None = None,
    ) -> None:
        self.whole, self.history, self.running = whole, history, running
        self._trials = history.finished if trials is None else trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def with_trials(self, trials: list[FrozenTrial]) -> Any:
        """The same study with only these trials."""
        return _SeenStudy(self.whole, self.history, self.running, trials)

    def _get_trials(self, *asked: object, **how: object) -> list[FrozenTrial]:
        """TPE only requests completed and pruned trials."""
        return self._trials


class _Density(_ParzenEstimator):
    """Optuna's mixture of kernels, one per trial; if no parameter has steps, its logarithm is computed here.

    This uses Optuna's operations in the same order, but in place, which avoids large temporary arrays. The order
    matters: candidates far from all trials tie, and ties must be decided as in Optuna.
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
    """Normal densities truncated to the interval: (samples, kernels)."""
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
    """Logarithm of the normal mass between `low` and `high`, which have opposite signs if the kernel is inside."""
    if ((high <= 0) | (low > 0)).any():
        return np.asarray(_log_gauss_mass(low, high))
    return np.asarray(np.log1p(-_normal_cdf(low) - _normal_cdf(-high)))


def _normal_cdf(at: Floats) -> Floats:
    scaled = at / 2**0.5
    short = scaled.size < 2000  # Optuna computes larger arrays differently
    return 0.5 + 0.5 * (np.array([*map(math.erf, scaled.tolist())]) if short else erf(scaled))
