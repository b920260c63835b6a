"""JSON files beside the tables, with a checksum of their content and name; files of earlier versions have none."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from lrlc.results import damage
from lrlc.results.checksums import WRONG
from lrlc.results.damage import Damage
from lrlc.results.files import Location

KEY = "sha256"

T = TypeVar("T")


def read(path: Location, parse: Callable[[Any], T]) -> T | Damage | None:
    """The result of `parse` for the file's JSON object; None if there is no file (see `damage.judge`)."""
    return damage.judge(path, lambda content: parse(opened(path.name, content)))


def write(path: Location, content: Mapping[str, Any]) -> None:
    """Write the object with its checksum, replacing an existing file."""
    path.replace(lambda file: file.write(sealed(path.name, content)))


def sealed(name: str, content: Mapping[str, Any]) -> bytes:
    """The object as JSON, with its checksum for a file of this name."""
    return json.dumps({**content, KEY: _checksum(name, content)}, indent=2).encode()


def opened(name: str, content: bytes) -> dict[str, Any]:
    """The object sealed for a file of this name; ValueError if it differs from what was written."""
    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError("expected a JSON object")
    if found.pop(KEY, None) not in (None, _checksum(name, found)):
        raise ValueError(WRONG)
    return found


def _checksum(name: str, content: Mapping[str, Any]) -> str:
    as_read = json.loads(json.dumps(content))  # numeric keys become text, and sort as such
    return hashlib.sha256(f"{name}\n{json.dumps(as_read, sort_keys=True)}".encode()).hexdigest()
