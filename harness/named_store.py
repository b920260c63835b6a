"""The tables that a command line names: by a study's file, its shipped name, or its folder."""

from pathlib import Path

from harness.errors import UserError
from harness.options import RESULTS
from harness.progress import say
from results.files import locate
from results.store import Store
from studies import study_name


def existing_store(study: str, results: str) -> Store:
    """`named_store`, which must have results."""
    store = named_store(study, results)
    if not store.root.is_folder():
        name = store.root.name
        raise UserError(f"{store.root}: no results of study {name!r} here; `lrlc run {study}` makes them")
    return store


def named_store(study: str, results: str) -> Store:
    """The store of a study named by file, shipped name, or its folder under `results`."""
    folder = locate(results)
    return Store(folder / (study if (folder / study).is_folder() else study_name(study)))


def beside(store: Store) -> Path:
    """Where what is drawn from the tables goes: to them, or where they are not local, to runs/STUDY here."""
    if (local := store.root.local) is not None:
        return local
    here = Path(RESULTS) / store.root.name
    say(f"the tables are on {store.root}; writing to {here} on this machine")
    return here
