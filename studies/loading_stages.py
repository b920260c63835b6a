"""Read and check a study's `tune` and `length_check` against its grid and the layers' options."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from lrlc.studies.errors import StudyError, expectation, nearest
from lrlc.studies.expand import Grid, GridCell
from lrlc.studies.fields import MOST_SEEDS
from lrlc.studies.stages import flat_grid, pilot_seeds, share_of_epochs
from lrlc.studies.training import Training, check_names
from lrlc.studies.tuning import pilots

DEFAULT_PILOT_SEEDS = 2
FIXED = ("dataset", "network", "kind", "rank", "placement")
"""Axes that define what is compared, or on which data."""


def full_tune(given: object, study: Mapping[str, Any]) -> object:
    """`tune` with its short forms expanded; the study's mapping has its seeds as a list."""
    if not isinstance(given, dict):
        return given
    full = {"seeds": DEFAULT_PILOT_SEEDS, **given}
    full["seeds"] = pilot_seeds(full["seeds"], _reached(study))
    if full["seeds"] == []:
        raise StudyError("tune.seeds: no seeds; give a number of at least 1 or a list")
    if isinstance(full.get("grid"), dict):
        full["grid"] = flat_grid(full["grid"])
    return full


def check_stages(grid: Grid) -> None:
    """StudyError for what the models cannot check: axes, values, seeds, and trials that would not be shorter."""
    study = grid.study
    stages = {"tune": study.tune, "length_check": study.length_check}
    for key in [key for key, stage in stages.items() if stage is not None and not study.grid]:
        raise StudyError(f"{key}: needs a grid, and the study has none")
    if study.tune is not None:
        _check_tune(grid)
    if study.length_check is not None:
        _check_shorter(study.length_check.epochs, grid.cells)


def _check_tune(grid: Grid) -> None:
    study = grid.study
    assert study.tune is not None
    seeds = study.tune.seeds
    if len(set(seeds)) < len(seeds):
        raise StudyError(f"tune.seeds: {seeds} lists a seed twice")
    if met := sorted(set(seeds) & set(_reached(study.model_dump()))):
        raise StudyError(
            f"tune.seeds: {met[0]} is also a seed of the study; pilots need separate seeds, such as a number of them"
        )
    if not study.tune.grid:
        raise StudyError(
            "tune.grid: nothing to tune; give settings, such as train.learning_rate: [0.05, 0.1]"
        )
    for axis, values in study.tune.grid.items():
        _check_axis(axis, grid)
        _check_values(axis, values, grid)
    try:
        pilots(grid)
    except StudyError as error:
        raise StudyError(f"tune: {error}") from None


def _check_axis(axis: str, grid: Grid) -> None:
    catalogue = grid.catalogue
    where, (group, _, key) = f"tune.grid.{axis}", axis.partition(".")
    training = sorted(Training.model_fields.keys() - {"epochs"})
    options = sorted({option for taken in catalogue.options.values() for option in taken})
    known = [*(f"train.{name}" for name in training), *(f"layer.{name}" for name in options)]
    if axis in FIXED or group == "dataset":
        raise StudyError(f"{where}: cannot be tuned, as the study compares it; tune train.* or layer.*")
    if axis == "train.epochs":
        raise StudyError(f"{where}: cannot be tuned; tune.epochs says how long pilots train")
    if axis not in known:
        raise StudyError(f"{where}: unknown axis; {nearest(axis, known)}")
    kinds = {cell.config.kind for cell in grid.cells}
    if group == "layer" and not any(key in catalogue.options.get(kind, ()) for kind in kinds):
        raise StudyError(f"{where}: no kind in the grid takes it")


def _check_values(axis: str, values: Sequence[object], grid: Grid) -> None:
    where, (group, _, key) = f"tune.grid.{axis}", axis.partition(".")
    if len(values) < 2:
        raise StudyError(f"{where}: {list(values)} leaves nothing to choose; give two values or more")
    for number, value in enumerate(values):
        if value in values[:number]:
            raise StudyError(f"{where}: {list(values)} lists a value twice")
        if group == "train":
            try:
                training = Training.model_validate({key: value})
            except ValidationError as error:
                raise StudyError(f"{where}: {expectation(error)}") from None
            check_names(training, grid.catalogue.training, "tune.grid.train")


def _check_shorter(epochs: int | str, cells: Sequence[GridCell]) -> None:
    shortest = min(cell.config.train.epochs for cell in cells)
    fewer = share_of_epochs(epochs, shortest)
    if fewer >= shortest:
        raise StudyError(
            f"length_check.epochs: {epochs} is {fewer} of the grid's {shortest} epochs, so not fewer; "
            "train longer, or give length_check=null"
        )


def _reached(study: Mapping[str, Any]) -> list[int]:
    """The seeds of a study's grid, looks and search; invalid seeds are refused elsewhere."""
    seeds = [seed for seed in study["seeds"] if isinstance(seed, int)]
    decision, search = study.get("decision") or {}, study.get("search") or {}
    looks = decision.get("looks") if isinstance(decision, dict) else None
    listed = looks if isinstance(looks, list) else []
    last = max((look for look in listed if isinstance(look, int) and look <= MOST_SEEDS), default=0)
    after = max(seeds, default=-1) + 1
    later = range(after, after + max(0, last - len(seeds)))
    searched = [seed for seed in search.get("seeds", ()) if isinstance(seed, int)]
    return [*seeds, *later, *searched]
