"""One-line errors about studies."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from lrlc.studies.lines import one_line, shown


class StudyError(ValueError):
    """An error in a study: the file, the key's path, the given value and what is allowed, in one line."""

    def __init__(self, line: str) -> None:
        super().__init__(one_line(line))


def nearest(given: object, allowed: Iterable[str]) -> str:
    """'did you mean X?' if a name is similar, else the known names."""
    names = sorted(allowed)
    close = get_close_matches(str(given), names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names) or 'none'}"


def first_fault(error: ValidationError, model: type[BaseModel], where: str = "") -> StudyError:
    """The line for pydantic's errors about `model` at the path `where`; an unknown key takes precedence."""
    first = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    given, message = first["input"], plain(first)
    location = tuple(part for number, part in enumerate(first["loc"]) if not _is_tag(first["loc"], number))
    path = where + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    path = path.lstrip(".")
    match first["type"]:
        case "extra_forbidden":
            known = _keys_at(model, first["loc"])
            return StudyError(f"{path}: unknown key; {nearest(location[-1], known)}")
        case "literal_error":
            allowed = re.findall(r"'([^']*)'", first["ctx"]["expected"])
            return StudyError(f"{path}: unknown value {shown(given)}; {nearest(given, allowed)}")
        case "union_tag_invalid" | "union_tag_not_found":
            allowed = re.findall(r"'([^']*)'", first["ctx"].get("expected_tags", ""))
            tag = first["ctx"]["discriminator"].strip("'")
            tried = f"unknown value {shown(given.get(tag))}; {nearest(given.get(tag), allowed)}"
            return StudyError(f"{path}.{tag}: " + (tried if allowed else "missing, and it has no default"))
        case "missing":
            return StudyError(f"{path}: missing, and it has no default")
        case "model_type":
            return StudyError(f"{path}: expected a mapping, got {shown(given)}")
        case "value_error":
            return StudyError(f"{path}: {message}")
    return StudyError(f"{path}: {message}, got {shown(given)}")


def expectation(error: ValidationError) -> str:
    """What pydantic's first error expected and was given: 'expected a whole number, got many'."""
    first = error.errors()[0]
    return f"{plain(first)}, got {shown(first['input'])}"


EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "too_short": "at least one item",
    "string_too_short": "a text that is not empty",
}
"""What pydantic's errors about types and emptiness expect, in words for people who write YAML."""
BOUNDS = {
    "greater_than": ("gt", "more than {}"),
    "greater_than_equal": ("ge", "at least {}"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "at most {}"),
    "string_too_long": ("max_length", "at most {} characters"),
}
"""The key of the bound in pydantic's errors about bounds, and what they expect."""


def plain(fault: Mapping[str, Any]) -> str:
    """The message of one of pydantic's errors: 'expected a whole number'."""
    if fault["type"] in EXPECTED:
        return f"expected {EXPECTED[fault['type']]}"
    if fault["type"] in BOUNDS:
        key, words = BOUNDS[fault["type"]]
        return "expected " + words.format(f"{fault['ctx'][key]:,}")
    return str(fault["msg"]).removeprefix("Value error, ")


def _is_tag(location: tuple[int | str, ...], number: int) -> bool:
    """Whether this part of a path was added by pydantic: the kind of claim or axis that it assumed."""
    if str(location[number]).startswith("<"):
        return True
    return number == 2 and location[0] == "claims"


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> Iterable[str]:
    """The keys allowed in the mapping around pydantic's `location`; skips list indices and free names."""
    possible = [model]
    for number, part in enumerate(location[:-1]):
        if _is_tag(location, number):
            possible = [each for each in possible if part == _tag(each)] or possible
        elif part in possible[0].model_fields:
            possible = list(_models_in(possible[0].model_fields[str(part)].annotation)) or possible
    return possible[0].model_fields


def _tag(model: type[BaseModel]) -> object:
    """The test of the claims that a model describes; None if it is no claim."""
    return model.model_fields["test"].default if "test" in model.model_fields else None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
