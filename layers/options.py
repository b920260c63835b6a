"""The options of a layer kind, each declared beside its default in the signature of the kind's builder.

    share: Annotated[str, Option("what logits share", choices=("both", "rows"))] = "both"

declares `layer.share` of a study. Of an option without a declaration, only the name and default are known.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any, get_type_hints

from lrlc.layers.errors import LayerError, as_int, check_choice, check_flag

PASSED_BY_NETWORKS = frozenset({"input_size", "stride", "padding", "rank"})
"""Keywords of every builder that studies cannot set."""


@dataclass(frozen=True)
class Option:
    """An option of a layer kind, and the values that it takes.

    description: what it changes, for `lrlc list` and editors.
    choices: the allowed words; () if it is not a word.
    at_least, above, below: bounds of a number.
    learning: whether it changes how a layer starts or learns but neither its size nor its cost; kinds matched to this
        one do not take it.
    optional: whether it may be None.

    `name`, `value_type` (bool, int, float, str; None if undeclared) and `default` come from the builder's signature.
    """

    description: str = ""
    choices: tuple[str, ...] = ()
    at_least: float | None = None
    above: float | None = None
    below: float | None = None
    learning: bool = False
    optional: bool = False
    name: str = ""
    value_type: type | None = None
    default: object = None

    def check(self, given: object) -> None:
        """LayerError unless the option accepts this value; undeclared options accept any."""
        if self.value_type is None or (self.optional and given is None):
            return
        if self.choices:
            check_choice(self.name, str(given), self.choices)
        elif self.value_type is bool:
            check_flag(self.name, given)
        elif not self._is_number(given):
            raise LayerError(f"{self.name} must be {self._bounds()}, not {given!r}")

    @property
    def is_whole(self) -> bool:
        """Whether it takes whole numbers only, as declared, or as its default suggests."""
        kind = type(self.default) if self.value_type is None else self.value_type
        return kind is int

    def _is_number(self, given: object) -> bool:
        value = as_int(given) if self.value_type is int else given
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        low = -inf if self.at_least is None else self.at_least
        above = -inf if self.above is None else self.above
        return low <= value and above < value < (inf if self.below is None else self.below)

    def _bounds(self) -> str:
        bounds = {"of at least": self.at_least, "above": self.above, "below": self.below}
        named = [f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None]
        return " ".join(["an int" if self.value_type is int else "a number", " and ".join(named)]).strip()

    def json_schema(self) -> dict[str, Any]:
        """The option's JSON schema for editors (draft 2020-12)."""
        schema: dict[str, Any] = {"default": self.default}
        if self.description:
            schema["description"] = self.description
        if self.choices:
            # Other words are also allowed: a plugin's kind may have an option of the same name.
            return {**schema, "anyOf": [{"enum": list(self.choices)}, {"type": "string"}]}
        if self.value_type is not None:
            name = {bool: "boolean", int: "integer", float: "number", str: "string"}[self.value_type]
            schema["type"] = [name, "null"] if self.optional else name
        bounds = {"minimum": self.at_least, "exclusiveMinimum": self.above, "exclusiveMaximum": self.below}
        return schema | {key: bound for key, bound in bounds.items() if bound is not None}


def takes_any(build: Callable[..., Any]) -> bool:
    """Whether a builder takes keywords beyond those it names (`**options`)."""
    return any(each.kind is each.VAR_KEYWORD for each in inspect.signature(build).parameters.values())


def declared(build: Callable[..., Any], learning: Iterable[str] = ()) -> Mapping[str, Option]:
    """The options that a builder names, in order."""
    hints, options = _hints(build), {}
    for each in inspect.signature(build).parameters.values():
        if each.kind is each.KEYWORD_ONLY and each.name not in PASSED_BY_NETWORKS:
            option = _option(hints.get(each.name))
            options[each.name] = replace(
                option,
                name=each.name,
                default=each.default,
                learning=option.learning or each.name in learning,
            )
    return options


def _hints(build: Callable[..., Any]) -> Mapping[str, Any]:
    """The annotations; none if a plugin's annotations cannot be resolved."""
    try:
        function = build.__init__ if isinstance(build, type) else build  # type: ignore[misc]
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return {}


def _option(hint: Any) -> Option:
    for mark in getattr(hint, "__metadata__", ()):
        if isinstance(mark, Option):
            plain = hint.__origin__
            return replace(
                mark, value_type=next(each for each in (bool, int, float, str) if _names(plain, each))
            )
    return Option()


def _names(hint: Any, kind: type) -> bool:
    return hint is kind or kind in getattr(hint, "__args__", ())
