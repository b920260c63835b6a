"""Merge a profile and the overrides of a command line into a study's mapping."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from lrlc.studies.errors import StudyError, nearest
from lrlc.studies.lines import shown
from lrlc.studies.yaml_text import YamlError, read_yaml

MOST_PARTS = 8
"""Upper bound on the parts of a dotted key; a study's deepest key has four."""


def merge(raw: Mapping[str, Any], profile: str | None, overrides: Sequence[str]) -> dict[str, Any]:
    """A study's unchecked mapping after merging its profile and the overrides.

    `train.epochs=2` sets a key of a mapping, `claims.0.margin=1` one of a list's first item and
    `grid.1.train.learning_rate=0.1` an axis of the grid's second block.
    """
    merged = copy.deepcopy(dict(raw))
    if profile is not None:
        for key, value in _profile(merged, profile).items():
            if key == "name":
                raise StudyError(
                    f"profiles.{profile}.name: a profile belongs to its study; leave the name out"
                )
            _put(merged, key, value, f"profiles.{profile}.{key}")
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise StudyError(f"{override}: expected KEY=VALUE, such as train.epochs=2")
        try:
            _put(merged, key, read_yaml(text), key)
        except YamlError as error:
            raise StudyError(f"{override}: the value is not valid YAML: {error}") from None
    return merged


def _profile(study: Mapping[str, Any], name: str) -> dict[str, Any]:
    profiles = study.get("profiles", {})
    if not isinstance(profiles, dict) or name not in profiles:
        known = profiles if isinstance(profiles, dict) else {}
        raise StudyError(f"--profile {name}: unknown profile; {nearest(name, map(str, known))}")
    chosen = profiles[name]
    if not isinstance(chosen, dict):
        raise StudyError(f"profiles.{name}: expected a mapping, got {shown(chosen)}")
    return chosen


def _put(study: dict[str, Any], key: str, value: object, where: str) -> None:
    """Set a dotted key; a mapping given for a mapping is merged into it, anything else (a grid too) replaces."""
    first, *rest = key.split(".")
    if len(rest) >= MOST_PARTS or not all((first, *rest)):
        raise StudyError(f"{where}: expected names separated by dots, such as train.epochs")
    if first == "grid" and rest:
        _put_in_grid(study, rest, value, where)
    else:
        _put_below(study, [first, *rest], value, where)


def _put_below(raw: Any, names: Sequence[str], value: object, where: str) -> None:
    *parents, last = names
    for parent in parents:
        raw = raw[_place(raw, parent, where)] if isinstance(raw, list) else raw.setdefault(parent, {})
        if not isinstance(raw, dict | list):
            raise StudyError(f"{where}: {parent} is not a mapping")
    if isinstance(raw, list):
        raw[_place(raw, last, where)] = value
    elif isinstance(value, dict) and isinstance(raw.get(last), dict) and last != "grid":
        for inner, inner_value in value.items():
            _put_below(raw[last], str(inner).split("."), inner_value, f"{where}.{inner}")
    else:
        raw[last] = value


def _put_in_grid(study: dict[str, Any], names: Sequence[str], value: object, where: str) -> None:
    """`grid.1.rank` is an axis of the second block, `grid.rank` one of the only block; an axis may have a dot."""
    grid = study.setdefault("grid", {})
    blocks = grid if isinstance(grid, list) else [grid]
    if names[0].isdecimal():
        number, axis = _place(blocks, names[0], where), ".".join(names[1:])
    elif len(blocks) == 1:
        number, axis = 0, ".".join(names)
    else:
        raise StudyError(f"{where}: the grid has {len(blocks)} blocks; name one, such as grid.0.{names[0]}")
    if not axis:
        blocks[number] = value
    elif isinstance(blocks[number], dict):
        blocks[number][axis] = value
    else:
        raise StudyError(f"{where}: block {number} of the grid is not a mapping")
    study["grid"] = blocks


def _place(items: Sequence[object], name: str, where: str) -> int:
    """The index that `name` is; StudyError if the list has none of that number."""
    if name.isascii() and name.isdecimal() and len(name) < 10 and int(name) < len(items):
        return int(name)
    numbers = "it is empty" if not items else f"its items are numbered 0 to {len(items) - 1}"
    raise StudyError(f"{where}: the list has no item {name}; {numbers}")
