"""Optuna's storage, sampler and pruner for a study's search."""

import inspect
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
    WilcoxonPruner,
)
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.storages import BaseStorage, JournalStorage, get_storage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from lrlc.harness.errors import UserError, first_line
from lrlc.harness.search.journal_file import CheckedJournal, make_sound, move_aside
from lrlc.results.errors import StoreError
from lrlc.studies import Search
from lrlc.studies.errors import nearest
from lrlc.studies.lines import without_secrets_of

JOURNAL = "optuna.journal"


class EndlessBruteForce(BruteForceSampler):
    """Optuna's brute force for ask and tell, where there is no loop to stop: the caller counts the suggestions."""

    def after_trial(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, state: TrialState, values: Any
    ) -> None:
        """Optuna calls `study.stop()` here, which raises outside `optimize` (Optuna 5)."""


def knows_private_modules(version: str) -> bool:
    """Whether quick_tpe and journal_file, which use private modules of Optuna, were written against this version."""
    return version.startswith("5.0.")


def _tpe() -> type[BaseSampler]:
    """Our faster TPE, or Optuna's own."""
    if knows_private_modules(optuna.__version__):
        from lrlc.harness.search.quick_tpe import QuickTPE

        return QuickTPE  # type: ignore[no-any-return]
    return TPESampler


SAMPLERS: Mapping[str, type[BaseSampler]] = {
    "tpe": _tpe(),
    "gp": GPSampler,
    "nsga2": NSGAIISampler,
    "random": RandomSampler,
    "qmc": QMCSampler,
    "brute_force": EndlessBruteForce,
}
PRUNERS: Mapping[str, type[BasePruner]] = {
    "none": NopPruner,
    "median": MedianPruner,
    "successive_halving": SuccessiveHalvingPruner,
    "hyperband": HyperbandPruner,
    "wilcoxon": WilcoxonPruner,
}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    # Optuna 5 changed these defaults; spelling them out keeps a study's meaning under later versions.
    "tpe": {"multivariate": True, "group": True, "constant_liar": True},
    # They would warn at each suggestion of a kind that has its own axes; we report it once.
    "gp": {"warn_independent_sampling": False},
    "qmc": {"warn_independent_sampling": False, "warn_asynchronous_seeding": False},
}
BLIND_TO_CONSTRAINTS = frozenset({"random", "qmc", "brute_force"})
"""Samplers that ignore all results."""

BLIND_TO_CONDITIONS = frozenset({"gp", "nsga2", "qmc"})
"""Samplers that only learn about parameters of every suggestion, and draw the others at random."""


def open_optuna(study_name: str, search: Search, epochs: int, results_dir: Path) -> optuna.Study:
    """The study in its storage, created if it is new; UserError for a wrong storage or option.

    A journal that cannot be read is moved aside and rebuilt from the rows.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = make_pruner(search, epochs)
    make_sampler(search, 0)

    def create() -> optuna.Study:
        return optuna.create_study(
            study_name=study_name,
            storage=_storage(search, results_dir),
            pruner=pruner,
            directions=directions,
            load_if_exists=True,
        )

    directions = [objective.direction for objective in search.objectives]
    try:
        study = create()
        if search.storage is None:
            _check(study, directions)
    except (StoreError, MemoryError):
        raise
    except Exception as error:  # from SQLAlchemy, a database driver, or Optuna's replay of a damaged journal
        if search.storage is not None:
            raise _no_storage(search, error) from error
        move_aside(results_dir / JOURNAL, f"Optuna cannot read it: {first_line(error)}")
        study = create()
    # A resumed search must not draw its first suggestions again.
    study.sampler = make_sampler(search, len(study.get_trials(deepcopy=False)))
    return study


SEEDS = 2**32
"""Number of seeds that numpy's older generators, which some samplers use, accept."""


def make_sampler(search: Search, trials_before: int) -> BaseSampler:
    """The sampler with the study's options; its seed depends on the number of earlier trials."""
    given = {**DEFAULTS.get(search.sampler, {}), **search.sampler_options}
    given["seed"] = search.sampler_options.get("seed", 0)
    sampler: BaseSampler = _make(SAMPLERS[search.sampler], given, "search.sampler_options")
    if trials_before:
        given["seed"] = (given["seed"] + trials_before) % SEEDS
        sampler = _make(SAMPLERS[search.sampler], given, "search.sampler_options")
    return sampler


def make_pruner(search: Search, epochs: int) -> BasePruner:
    """The pruner with the study's options; hyperband's maximum resource is a trial's epochs."""
    defaults = {"max_resource": epochs} if search.pruner == "hyperband" else {}
    options = {**defaults, **search.pruner_options}
    pruner: BasePruner = _make(PRUNERS[search.pruner], options, "search.pruner_options")
    return pruner


def check_options(search: Search, epochs: int) -> None:
    """Raise UserError for an invalid option of the sampler or the pruner."""
    make_sampler(search, 0)
    make_pruner(search, epochs)


def check_storage(search: Search) -> None:
    """Raise UserError if the search's storage cannot be opened; creates its tables if it is new."""
    if search.storage is not None:
        try:
            get_storage(search.storage)
        except Exception as error:  # from SQLAlchemy, a database driver, or the disk
            raise _no_storage(search, error) from error


def _no_storage(search: Search, error: Exception) -> UserError:
    url = search.storage or ""
    said = without_secrets_of(url, f"cannot open {url!r}: {first_line(error)}")
    return UserError(f"search.storage: {said}")


def _make(maker: Any, options: Mapping[str, Any], where: str) -> Any:
    takes = _settable(maker)
    for name, value in options.items():
        if name not in takes:
            raise UserError(f"{where}.{name}: {maker.__name__} has no such option; {nearest(name, takes)}")
        if not _fits(value, takes[name]):
            raise UserError(f"{where}.{name}: expected {takes[name]}, got {value!r}")
        if name in LEAST and not isinstance(value, str) and value < LEAST[name]:  # 'auto' is a resource too
            raise UserError(f"{where}.{name}: expected at least {LEAST[name]}, got {value!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return maker(**options)
    except (TypeError, ValueError, ImportError) as error:
        raise UserError(f"{where}: {first_line(error)}") from error


LEAST = {
    "n_startup_trials": 0,
    "n_ei_candidates": 1,
    "prior_weight": 1e-6,
    "min_resource": 1,
    "max_resource": 1,
    "reduction_factor": 2,
    "min_early_stopping_rate": 0,
    "bootstrap_count": 0,
    "n_warmup_steps": 0,
    "interval_steps": 1,
    "n_min_trials": 1,
}
"""The least values of options, not all of which Optuna checks before it uses them."""


def _settable(maker: Any) -> dict[str, str]:
    """The options that a study file can set, with their types; callables and Optuna's objects are left out."""
    parameters = inspect.signature(maker.__init__).parameters
    written = {
        name: annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
        for name, annotation in ((name, given.annotation) for name, given in parameters.items())
    }
    return {
        name: text for name, text in written.items() if {*text.split(" | ")} <= {*_TYPES} and name != "self"
    }


_TYPES: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
    "None": (),
}


def _fits(value: object, written: str) -> bool:
    allowed = {kind for name in written.split(" | ") for kind in _TYPES[name]}
    return type(value) in allowed  # exact types, as True would pass for an int


def _check(study: optuna.Study, directions: Sequence[str]) -> None:
    """ValueError if journal lines without a checksum have put the study in an impossible state."""
    if [direction.name.lower() for direction in study.directions] != list(directions):
        raise ValueError("it has other objectives")
    for trial in study.get_trials(deepcopy=False):
        trial._validate()


def _storage(search: Search, results_dir: Path) -> BaseStorage | str:
    if search.storage is not None:
        return search.storage
    try:
        results_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write {results_dir}: {error.strerror}") from error
    make_sound(results_dir / JOURNAL)
    if not knows_private_modules(optuna.__version__):
        return JournalStorage(JournalFileBackend(str(results_dir / JOURNAL)))
    return JournalStorage(CheckedJournal(results_dir / JOURNAL))
