"""Optuna's own objects, made from a study's search: storage, sampler and pruner."""

from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from harness.errors import UserError
from studies import Search

JOURNAL = "optuna.journal"


def open_optuna(study_name: str, search: Search, results_dir: Path) -> optuna.Study:
    """The study in its storage, made there if it is new; UserError where the storage or an option is wrong."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            study_name=study_name,
            storage=_storage(search, results_dir),
            pruner=_pruner(search),
            directions=[objective.direction for objective in search.objectives],
            load_if_exists=True,
        )
        # A resumed search must not draw its first suggestions again.
        study.sampler = _sampler(search, seed=len(study.get_trials(deepcopy=False)))
        return study
    except (TypeError, ImportError) as error:
        raise UserError(f"search: {search.sampler} with {search.pruner}: {error}") from error


def _storage(search: Search, results_dir: Path) -> BaseStorage | str:
    if search.storage is not None:
        return search.storage
    results_dir.mkdir(parents=True, exist_ok=True)
    journal = (
        results_dir / JOURNAL
    ).absolute()  # a lock left under a relative path is never freed (Optuna 5)
    _trim_torn_line(journal)
    return JournalStorage(JournalFileBackend(str(journal)))


def _trim_torn_line(journal: Path) -> None:
    """Cut the half line of a writer that was killed: Optuna would append to it and never read the file again."""
    if not journal.exists():
        return
    with journal.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


def _sampler(search: Search, seed: int) -> BaseSampler:
    options: dict[str, Any] = {"seed": seed, **search.sampler_options}
    match search.sampler:
        case "tpe":
            # Optuna 5 changed these defaults; written out, a study means the same under the next version.
            pinned = {"multivariate": True, "group": True, "constant_liar": True}
            return optuna.samplers.TPESampler(**{**pinned, **options})
        case "gp":
            return optuna.samplers.GPSampler(**options)
        case "nsga2":
            return optuna.samplers.NSGAIISampler(**options)
        case "random":
            return optuna.samplers.RandomSampler(**options)
        case "qmc":
            return optuna.samplers.QMCSampler(**options)
        case "brute_force":
            return optuna.samplers.BruteForceSampler(**options)


def _pruner(search: Search) -> BasePruner:
    options: dict[str, Any] = dict(search.pruner_options)
    match search.pruner:
        case "none":
            return optuna.pruners.NopPruner()
        case "median":
            return optuna.pruners.MedianPruner(**options)
        case "successive_halving":
            return optuna.pruners.SuccessiveHalvingPruner(**options)
        case "hyperband":
            return optuna.pruners.HyperbandPruner(**options)
        case "wilcoxon":
            return optuna.pruners.WilcoxonPruner(**options)
