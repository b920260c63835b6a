"""A user's own layer kinds, networks and data sets: Python files that a study names.

The driver reads each file once and ships its text, so workers on other machines need no copy of it.
"""

import hashlib
import linecache
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lrlc.harness.errors import UserError, first_line


@dataclass(frozen=True)
class Plugin:
    """A Python file by its path as the study names it, and its text."""

    path: str
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


def read_plugins(names: Sequence[str], beside: Path) -> tuple[Plugin, ...]:
    """Read the files `names`, relative to the study file's folder `beside`; UserError where one is missing."""
    found = []
    for name in names:
        path = beside / name
        if not path.is_file():
            raise UserError(f"plugins: no file {path}; give its path relative to the study file")
        try:
            found.append(Plugin(str(path.resolve()), path.read_text()))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"plugins: {path} cannot be read: {first_line(error)}") from None
    return tuple(found)


def install(plugins: Sequence[Plugin]) -> None:
    """Execute each plugin, whose decorators register what it defines; UserError where it does not run."""
    for plugin in plugins:
        name = f"lrlc_plugin_{Path(plugin.path).stem}_{plugin.digest}"
        if name in sys.modules:
            continue
        module = types.ModuleType(name)
        module.__file__ = plugin.path
        lines = plugin.text.splitlines(keepends=True)
        linecache.cache[plugin.path] = (
            len(plugin.text),
            None,
            lines,
            plugin.path,
        )  # tracebacks show the line
        sys.modules[name] = module
        try:
            exec(compile(plugin.text, plugin.path, "exec"), module.__dict__)
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise UserError(f"plugins: {plugin.path} failed: {type(error).__name__}: {error}") from error
