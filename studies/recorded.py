"""Read a study recorded in a results folder by this or an earlier version."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from lrlc.studies.errors import StudyError
from lrlc.studies.schema import Study


def recorded_study(described: Mapping[str, Any]) -> Study:
    """The study written by `Study.described`. Keys unknown to this version are left out.

    Raises StudyError for unknown values, such as a claim's test.
    """
    known: Any = dict(described)
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


def _without(value: Any, place: tuple[int | str, ...]) -> Any:
    """`value` without the key at `place`; skips steps that pydantic adds, such as a claim's test."""
    step, *rest = place
    if isinstance(value, Mapping) and step in value:
        kept = {key: each for key, each in value.items() if key != step}
        return {**kept, step: _without(value[step], tuple(rest))} if rest else kept
    if isinstance(value, list) and isinstance(step, int):
        return [_without(each, tuple(rest)) if at == step else each for at, each in enumerate(value)]
    return _without(value, tuple(rest))
