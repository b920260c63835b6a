"""The JSON schema of study files, for editors: that of the pydantic models, with the short forms that a file may use.

It is more permissive than the reader in `loading`, which knows what fits together, and accepts all the reader accepts.
"""

from collections.abc import Iterable
from typing import Any

from lrlc.studies.catalogue import Catalogue
from lrlc.studies.expand import GROUPS
from lrlc.studies.fields import OFF
from lrlc.studies.schema import Study
from lrlc.studies.search import SEARCHED_COLUMNS
from lrlc.studies.training import CROSS_ENTROPY

Schema = dict[str, Any]

KEYWORDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
"""Bounds that pydantic 2 leaves under its own names if a validator comes between them and the number."""

WHOLE: Schema = {"type": "integer"}
TEXT: Schema = {"type": "string"}
DATASET: Schema = {"anyOf": [TEXT, {"$ref": "#/$defs/DatasetSpec"}]}
SEEDS: Schema = {
    "anyOf": [{**WHOLE, "minimum": 1}, {"type": "array", "items": WHOLE, "minItems": 1}],
    "description": "A number n (seeds 0 to n-1) or a list.",
}
PLACE: Schema = {"type": ["integer", "string"]}
PLACEMENT: Schema = {
    "anyOf": [
        PLACE,
        {
            "type": "array",
            "items": {"anyOf": [PLACE, {"type": "array", "items": PLACE}]},
            "minItems": 1,
        },
    ],
    "description": "Layers of this kind, counted from 1: 3 and [1, 3] are one placement, [[1], [3], all] three; "
    "for networks of libraries, modules by name.",
}


def json_schema(catalogue: Catalogue) -> Schema:
    """The schema, draft 2020-12; names in `catalogue` are completed, others are allowed, as plugins may define them."""
    schema: Schema = _renamed(Study.model_json_schema())
    defs, kind, network = schema["$defs"], _named(catalogue.kinds), _named(catalogue.networks)
    block = _block(catalogue, kind, network)
    schema["properties"] |= {
        "datasets": _one_or_list(DATASET),
        "seeds": SEEDS,
        "network": network,
        "layer": {**schema["properties"]["layer"], "properties": _options(catalogue)},
        "grid": _one_or_list(block),
        "claims": _one_or_list(schema["properties"]["claims"]["items"]),
    }
    defs["Search"]["properties"] |= {"dataset": DATASET, "seeds": SEEDS, "network": network}
    defs["Space"]["properties"] |= {"kind": _one_or_list(kind), "placement": PLACEMENT}
    _name_training(defs["Training"], catalogue)
    for each in ("Objective", "Constraint"):
        defs[each]["properties"]["metric"] = _named((*SEARCHED_COLUMNS, *catalogue.metrics))
    _widen_tune(defs["Tune"])
    _widen_claims(defs, kind)
    for each in (schema, *defs.values()):
        _allow_off(each["properties"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "A study of lrlc-bench",
    }


def _renamed(given: Any) -> Any:
    if isinstance(given, dict):
        return {KEYWORDS.get(key, key): _renamed(value) for key, value in given.items()}
    return [_renamed(item) for item in given] if isinstance(given, list) else given


def _named(names: Iterable[str]) -> Schema:
    return {"anyOf": [{"enum": sorted(names)}, TEXT]}


def _one_or_list(item: Schema) -> Schema:
    return {"anyOf": [item, {"type": "array", "items": item}]}


def _block(catalogue: Catalogue, kind: Schema, network: Schema) -> Schema:
    """A block of the grid: every axis of the shipped kinds, and options of plugins' kinds."""
    dotted: Schema = {f"{group}.{key}": {} for group, keys in GROUPS.items() for key in sorted(keys)}
    dotted |= {f"layer.{name}": _one_or_list(option) for name, option in _options(catalogue).items()}
    axes = {
        "dataset": _one_or_list(DATASET),
        "network": _one_or_list(network),
        "kind": _one_or_list(kind),
        "rank": _one_or_list({**WHOLE, "minimum": 1}),
        "placement": PLACEMENT,
    }
    return {
        "type": "object",
        "description": "Axes, each a value or a list; the cells are all combinations.",
        "properties": {**axes, **dotted},
        "patternProperties": {r"^layer\.": {}},
        "additionalProperties": False,
        "required": ["kind"],
    }


def _options(catalogue: Catalogue) -> Schema:
    """The options of all kinds by name; if kinds accept different values, all of these."""
    options: dict[str, list[Schema]] = {}
    for taken in catalogue.options.values():
        for name, option in taken.items():
            if option.schema not in options.setdefault(name, []):
                options[name].append(dict(option.schema))
    return {
        name: schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        for name, schemas in sorted(options.items())
    }


def _name_training(training: Schema, catalogue: Catalogue) -> None:
    """Complete the names of optimizers, schedules and so on; plugins may define others."""
    for key, names in catalogue.training.items():
        given = training["properties"][key]
        known: Schema = {**_named(names), "default": given.get("default")}
        if key == "augment":
            known = {
                "anyOf": [*_one_or_list(_named((*names, "none")))["anyOf"], {"type": "null"}],
                "default": [],
            }
        elif key == "recipe":
            known = {
                "anyOf": [*_named((*names, CROSS_ENTROPY, OFF))["anyOf"], {"type": "null"}],
                "default": None,
            }
        training["properties"][key] = {**{k: v for k, v in given.items() if k == "description"}, **known}


def _allow_off(properties: Schema) -> None:
    """Allow `none` if null is allowed and text is not."""
    for given in properties.values():
        allowed = given.get("anyOf", [])
        if {"type": "null"} in allowed and not any(each.get("type") == "string" for each in allowed):
            allowed.append({"const": OFF})


def _widen_tune(tune: Schema) -> None:
    tune["properties"]["seeds"] = SEEDS
    tune["properties"]["grid"]["additionalProperties"] = {"type": ["array", "object"]}
    tune["required"] = ["grid"]


def _widen_claims(defs: Schema, kind: Schema) -> None:
    cells = defs["Cells"]["properties"]
    del cells["defaults"]  # written as `layer` in a file
    cells |= {"kind": kind, "placement": PLACEMENT}
    sides = {"anyOf": [kind, {"$ref": "#/$defs/Cells"}]}
    for claim in [each for each in defs.values() if "ours" in each["properties"]]:
        claim["required"].append("test")
        claim["properties"] |= {side: sides for side in ("ours", "theirs") if side in claim["properties"]}
