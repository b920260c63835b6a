"""What Ray sends of a working folder, found by Ray's own rules before anything is sent.

It imports Ray: call `ray_setup.prepare` first.
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
"""Ray's own would say at each look which ignore files it read."""


def check_sent(files: Sequence[Path], working_dir: Path, excludes: Sequence[str]) -> None:
    """UserError for a file of the working folder that `excludes`, .gitignore or .rayignore keep from being sent."""
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
    """Patterns for what would be sent and is neither file nor folder: a pipe would be read for ever."""
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
    except OSError:  # a link that leads nowhere
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _literal(path: str) -> str:
    """The path as a pattern that matches it alone."""
    return "".join(f"\\{letter}" if letter in "\\*?[]! #" else letter for letter in path)
