"""Check a search's space: every value that it can suggest must be valid in a study."""

from collections.abc import Iterable
from typing import Any, get_args

from pydantic import ValidationError

from lrlc.studies.catalogue import Catalogue
from lrlc.studies.errors import StudyError, expectation, nearest
from lrlc.studies.expand import check_network
from lrlc.studies.lines import shown
from lrlc.studies.places import placements
from lrlc.studies.schema import Study
from lrlc.studies.search import Search
from lrlc.studies.space import Interval
from lrlc.studies.training import Training, check_names, check_training

FIXED = ("epochs",)
"""Keys of `train` that a search cannot vary, as the pruner and the budget depend on them."""


def check_space(study: Study, search: Search, catalogue: Catalogue) -> None:
    """StudyError for an unknown kind, key or option, and for an invalid value."""
    places = check_network(search.network, "search.network", catalogue)
    space = search.space
    for kind in space.kind:
        if kind not in catalogue.kinds:
            raise StudyError(
                f"search.space.kind: unknown layer kind {shown(kind)}; {nearest(kind, catalogue.kinds)}"
            )
        if catalogue.kinds[kind] and not space.rank:
            raise StudyError(f"search.space.rank: {kind} needs ranks to choose from")
    try:
        placements(space.placement, places)
    except ValueError as error:
        raise StudyError(f"search.space.placement: {error}") from None
    for key, axis in space.train.items():
        _check_training(key, axis, catalogue)
    for option, axis in space.layer.items():
        _check_option(option, axis, space.kind, catalogue)
    if "step" in _given(space.train.get("schedule")) and "decay_epochs" not in space.train:
        check_training(study.train.model_copy(update={"schedule": "step"}), catalogue.training, "train")


def _check_training(key: str, axis: Interval | list[Any], catalogue: Catalogue) -> None:
    where, known = f"search.space.train.{key}", Training.model_fields.keys() - set(FIXED)
    if key in FIXED:
        raise StudyError(f"{where}: cannot be searched; every trial has the epochs of train.epochs")
    if key not in known:
        raise StudyError(f"{where}: cannot be searched; {nearest(key, known)}")
    if isinstance(axis, Interval):
        if not is_number(key):
            raise StudyError(f"{where}: takes no numbers; give a list of values to choose from")
        for end in ("low", "high"):
            _checked(key, getattr(axis, end), f"{where}.{end}", catalogue)
        return
    values = [_checked(key, value, where, catalogue) for value in axis]
    _check_once(values, where)


def _checked(key: str, value: object, where: str, catalogue: Catalogue) -> Any:
    try:
        training = Training.model_validate({key: value})
    except ValidationError as error:
        raise StudyError(f"{where}: {expectation(error)}") from None
    check_names(training, catalogue.training, where.removesuffix(f".{key}"))
    return getattr(training, key)


def _check_option(
    option: str, axis: Interval | list[Any], kinds: Iterable[str], catalogue: Catalogue
) -> None:
    """Check that a kind takes the option; the layers check its values when the study is opened."""
    where = f"search.space.layer.{option}"
    taken = {name: known for kind in kinds for name, known in catalogue.options.get(kind, {}).items()}
    if option not in taken:
        raise StudyError(f"{where}: no kind here takes it; {nearest(option, taken)}")
    if isinstance(axis, list):
        _check_once(axis, where)
    elif isinstance(taken[option].default, str | bool):
        raise StudyError(f"{where}: takes no numbers; give a list of values to choose from")
    elif taken[option].is_whole:
        for end in ("low", "high"):
            if (value := getattr(axis, end)) != int(value):
                raise StudyError(f"{where}.{end}: expected a whole number, got {shown(value)}")


def _check_once(values: list[Any], where: str) -> None:
    for number, value in enumerate(values):
        if value in values[:number]:
            raise StudyError(f"{where}: lists {shown(value)} twice")


def _given(axis: Interval | list[Any] | None) -> list[Any]:
    return axis if isinstance(axis, list) else []


def is_number(key: str) -> bool:
    """Whether a key of `train` takes numbers, integers or not."""
    return bool(_types(key) & {int, float})


def is_whole(key: str) -> bool:
    """Whether a key of `train` takes only integers."""
    return int in _types(key)


def _types(key: str) -> set[Any]:
    annotation = Training.model_fields[key].annotation
    parts = {annotation, *get_args(annotation)}
    return parts | {inner for part in parts for inner in get_args(part)}
