"""Load and check a study's YAML file: shipped names, profiles, overrides, and one clear line for each error."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lrlc.studies.catalogue import Catalogue
from lrlc.studies.errors import StudyError, first_fault, nearest
from lrlc.studies.expand import Grid, GridCell, check_network, dataset_spec, expand
from lrlc.studies.fields import MOST_SEEDS, MOST_TRIALS, OFF, is_study_name, may_be_off
from lrlc.studies.lines import shown
from lrlc.studies.loading_claims import full_claims
from lrlc.studies.loading_metrics import check_metrics
from lrlc.studies.loading_search import check_space
from lrlc.studies.loading_stages import check_stages, full_tune
from lrlc.studies.loading_titles import with_titles
from lrlc.studies.overrides import merge
from lrlc.studies.paths import expanded
from lrlc.studies.places import Places
from lrlc.studies.schema import Study
from lrlc.studies.training import Training, check_names, check_training
from lrlc.studies.trial_config import TrialConfig
from lrlc.studies.yaml_text import YamlError, read_yaml_file

HERE = Path(__file__).resolve().parent


def shipped_studies() -> dict[str, Path]:
    """The studies that come with the package, by name."""
    return {path.stem: path for path in sorted(HERE.glob("*.yaml"))}


def read_study(name_or_path: str) -> tuple[dict[str, Any], Path]:
    """The unchecked mapping of a study file or of a named shipped study, and the file's path.

    Raises StudyError if there is no such file, or if it is not a readable YAML mapping.
    """
    path = expanded(name_or_path)
    if path.is_dir() and name_or_path not in shipped_studies():
        raise StudyError(f"{name_or_path}: is a folder; name a study file or a shipped study")
    if not path.is_file():
        shipped = shipped_studies()
        if name_or_path not in shipped:
            beside = path.with_name(f"{path.name}.yaml")
            near = f"did you mean {str(beside)!r}?" if beside.is_file() else nearest(name_or_path, shipped)
            raise StudyError(f"{name_or_path}: no such file and no shipped study; {near}")
        path = shipped[name_or_path]
    try:
        raw = read_yaml_file(path)
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error.strerror}") from None
    except YamlError as error:
        raise StudyError(f"{path}: {error}") from None
    if not isinstance(raw, dict):
        raise StudyError(f"{path}: expected a mapping with a name, a grid or a search")
    return raw, path


def study_name(name_or_path: str) -> str:
    """The name of a study, which is also that of its results folder."""
    raw, path = read_study(name_or_path)
    name = str(raw.get("name", path.stem))
    if not is_study_name(name):
        raise StudyError(f"{path}: name: expected letters, digits, '_', '-' and '.', got {shown(name)}")
    return name


def study_title(path: Path) -> str:
    """A study file's title, '' without one; StudyError if the file cannot be read."""
    return str(read_study(str(path))[0].get("title", ""))


def checked_grid(
    raw: Mapping[str, Any],
    catalogue: Catalogue,
    *,
    profile: str | None = None,
    overrides: Sequence[str] = (),
    source: str = "study",
) -> Grid:
    """Apply the profile, then the overrides (`train.epochs=2`), check everything and list the grid's cells.

    StudyError names the source, the key's path, the given value and what is allowed.
    """
    try:
        study = _validate(merge(raw, profile, overrides), catalogue)
        grid = expand(study, catalogue)
        _check_count(grid)
        _check_images(grid)
        check_stages(grid)
    except StudyError as error:
        raise StudyError(f"{source}: {error}") from None
    return grid


def _check_images(grid: Grid) -> None:
    """StudyError for cells that differ only in the number of test images: tables and figures would mix them."""
    first: dict[TrialConfig, GridCell] = {}
    several = len({cell.config.dataset.evaluation_images for cell in grid.cells}) > 1
    for cell in grid.cells if several else ():
        dataset = cell.config.dataset.model_copy(update={"evaluation_images": None})
        other = first.setdefault(replace(cell.config, dataset=dataset), cell)
        asked, known = (each.config.dataset.evaluation_images for each in (cell, other))
        if asked != known:
            counts = " and ".join("all" if count is None else f"{count:,}" for count in (known, asked))
            raise StudyError(
                f"{cell.where}: cells that differ only in evaluation_images ({counts} of {dataset.title}) would be "
                "mixed in tables; give one number"
            )


def _check_count(grid: Grid) -> None:
    trials = len({cell.config for cell in grid.cells}) * len(grid.study.seeds)
    if trials > MOST_TRIALS:
        raise StudyError(f"grid: {trials:,} trials, including seeds; a study has at most {MOST_TRIALS:,}")


def _validate(raw: dict[str, Any], catalogue: Catalogue) -> Study:
    for key in raw:
        if key not in Study.model_fields:
            raise StudyError(f"{key}: unknown key; {_nearest_key(key)}")
    for key in may_be_off(Study):
        if raw.get(key) == OFF:
            raw[key] = None
    grid = raw.get("grid", [])
    raw["grid"] = [grid] if isinstance(grid, dict) else grid
    raw["seeds"] = _seeds(raw.get("seeds", [0]), "seeds")
    datasets = raw.get("datasets", [])
    raw["datasets"] = [
        dataset_spec(given, f"datasets[{number}]", catalogue)
        for number, given in enumerate(datasets if isinstance(datasets, list) else [datasets])
    ]
    if raw.get("search") is not None:
        raw["search"] = _full_search(_mapping(raw["search"], "search"), raw, catalogue)
    if raw.get("tune") is not None:
        raw["tune"] = full_tune(raw["tune"], raw)
    if "claims" in raw:
        raw["claims"] = full_claims(raw["claims"], _networks(raw, catalogue), catalogue)
    try:
        study = Study.model_validate(raw)
    except ValidationError as error:
        raise first_fault(error, Study) from None
    study = with_titles(study)
    if not study.grid and study.search is None:
        raise StudyError("grid: the study has neither a grid nor a search")
    check_network(study.network, "network", catalogue)
    check_names(study.train, catalogue.training, "train")
    _check_once(study.seeds, "seeds")
    _check_layer(study, catalogue)
    check_metrics(study, catalogue)
    if study.search is not None:
        _check_once(study.search.seeds, "search.seeds")
        check_space(study, study.search, catalogue)
        check_training(study.train, catalogue.training, "train")
    return study


def _networks(raw: Mapping[str, Any], catalogue: Catalogue) -> list[Places]:
    """The places of the study's network, and of known ones that blocks of the grid name."""
    found = [check_network(raw.get("network", "three_layer"), "network", catalogue)]
    for block in raw["grid"] if isinstance(raw["grid"], list) else []:
        named = block.get("network", []) if isinstance(block, dict) else []
        for network in named if isinstance(named, list) else [named]:
            with contextlib.suppress(StudyError):  # reported with the block's place when the grid is expanded
                found.append(check_network(network, "grid", catalogue))
    return found


def _nearest_key(key: str) -> str:
    """`nearest` for a key of a study; 'did you mean 'train.epochs'?' for `epochs`."""
    inside = f"did you mean 'train.{key}'?"
    return inside if key in Training.model_fields else nearest(key, Study.model_fields)


def _full_search(search: dict[str, Any], study: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """The search with its short forms expanded, and with the study's network if it names none."""
    full = {"network": study.get("network", "three_layer"), **search}
    if "seeds" in full:
        full["seeds"] = _seeds(full["seeds"], "search.seeds")
    if "dataset" in full:
        full["dataset"] = dataset_spec(full["dataset"], "search.dataset", catalogue)
    return full


def _seeds(given: object, where: str) -> object:
    if isinstance(given, int) and given > MOST_SEEDS:
        raise StudyError(f"{where}: at most {MOST_SEEDS:,}, got {given:,}")
    seeds = _seed_list(given)
    if not seeds:
        raise StudyError(f"{where}: no seeds; give a number of at least 1 or a list")
    if not isinstance(seeds, list):
        raise StudyError(f"{where}: expected a number of at least 1 or a list, got {shown(given)}")
    return seeds


def _check_once(seeds: Sequence[int], where: str) -> None:
    if len(set(seeds)) < len(seeds):
        raise StudyError(f"{where}: {list(seeds)} lists a seed twice")


def _check_layer(study: Study, catalogue: Catalogue) -> None:
    """Refuse an option of no kind; one that no kind of the study takes changes nothing, like a default."""
    known = {name for options in catalogue.options.values() for name in options}
    for option in study.layer:
        if option not in known:
            raise StudyError(f"layer.{option}: no layer kind takes it; {nearest(option, known)}")


def _mapping(given: object, where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise StudyError(f"{where}: expected a mapping, got {shown(given)}")
    return given


def _seed_list(given: object) -> object:
    """A number n means the seeds 0..n-1."""
    if isinstance(given, int) and not isinstance(given, bool):
        return list(range(given))
    return given
