"""Read a study recorded in a results folder by this or an earlier version."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from lrlc.studies.errors import StudyError
from lrlc.studies.regime import ANY
from lrlc.studies.schema import Study


def recorded_study(described: Mapping[str, Any]) -> Study:
    """The study written by `Study.described`. Keys unknown to this version are left out.

    Raises StudyError for unknown values, such as a claim's test.
    """
    known: Any = _with_draws(described)
    if known.get("regime") == {"linear": False, "length": False, "weights_std": 0}:
        known["regime"] = ANY  # as recorded before there was `no_divergence`
    while True:
        try:
            return Study.model_validate(known)
        except ValidationError as error:
            unknown = [each["loc"] for each in error.errors() if each["type"] == "extra_forbidden"]
            if not unknown:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"]))
                raise StudyError(
                    f"study {described.get('name')!r} was recorded by another version of lrlc "
                    f"({where}: {first['msg']}); `lrlc run {described.get('name')}` records it again"
                ) from None
            for place in unknown:
                known = _without(known, place)


def _with_draws(described: Mapping[str, Any]) -> dict[str, Any]:
    """Earlier versions recorded `draw: first` for each data set, also where the study's own draw counted."""
    datasets, search = described.get("datasets") or [], described.get("search") or {}
    specs = [*datasets, *([search["dataset"]] if search.get("dataset") else [])]
    draw = described.get("draw", "first")
    if draw == "first" or any(spec.get("draw") != "first" for spec in specs):
        return dict(described)
    found = {**described, "datasets": [{**spec, "draw": draw} for spec in datasets]}
    if search.get("dataset"):
        found["search"] = {**search, "dataset": {**search["dataset"], "draw": draw}}
    return found


def _without(value: Any, place: tuple[int | str, ...]) -> Any:
    """`value` without the key at `place`; skips steps that pydantic adds, such as a claim's test."""
    step, *rest = place
    if isinstance(value, Mapping) and step in value:
        kept = {key: each for key, each in value.items() if key != step}
        return {**kept, step: _without(value[step], tuple(rest))} if rest else kept
    if isinstance(value, list) and isinstance(step, int):
        return [_without(each, tuple(rest)) if at == step else each for at, each in enumerate(value)]
    return _without(value, tuple(rest))
