"""A user's own layer kinds, networks and data sets: Python files that a study names.

The driver reads each file once and ships its text, so workers on other machines need no copy of it.
"""

import hashlib
import linecache
import sys
import traceback
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lrlc.harness.errors import UserError, first_line
from lrlc.harness.old_names import keep_old_names
from lrlc.studies.paths import expanded

_PREFIX = "lrlc_plugin_"


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
        path = beside / expanded(name)
        if not path.is_file():
            raise UserError(f"plugins: no file {path}; give its path relative to the study file")
        try:
            found.append(Plugin(str(path.resolve()), path.read_text("utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"plugins: {path} cannot be read: {first_line(error)}") from None
    return tuple(found)


def install(plugins: Sequence[Plugin]) -> None:
    """Execute each plugin, whose decorators register what it defines; UserError where it does not run."""
    if plugins:
        keep_old_names()
    for plugin in plugins:
        name = f"{_PREFIX}{Path(plugin.path).stem}_{plugin.digest}"
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
            raise UserError(f"plugins: {plugin.path} failed: {_said(error)}") from error


def blamed(error: BaseException) -> str | None:
    """The plugin, its line and what went wrong there, on one line; None where no plugin had a part in it."""
    installed = {
        str(module.__file__): module for name, module in sys.modules.items() if name.startswith(_PREFIX)
    }
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in installed:
            return f"plugins: {frame.filename}, line {frame.lineno}: {_said(error)}"
    if isinstance(error, TypeError):  # raised where it is called: "Mine.__init__() got an unexpected ..."
        called = str(error).partition("(")[0].partition(".")[0]
        for path, module in installed.items():
            if called in vars(module):
                return f"plugins: {path}: {_said(error)}"
    return None


def _said(error: BaseException) -> str:
    """On one line. Of a SyntaxError it names the line too."""
    return f"{type(error).__name__}: {first_line(error)}"
