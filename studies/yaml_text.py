"""The YAML reader: numbers are those of YAML 1.2, and input that would hang or crash is refused in one line.

Used for study files, values of overrides and runtime environments. Keys are text as written, and must be
unique. Dates, sexagesimal and octal-looking numbers of YAML 1.1 are text or decimal: `1:30` and `2024-02-30`
are text, `010` is 10, `1e-2` is 0.01.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, ClassVar

import yaml

from lrlc.studies.lines import shown
from lrlc.studies.paths import check_regular

MOST_BYTES = 256_000
MOST_LEVELS = 30
MOST_VALUES = 50_000
"""Upper bound on a document's values after expanding its aliases."""

MOST_DIGITS = 40

_PREFIX = "tag:yaml.org,2002:"
_NODES = {
    **dict.fromkeys(("null", "bool", "int", "float", "str", "merge"), yaml.ScalarNode),
    "seq": yaml.SequenceNode,
    "map": yaml.MappingNode,
}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]")
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF")


class YamlError(ValueError):
    """The text is not valid or supported YAML; the line says where and why."""


def read_yaml(text: str) -> Any:
    """The value that `text` stands for: None, a bool, an int, a float, a str, or a list or dict of these.

    Raises YamlError.
    """
    if len(text) > MOST_BYTES:
        raise YamlError(f"{len(text):,} characters; at most {MOST_BYTES:,} are read")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _weigh(node, {})
        return _unshared(loader.construct_document(node))
    except yaml.MarkedYAMLError as error:
        raise YamlError(_in_line(error)) from None
    except yaml.reader.ReaderError as error:
        at = error.position
        raise YamlError(f"character {at + 1:,} is {text[at]!a}, which YAML does not allow") from None
    except (ValueError, OverflowError) as error:  # in an escape or a directive
        raise YamlError(" ".join(str(error).split())) from None


def read_yaml_file(path: Path) -> Any:
    """`read_yaml` of a file in UTF-8, in any locale. Raises YamlError, or the system's OSError."""
    try:
        check_regular(path)
        if path.stat().st_size > MOST_BYTES:
            raise YamlError(f"{path.stat().st_size:,} bytes; at most {MOST_BYTES:,} are read")
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlError(f"not UTF-8 ({error.reason} at byte {error.start:,})") from None
    try:
        return read_yaml(text)
    except YamlError as error:
        raise YamlError(f"not YAML: {error}") from None


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with our scalars, keys and limits."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    yaml_constructors: ClassVar[dict[str | None, Any]] = {}
    level = values = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.level += 1
        self.values += 1
        here: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if self.level > MOST_LEVELS:
            raise _fault(here, f"nested more than {MOST_LEVELS} levels deep")
        if self.values > MOST_VALUES:
            raise _fault(here, f"more than {MOST_VALUES:,} values")
        node = super().compose_node(parent, index)
        self.level -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuse duplicate keys: YAML keeps the last, so a second `grid:` would silently replace the first."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _fault(key, "a key must be text")
            if key.value in seen:
                raise _fault(key, f"the key {shown(key.value)} appears twice")
            seen.add(key.value)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if type(node) is not _NODES.get(node.tag.removeprefix(_PREFIX)):
            raise _fault(node, f"the tag {node.tag.replace(_PREFIX, '!!')} is not supported")
        return super().construct_object(node, deep)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        self.flatten_mapping(node)
        return {self.text(key): self.construct_object(value, deep) for key, value in node.value}

    def text(self, node: yaml.ScalarNode) -> str:
        """Join emoji written in two halves as in JSON; refuse control characters that a terminal would obey."""
        whole: str = node.value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if found := _CONTROL.search(whole):
            raise _fault(node, f"a text with the control character {found[0]!a}")
        return whole

    def number(self, node: yaml.ScalarNode) -> int | float:
        """An int is exact, so its digits are limited; a float that is too large becomes infinite."""
        text = node.value
        if _INT.fullmatch(text):
            if len(text) > MOST_DIGITS:
                raise _fault(node, f"a number of {len(text):,} digits; at most {MOST_DIGITS}")
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if _FLOAT.fullmatch(text):
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        raise _fault(node, f"{shown(text)} is not a number")

    def boolean(self, node: yaml.ScalarNode) -> bool:
        if not _BOOL.fullmatch(node.value):
            raise _fault(node, f"{shown(node.value)} is neither true nor false")
        return self.bool_values[node.value.lower()]


def _weigh(node: yaml.Node, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """(values, levels) of the node and everything below it, with aliases expanded; YamlError beyond the limits.

    `known` holds None for a node being counted: an alias to it would never end.
    """
    if id(node) in known:
        weight = known[id(node)]
        if weight is None:
            raise _fault(node, "an anchor holds an alias of itself")
        return weight
    known[id(node)] = None
    values, levels = 1, 0
    for child in _children(node):
        below = _weigh(child, known)
        values, levels = values + below[0], max(levels, below[1])
    if values > MOST_VALUES:
        raise _fault(node, f"more than {MOST_VALUES:,} values, including those of aliases")
    if levels >= MOST_LEVELS:
        raise _fault(node, f"nested more than {MOST_LEVELS} levels deep, with aliases")
    known[id(node)] = values, levels + 1
    return values, levels + 1


def _unshared(value: Any) -> Any:
    """Copy each alias, so that overriding one does not change the others."""
    if isinstance(value, dict):
        return {key: _unshared(each) for key, each in value.items()}
    return [_unshared(each) for each in value] if isinstance(value, list) else value


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for each in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _fault(at: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


def _in_line(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + " ".join(str(error.problem or error.context).removeprefix("but ").split())


def _set_up() -> None:
    """The types of plain scalars by pattern; the first match counts."""
    for name, pattern, first in (
        ("null", _NULL, ["~", "n", "N", ""]),
        ("bool", _BOOL, list("yYnNtTfFoO")),
        ("int", _INT, list("-+0123456789")),
        ("float", _FLOAT, list("-+.0123456789")),
        ("merge", re.compile("<<"), ["<"]),
    ):
        # PyYAML uses `match`, but ours must match the whole scalar.
        _Loader.add_implicit_resolver(_PREFIX + name, re.compile(f"(?:{pattern.pattern})$"), first)
    for name in ("int", "float"):
        _Loader.add_constructor(_PREFIX + name, _Loader.number)
    _Loader.add_constructor(_PREFIX + "bool", _Loader.boolean)
    for name, construct in (
        ("null", yaml.SafeLoader.construct_yaml_null),
        ("str", _Loader.text),
        ("merge", yaml.SafeLoader.construct_yaml_str),  # `<<` that is not a key
        ("seq", yaml.SafeLoader.construct_yaml_seq),
        ("map", yaml.SafeLoader.construct_yaml_map),
    ):
        _Loader.add_constructor(_PREFIX + name, construct)


_set_up()
