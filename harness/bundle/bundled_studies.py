"""The studies of a bundle: parsing the arguments, and copying their files."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lrlc import layers
from lrlc.harness.bundle.there.facts import BundledStudy
from lrlc.harness.errors import UserError
from lrlc.harness.plan.catalogue import OpenedStudy, open_study
from lrlc.studies import read_study
from lrlc.studies.lines import holds_secret, masked

FOLDER = "studies"


@dataclass(frozen=True)
class AskedStudy:
    """A checked study, with its name on the command line and its file."""

    opened: OpenedStudy
    path: Path

    @property
    def name(self) -> str:
        return self.opened.study.name

    @property
    def overrides(self) -> tuple[str, ...]:
        return self.opened.overrides


def open_all(words: Sequence[str], profile: str | None) -> list[AskedStudy]:
    """The studies named in `words`, each followed by its own KEY=VALUE overrides, with the profile.

    StudyError or UserError, in one line, for a study that could not run without this machine's files.
    """
    found: list[AskedStudy] = []
    for name, overrides in _with_overrides(words):
        opened = open_study(name, profile=profile, overrides=overrides)
        asked = AskedStudy(opened, read_study(name)[1].resolve())
        if asked.name in {other.name for other in found}:
            raise UserError(f"{asked.name}: two studies of this name would share one folder of results")
        _check_plugins(asked)
        _check_storage(asked)
        found.append(asked)
    return found


def needed_extras(studies: Sequence[AskedStudy]) -> tuple[str, ...]:
    """The extras of lrlc that the studies need."""
    found: set[str] = set()
    for asked in studies:
        study = asked.opened.study
        networks = {cell.config.network for cell in asked.opened.grid.cells}
        networks |= {study.search.network} if study.search is not None else set()
        found |= {network.partition("/")[0] for network in networks if layers.is_of_library(network)}
        found |= {"weights"} if study.keep else set()
    return tuple(sorted(found))


def copy_into(folder: Path, asked: AskedStudy) -> BundledStudy:
    """Copy the study's file into the bundle at `folder`, and its plugins to where it names them."""
    place = Path(FOLDER) / asked.name
    for path in (asked.path, *(Path(plugin.path) for plugin in asked.opened.plugins)):
        copy = folder / place / path.relative_to(asked.path.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    file = (place / asked.path.name).as_posix()
    return BundledStudy(asked.name, file, asked.opened.profile, asked.overrides)


def _with_overrides(words: Sequence[str]) -> list[tuple[str, list[str]]]:
    named: list[tuple[str, list[str]]] = []
    for word in words:
        if "=" not in word or Path(word).is_file():
            named.append((word, []))
        elif not named:
            raise UserError(f"{word}: an override must follow the study that it changes")
        else:
            named[-1][1].append(word)
    return named


def _check_plugins(asked: AskedStudy) -> None:
    for plugin in asked.opened.plugins:
        if not Path(plugin.path).is_relative_to(asked.path.parent):
            raise UserError(
                f"{plugin.path} lies outside {asked.path.parent}, the folder of the study that names it; "
                "put it beside the study's file"
            )


def _check_storage(asked: AskedStudy) -> None:
    for override in asked.overrides:
        if holds_secret(override):
            raise UserError(f"{masked(override)}: the password would be in the bundle; leave it out")
    search = asked.opened.study.search
    if search is not None and search.storage is not None:
        raise UserError(
            f"{asked.name}: search.storage: a machine without a network cannot reach a database; "
            "bundle it with search.storage=null"
        )
