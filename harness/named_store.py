"""Find the tables named on the command line by a study's file, its shipped name, or its folder."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lrlc.harness import plugins
from lrlc.harness.errors import UserError
from lrlc.harness.text import say
from lrlc.results import RESULTS
from lrlc.results.files import Location, locate
from lrlc.results.store import Store, StoreError
from lrlc.studies import shipped_studies, study_name
from lrlc.studies.errors import StudyError, nearest
from lrlc.studies.fields import is_study_name
from lrlc.studies.paths import expanded


def existing_store(study: str, results: str) -> Store:
    """`named_store`; UserError if it has no results."""
    store = named_store(study, results)
    if not store.root.is_folder():
        name = store.root.name
        raise UserError(f"{store.root}: no results of study {name!r} here; `lrlc run {study}` creates them")
    return store


def store_with_rows(study: str, results: str) -> Store:
    """`existing_store`; UserError if no trial has a row."""
    store = existing_store(study, results)
    if not store.counts():
        raise UserError(f"{store.root}: no trial has a row yet; `lrlc run {study}` trains them")
    return store


def recorded_stores(studies: Iterable[str], results: str, profile: str | None) -> list[Store]:
    """`existing_store` of each study once; an error unless it was run with the profile and recorded as run."""
    stores = {}
    for study in studies:
        store = existing_store(study, results)
        store.plan(profile)  # StoreError for a profile that was never run
        if store.study(profile) is None:
            raise UserError(f"{store.root}: no record of the study here; `lrlc run {study}` writes it again")
        stores[store.root.path] = store
    return list(stores.values())


def load_plugins(study: str, store: Store, profile: str | None) -> None:
    """Load the plugins of the study; report those that are unknown because only its results are named."""
    if not plugins.load_of(study) and (missing := load_recorded_plugins(store, profile)):
        say(
            f"{study}: its plugins ({', '.join(missing)}) were not found in this folder, and their figures are left "
            "out; name the study by its file to include them"
        )


def load_recorded_plugins(store: Store, profile: str | None = None) -> list[str]:
    """Load installed packages' plugins, and those of the study as last run that are in the current folder.

    Returns the names of those that are not.
    """
    plugins.load_installed()
    record = store.study(profile)
    unknown = [name for name in record.study.plugins if not plugins.is_loaded(name)] if record else []
    here = [name for name in unknown if expanded(name).is_file()]
    plugins.install(plugins.read_plugins(here, beside=Path()))
    return [name for name in unknown if name not in here]


def stores_of(results: str) -> list[Store]:
    """The stores of all studies in a results folder; UserError if there is none."""
    stores = _stores_in(place_of_results(results))
    if not stores:
        raise UserError(f"--results {results}: no results of any study there; `lrlc run` creates them")
    return stores


def stores_of_each_study(results: str, profile: str | None) -> list[Store]:
    """`stores_of` without copies: of several folders of a study, the one with its name, or else the first."""
    named = []
    for store in stores_of(results):
        record = store.study(profile)
        named.append((record.study.name if record else store.root.name, store))
    kept = _without_copies(named)
    for name, store in named:
        if store is not kept[name]:
            say(f"{store.root} is left out: {kept[name].root} has the study {name} too")
    return list(kept.values())


def siblings(store: Store, profile: str | None) -> list[Store]:
    """The stores of the other studies in the same results folder that were run with the profile (None: with any).

    Copies and stores that cannot be read are left out.
    """
    own, found = store.study(profile), []
    for other in _stores_in(store.root.parent):
        try:
            record = other.study(profile)
            if (
                other.root.path == store.root.path
                or record is None
                or (own and record.study.name == own.study.name)
            ):
                continue
            other.plan(profile)
            other.trials(["trial_id"])
        except StoreError as reason:
            say(f"{other.root} is left out: {reason}")
        else:
            found.append((record.study.name, other))
    return list(_without_copies(found).values())


def _without_copies(named: Iterable[tuple[str, Store]]) -> dict[str, Store]:
    """The store of each study by the study's name: of several folders the one with this name, or else the first."""
    found: dict[str, Store] = {}
    for name, store in sorted(named, key=lambda each: each[1].root.name != each[0]):
        found.setdefault(name, store)
    return found


def _stores_in(folder: Location) -> list[Store]:
    return [Store(folder / name) for name in folder.names("") if (folder / name / "trials").is_folder()]


def file_or_recorded(study: str, results: str, profile: str | None) -> str | Mapping[str, Any]:
    """The argument of `open_study` for a study: its file or shipped name, or, if only its results are named, the study
    as last run there with the profile."""
    if Path(study).exists() or study in shipped_studies() or not is_study_name(study):
        return study
    record = Store(locate(results) / study).study(profile)
    if record is None:
        return study
    say(f"{study}: no such file here; using the study as last run, from {locate(results) / study}")
    changed: dict[str, Any] = {"profiles": {profile: {}}} if profile else {}
    return {**record.study.as_in_file(), **changed}


def place_to_write(results: str) -> Location:
    """`place_of_results`; UserError, before anything starts, if no tables can be written."""
    place = place_of_results(results)
    if place.local is not None and not os.access(there := _nearest(place.local), os.W_OK | os.X_OK):
        raise UserError(f"--results {results}: nothing can be written in {there}")
    return place


def place_of_results(results: str) -> Location:
    """The location in --results, which need not exist; UserError if it cannot be a folder."""
    if not results.strip() or re.match(r"\w+:/(?!/)", results):
        raise UserError(f"--results {results!r}: expected a folder, file:///folder or s3://bucket/prefix")
    place = locate(results)
    if place.local is not None and not (there := _nearest(place.local)).is_dir():
        raise UserError(f"--results {results}: {there} is not a folder")
    return place


def _nearest(folder: Path) -> Path:
    """The folder itself, or its closest existing parent."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())


def named_store(study: str, results: str) -> Store:
    """The store of a study named by file, shipped name, or its folder under `results`."""
    folder = locate(results)
    is_folder = is_study_name(study) and (folder / study).is_folder()
    if not is_folder:
        _refuse_unknown(study, folder)
    return Store(folder / (study if is_folder else study_name(study)))


def _refuse_unknown(study: str, folder: Location) -> None:
    """StudyError, with the studies that have results, if the name is neither a file nor a shipped study's."""
    if Path(study).exists() or study in shipped_studies() or not is_study_name(study):
        return
    if study in folder.names(""):
        raise StudyError(f"{folder / study}: not a folder, so no results of a study; move it away")
    if there := [store.root.name for store in _stores_in(folder)]:
        raise StudyError(f"{folder}: no results of study {study!r} here; {nearest(study, there)}")


def beside(store: Store) -> Path:
    """Where output made from the tables goes: beside them, or, if they are not local, to runs/STUDY here."""
    if store.root.local is not None:
        return Path(str(store.root))
    here = Path(RESULTS) / store.root.name
    say(f"the tables are in {store.root}; writing to {here} on this machine")
    return here
