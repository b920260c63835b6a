"""From a YAML file to a checked Study: shipped names, profiles, overrides, and one clear line for each fault."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from studies.errors import StudyError, nearest
from studies.expand import dataset_spec, expand
from studies.schema import Catalogue, Search, Space, Study, Training, placements, seed_list

HERE = Path(__file__).resolve().parent


def shipped_studies() -> dict[str, Path]:
    """The studies that come with the package, by name."""
    return {path.stem: path for path in sorted(HERE.glob("*.yaml"))}


def read_study(name_or_path: str) -> tuple[dict[str, Any], Path]:
    """The unchecked mapping of a study file, or of a shipped study by its name, and where it stands."""
    path = Path(name_or_path)
    if not path.is_file():
        shipped = shipped_studies()
        if name_or_path not in shipped:
            raise StudyError(
                f"{name_or_path}: no such file and no shipped study; {nearest(name_or_path, shipped)}"
            )
        path = shipped[name_or_path]
    try:
        raw = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise StudyError(f"{path}: expected a mapping with a name, a grid or a search")
    return raw, path


def study_name(name_or_path: str) -> str:
    """The name under which a study's results are kept."""
    raw, path = read_study(name_or_path)
    return str(raw.get("name", path.stem))


def study_title(path: Path) -> str:
    return str(read_study(str(path))[0].get("title", ""))


def parse_study(
    raw: Mapping[str, Any],
    catalogue: Catalogue,
    *,
    profile: str | None = None,
    overrides: Sequence[str] = (),
    source: str = "study",
) -> Study:
    """Apply the profile, then the overrides (`train.epochs=2`), then check everything, the grid's cells included.

    StudyError: the source, the key's path, what was given and what is allowed.
    """
    try:
        merged = _merge(copy.deepcopy(dict(raw)), profile, overrides)
        study = _validate(merged, catalogue)
        expand(study.model_copy(update={"seeds": study.seeds[:1]}), catalogue)
    except StudyError as error:
        raise StudyError(f"{source}: {error}") from None
    return study


def _merge(raw: dict[str, Any], profile: str | None, overrides: Sequence[str]) -> dict[str, Any]:
    profiles = raw.get("profiles", {})
    if profile is not None:
        if not isinstance(profiles, dict) or profile not in profiles:
            known = profiles if isinstance(profiles, dict) else {}
            raise StudyError(f"--profile {profile}: unknown profile; {nearest(profile, map(str, known))}")
        for key, value in _mapping(profiles[profile], f"profiles.{profile}").items():
            _set(raw, str(key), value, f"profiles.{profile}.{key}")
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise StudyError(f"{override}: expected KEY=VALUE, such as train.epochs=2")
        try:
            _set(raw, key, yaml.safe_load(text), key)
        except yaml.YAMLError:
            raise StudyError(f"{override}: the value is not YAML") from None
    return raw


def _set(raw: dict[str, Any], key: str, value: object, where: str) -> None:
    """Set a dotted key; a mapping given for a mapping is merged into it, anything else (a grid too) replaces."""
    *parents, last = key.split(".")
    for parent in parents:
        raw = raw.setdefault(parent, {})
        if not isinstance(raw, dict):
            raise StudyError(f"{where}: {parent} is no mapping")
    if isinstance(value, dict) and isinstance(raw.get(last), dict) and last != "grid":
        for inner, inner_value in value.items():
            _set(raw[last], str(inner), inner_value, f"{where}.{inner}")
    else:
        raw[last] = value


def _validate(raw: dict[str, Any], catalogue: Catalogue) -> Study:
    _known_keys(raw, Study, "")
    grid = raw.get("grid", [])
    raw["grid"] = [grid] if isinstance(grid, dict) else grid
    raw["seeds"] = seed_list(raw.get("seeds", [0]))
    if not raw["seeds"]:
        raise StudyError("seeds: no seeds; give a number of at least 1 or a list")
    if "dataset" in raw:
        raise StudyError("dataset: a study's default is called 'datasets'")
    datasets = raw.get("datasets", [])
    raw["datasets"] = [
        dataset_spec(given, f"datasets[{number}]", catalogue)
        for number, given in enumerate(datasets if isinstance(datasets, list) else [datasets])
    ]
    for group, model in (("train", Training), ("search", Search)):
        if isinstance(raw.get(group), dict):
            _known_keys(raw[group], model, group)
    if raw.get("search") is not None:
        raw["search"] = _short_search(_mapping(raw["search"], "search"), catalogue)
    try:
        study = Study.model_validate(raw)
    except ValidationError as error:
        raise StudyError(_first_fault(error)) from None
    if not study.grid and study.search is None:
        raise StudyError("grid: the study has neither a grid nor a search")
    _check_seeds(study)
    _check_search(study, catalogue)
    return study


def _short_search(raw: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    if isinstance(raw.get("space"), dict):
        _known_keys(raw["space"], Space, "search.space")
    if "dataset" in raw:
        raw = {**raw, "dataset": dataset_spec(raw["dataset"], "search.dataset", catalogue)}
    return raw


def _check_seeds(study: Study) -> None:
    if len(set(study.seeds)) < len(study.seeds):
        raise StudyError(f"seeds: {study.seeds} names a seed twice")


def _check_search(study: Study, catalogue: Catalogue) -> None:
    search = study.search
    if search is None:
        return
    if search.network not in catalogue.networks:
        raise StudyError(
            f"search.network: unknown network {search.network!r}; {nearest(search.network, catalogue.networks)}"
        )
    for kind in search.space.kind:
        if kind not in catalogue.kinds:
            raise StudyError(
                f"search.space.kind: unknown layer kind {kind!r}; {nearest(kind, catalogue.kinds)}"
            )
        if catalogue.kinds[kind] and not search.space.rank:
            raise StudyError(f"search.space.rank: {kind} needs ranks to choose from")
    for key in search.space.train:
        if key not in Training.model_fields:
            raise StudyError(f"search.space.train.{key}: unknown key; {nearest(key, Training.model_fields)}")
    try:
        placements(search.space.placement, catalogue.networks[search.network])
    except ValueError as error:
        raise StudyError(f"search.space.placement: {error}") from None


def _known_keys(raw: Mapping[str, Any], model: type[BaseModel], where: str) -> None:
    for key in raw:
        if key not in model.model_fields:
            path = f"{where}.{key}" if where else str(key)
            raise StudyError(f"{path}: unknown key; {nearest(key, model.model_fields)}")


def _mapping(given: object, where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise StudyError(f"{where}: expected a mapping, got {given!r}")
    return given


def _first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    message = first["msg"].removeprefix("Value error, ")
    shown = first["input"] if first["type"] not in ("missing", "value_error") else None
    return f"{path}: {message}" + (f", got {shown!r}" if shown is not None else "")
