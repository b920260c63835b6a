"""A user's own layer kinds, optimizers, metrics and so on: Python files that a study names, and installed packages.

The driver reads each file once and ships its text, so workers on other machines need no copy of it. A package with an
entry point in the group GROUP is imported wherever a study is opened or trained, and must be installed there.
"""

import functools
import hashlib
import importlib.metadata
import linecache
import sys
import traceback
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lrlc.harness.errors import UserError, first_line
from lrlc.harness.old_names import keep_old_names, of_ones_own
from lrlc.harness.text import say
from lrlc.studies.errors import StudyError
from lrlc.studies.loading import read_study
from lrlc.studies.paths import expanded

GROUP = "lrlc.plugins"
_PREFIX = "lrlc_plugin_"


@dataclass(frozen=True)
class Plugin:
    """A Python file: its path as in the study, and its text."""

    path: str
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @property
    def module(self) -> str:
        return f"{_PREFIX}{Path(self.path).stem}_{self.digest}"

    @property
    def source(self) -> str:
        """The file named by what it registers; for a text that was executed from another folder, the file there."""
        return str(getattr(sys.modules.get(self.module), "__file__", self.path))


@dataclass(frozen=True)
class Installed:
    """A package whose entry point was loaded: its version, and the module file or package folder it registers from."""

    version: str
    root: Path

    def digest_of(self, source: str) -> str | None:
        """The digest of its file `source` and its version; None if the file is not part of the package."""
        path = Path(source)
        if path != self.root and self.root not in path.parents:
            return None
        return _digest(path, self.version)


@functools.cache
def _digest(path: Path, version: str) -> str:
    """Computed once, as the process keeps using what it imported."""
    return hashlib.sha256(f"{version}\n{path.read_text('utf-8')}".encode()).hexdigest()[:16]


_installed: dict[str, Installed | None] = {}
"""Packages by entry point; None for one that failed."""


def load_installed() -> tuple[Installed, ...]:
    """Import the group's entry points of installed packages, whose decorators register things; each once per process.

    One that fails is reported in a line and left out, so that it does not affect other studies.
    """
    for entry in importlib.metadata.entry_points(group=GROUP):
        key = f"{entry.name} = {entry.value}"
        if key not in _installed:
            _installed[key] = _loaded(entry)
    return tuple(each for each in _installed.values() if each is not None)


def _loaded(entry: importlib.metadata.EntryPoint) -> Installed | None:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    try:
        entry.load()
        file = sys.modules[entry.module].__file__
    except (Exception, SystemExit) as error:
        say(f"plugins: the entry point {entry.name!r} of {package} failed and is left out: {_said(error)}")
        return None
    path = Path(str(file))
    return Installed(package, path.parent if path.name == "__init__.py" else path)


def read_plugins(names: Sequence[str], beside: Path) -> tuple[Plugin, ...]:
    """Read the files `names`, relative to the study file's folder `beside`; UserError if one is missing."""
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


def load_of(study: str) -> bool:
    """Load the plugins of installed packages, and those of a study named by its file or shipped name.

    False for a study named by its results, whose file is unknown.
    """
    load_installed()
    try:
        raw, path = read_study(study)
    except StudyError:
        return False
    names = raw.get("plugins", [])
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        install(read_plugins(names, beside=path.parent))
    return True


def is_loaded(name: str) -> bool:
    """Whether this process has executed a plugin file of this name."""
    return any(module.startswith(f"{_PREFIX}{Path(name).stem}_") for module in sys.modules)


def install(plugins: Sequence[Plugin]) -> None:
    """Execute each plugin, whose decorators register what it defines; UserError if it fails."""
    if plugins:
        keep_old_names()
    for plugin in plugins:
        name = plugin.module
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
        )  # so that tracebacks show the line
        sys.modules[name] = module
        try:
            exec(compile(plugin.text, plugin.path, "exec"), module.__dict__)
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise UserError(f"plugins: {plugin.path} failed: {_said(error)}{of_ones_own(error)}") from error


def blamed(error: BaseException) -> str | None:
    """The plugin, its line and the error, on one line; None if no plugin was involved."""
    installed = {
        str(module.__file__): module for name, module in sys.modules.items() if name.startswith(_PREFIX)
    }
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in installed:
            return f"plugins: {frame.filename}, line {frame.lineno}: {_said(error)}"
    if isinstance(error, TypeError):  # raised by the caller: "Mine.__init__() got an unexpected ..."
        called = str(error).partition("(")[0].partition(".")[0]
        for path, module in installed.items():
            if called in vars(module):
                return f"plugins: {path}: {_said(error)}"
    return None


def _said(error: BaseException) -> str:
    """The error on one line, with the line number of a SyntaxError."""
    return f"{type(error).__name__}: {first_line(error)}"
