"""Keep old imports in plugins working: `from layers import layer_kind` means lrlc.layers, its former name.

A user's own module of that name takes precedence. A plugin's text is part of its trials' identity, so editing its
imports would make its trials train again.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

ROOMS = ("harness", "layers", "results", "studies")


def _is_ours(room: str) -> bool:
    """Whether the user has no module of this name."""
    if room not in ROOMS:
        return False
    if room in sys.modules:
        return sys.modules[room].__name__ == f"lrlc.{room}"
    found = PathFinder.find_spec(room)
    return found is None or (found.origin is not None and Path(found.origin).resolve() == _file(room))


def _file(room: str) -> Path:
    return Path(__file__).resolve().parents[1] / room / "__init__.py"


def of_ones_own(error: BaseException) -> str:
    """How to import ours, if `error` comes from a user's own module with an old name; else ''."""
    found = getattr(error, "obj", None) if isinstance(error, AttributeError) else None
    named = found.__name__ if isinstance(found, ModuleType) else getattr(error, "name", None)
    room = str(named).partition(".")[0] if isinstance(error, ImportError | AttributeError) else ""
    own = getattr(sys.modules.get(room), "__file__", None)
    if room not in ROOMS or _is_ours(room) or own is None:
        return ""
    return f"; {room} is {own} here, and lrlc's, {_file(room)}, is imported as lrlc.{room}"


class _OldNames(MetaPathFinder, Loader):
    """Finds the module `layers.x` as the one and only lrlc.layers.x."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if _is_ours(fullname.partition(".")[0]) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(f"lrlc.{spec.name}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec: Any = module.__spec__  # the import system replaced it with the old name's spec
        module.__spec__ = spec.loader_state


def keep_old_names() -> None:
    """Turn this on; a second call changes nothing."""
    if not any(isinstance(finder, _OldNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OldNames())
