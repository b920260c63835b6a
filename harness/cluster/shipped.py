"""The files of a working folder that Ray would send, determined by Ray's rules before anything is sent.

Imports Ray, so call `ray_setup.prepare` first.
"""

import logging
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from ray._private.ray_constants import RAY_RUNTIME_ENV_IGNORE_GITIGNORE
from ray._private.runtime_env import packaging

from lrlc.harness.errors import UserError
from lrlc.harness.text import counted, say

_QUIET = logging.getLogger("lrlc.shipped")
"""Replaces Ray's logger, which would report the ignore files it read each time."""


def check_sent(files: Sequence[Path], working_dir: Path, excludes: Sequence[str]) -> None:
    """UserError for a file in the working folder that `excludes`, .gitignore or .rayignore exclude."""
    if not files:
        return
    sent = {path.resolve() for path in _sent(working_dir, excludes)}
    for file in files:
        if file.exists() and file.resolve() not in sent:
            raise UserError(
                f"{file}: .gitignore, .rayignore or `excludes` keeps it from being sent to the cluster; "
                "take it out there, or put the study elsewhere"
            )


def not_files(working_dir: Path, excludes: Sequence[str]) -> list[str]:
    """Patterns that exclude anything other than files and folders: reading a pipe would never end."""
    special = [path for path in _sent(working_dir, excludes) if _is_special(path)]
    if special:
        say(f"not sent: {counted(len(special), 'pipe or socket')} in {working_dir}, {special[0].name} first")
    return [f"/{_literal(path.relative_to(working_dir.absolute()).as_posix())}" for path in special]


def _sent(working_dir: Path, excludes: Sequence[str]) -> list[Path]:
    found: list[Path] = []
    root = working_dir.absolute()
    heeds_git = os.environ.get(RAY_RUNTIME_ENV_IGNORE_GITIGNORE, "0") != "1"
    excluded = [packaging._get_excludes(root, list(excludes))]
    packaging._dir_travel(root, excluded, found.append, include_gitignore=heeds_git, logger=_QUIET)
    return found


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:  # a dangling link
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _literal(path: str) -> str:
    """The path as a pattern that matches only this path."""
    return "".join(f"\\{letter}" if letter in "\\*?[]! #" else letter for letter in path)
