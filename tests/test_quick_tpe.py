"""Searches with TPE: the faster version gives bit-identical suggestions to Optuna's own sampler."""

import math
import pickle
import random
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.pruners import HyperbandPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import Trial, TrialState, create_trial

from lrlc.harness.search.optuna_setup import DEFAULTS, SAMPLERS, knows_private_modules

Params = list[dict[str, Any]]
RATE = {"rate": FloatDistribution(0, 1)}

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def suggest(trial: Trial) -> float:
    """A space like ours, in which the other parameters depend on the kind. The rounded value often ties."""
    distance = 0.3
    if trial.suggest_categorical("kind", ["conv", "lrlc"]) == "lrlc":
        places = trial.suggest_categorical("placement", ["1", "2", "3", "1+2", "1+3", "2+3", "1+2+3"])
        distance = 0.1 * len(places) / trial.suggest_categorical("rank", [1, 2, 4])
    rate = trial.suggest_float("train.learning_rate", 0.001, 1, log=True)
    momentum = trial.suggest_float("train.momentum", 0, 0.99)
    trial.suggest_int("warmup", 0, 8, step=2)
    return round(distance + abs(math.log10(rate) + 1.5) + abs(momentum - 0.9), 1)


def tell(study: optuna.Study, trial: Trial, value: float, chance: random.Random) -> None:
    """Some fail, some are pruned after some epochs, some break a constraint."""
    fate = chance.random()
    if fate < 0.1:
        study.tell(trial, state=TrialState.FAIL)
    elif fate < 0.3 and len(study.directions) == 1:
        for epoch in range(chance.randrange(4)):
            trial.report(value * epoch, epoch)
        study.tell(trial, state=TrialState.PRUNED)
    else:
        if fate < 0.5:
            trial.set_constraint("parameters", chance.choice([-1.0, 0.5, 0.7]))
        study.tell(trial, [value, 1 / (value + 1)][: len(study.directions)])


def searched(sampler: BaseSampler, directions: list[str], trials: int) -> Params:
    """The suggestions of a search with six running at a time, which end in a different order."""
    study, chance = optuna.create_study(directions=directions, sampler=sampler), random.Random(0)
    running: list[tuple[Trial, float]] = []
    for _ in range(trials):
        while len(running) < 6:
            asked = study.ask()
            value = suggest(asked)
            running.append((asked, value))
        tell(study, *running.pop(chance.randrange(6)), chance)
    return [trial.params for trial in study.get_trials(deepcopy=False)]


@pytest.mark.parametrize(
    ("options", "directions"),
    [
        ({}, ["maximize"]),
        ({"n_startup_trials": 30, "n_ei_candidates": 5}, ["minimize"]),
        ({"group": False}, ["minimize"]),
        ({"group": False, "multivariate": False, "constant_liar": False}, ["maximize"]),
        ({}, ["maximize", "minimize"]),
    ],
)
def test_a_search_suggests_what_optuna_does(options: Mapping[str, Any], directions: list[str]) -> None:
    given = {**DEFAULTS["tpe"], "seed": 1, **options}
    ours = searched(SAMPLERS["tpe"](**given), directions, 70)
    assert ours == searched(TPESampler(**given), directions, 70)


def test_a_resumed_long_search_continues_like_optuna() -> None:
    def resumed(sampler: BaseSampler) -> Params:
        study, chance = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)), random.Random(0)
        for number in range(330):
            if number == 300:  # more than TPE's 25 best are a tenth of
                study.sampler = sampler
            asked = study.ask()
            tell(study, asked, suggest(asked), chance)
        return [trial.params for trial in study.get_trials(deepcopy=False)]

    given = {**DEFAULTS["tpe"], "seed": 1}
    assert resumed(SAMPLERS["tpe"](**given)) == resumed(TPESampler(**given))


@pytest.mark.parametrize("given", [{}, {"gamma": lambda _: 7}, {"constant_liar": False}])
def test_its_methods_may_be_called_in_any_order(given: Mapping[str, Any]) -> None:
    def asked(sampler: BaseSampler) -> list[Any]:
        study = optuna.create_study()
        study.add_trials(
            [create_trial(params={"rate": x / 40}, distributions=RATE, value=x % 7) for x in range(40)]
        )
        frozen = study._storage.get_trial(study.ask()._trial_id)
        drawn: list[Any] = [sampler.sample_independent(study, frozen, "rate", RATE["rate"])]
        study.add_trial(create_trial(params={"rate": 0.5}, distributions=RATE, state=TrialState.PRUNED))
        frozen = study._storage.get_trial(study.ask()._trial_id)
        drawn.append(sampler.sample_relative(study, frozen, RATE))
        return [*drawn, sampler.infer_relative_search_space(study, frozen)]

    options: dict[str, Any] = {"seed": 1, "multivariate": True, **given}
    with warnings.catch_warnings(category=FutureWarning, action="ignore"):  # `gamma` is deprecated
        assert asked(SAMPLERS["tpe"](**options)) == asked(TPESampler(**options))


def test_it_handles_two_studies_a_copy_and_hyperband_like_optuna() -> None:
    def drawn(sampler: BaseSampler) -> list[Params]:
        studies = [optuna.create_study(sampler=sampler, pruner=HyperbandPruner()) for _ in range(2)]
        for _ in range(25):
            for study in studies:
                asked = study.ask()
                study.tell(asked, asked.suggest_float("x", -1, 1) ** 2)
        studies[0].sampler = pickle.loads(pickle.dumps(sampler))
        studies[0].ask().suggest_float("x", -1, 1)
        return [[trial.params for trial in study.get_trials(deepcopy=False)] for study in studies]

    assert drawn(SAMPLERS["tpe"](seed=3)) == drawn(TPESampler(seed=3))


def test_another_version_of_optuna_is_used_without_its_private_modules() -> None:
    assert knows_private_modules(optuna.__version__) == optuna.__version__.startswith("5.0.")
    assert not any(map(knows_private_modules, ("4.6.0", "5.1.0", "5.10.0", "6.0.0")))


def test_tpe_finds_the_optimum() -> None:
    study = optuna.create_study(sampler=SAMPLERS["tpe"](**DEFAULTS["tpe"], seed=0))
    for _ in range(100):
        asked = study.ask()
        study.tell(asked, suggest(asked))
    assert study.best_value <= 0.3
