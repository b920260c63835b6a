"""A bundle's description in bundle.json, and the error type for user errors."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = "bundle.json"
FORMAT = 1


class BundleError(Exception):
    """A user error; its message says in one line what is wrong and what to do."""


@dataclass(frozen=True)
class BundledStudy:
    """A study's file, relative to the bundle, with its profile and overrides."""

    name: str
    file: str
    profile: str | None
    overrides: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """The arguments of `lrlc run` that name it."""
        return [self.file, *self.overrides, *(["--profile", self.profile] if self.profile else [])]


@dataclass(frozen=True)
class Facts:
    """The bundle's contents and requirements; `files` and `parts` are SHA-256 sums by relative path.

    `git` is what LRLC_GIT takes: the commit and whether its checkout was clean. `torch` is the minimum version
    needed, `brings_torch` whether its wheels are included.
    """

    version: str
    git: str
    platform: str
    python: str
    torch: str
    brings_torch: bool
    studies: tuple[BundledStudy, ...]
    files: dict[str, str]
    parts: dict[str, str]

    def write(self, folder: Path) -> None:
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=1)
        (folder / FILE).write_text(text, "utf-8")


def read(folder: Path) -> Facts:
    """The facts of the bundle in `folder`; BundleError if they cannot be read."""
    path = folder / FILE
    try:
        told: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if (written := told.pop("format")) != FORMAT:
            raise BundleError(
                f"{path}: has format {written}, but this code reads {FORMAT}; make the bundle again"
            )
        studies = tuple(
            BundledStudy(each["name"], each["file"], each["profile"], tuple(each["overrides"]))
            for each in told.pop("studies")
        )
        return Facts(**told, studies=studies)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); copy it here again") from None
    except (ValueError, KeyError, TypeError):
        raise BundleError(f"{path}: is damaged; copy it here again") from None
