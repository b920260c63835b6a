"""Reuse of trials that another study in the same results folder has already trained."""

from collections.abc import Collection
from dataclasses import dataclass

from lrlc.results.errors import StoreError
from lrlc.results.files import Location
from lrlc.results.schema import TrialStatus
from lrlc.results.store import Store


@dataclass(frozen=True)
class Lent:
    """Finished trials of another study that a study lacks."""

    store: Store
    trial_ids: frozenset[str]


def lent_rows(store: Store, missing: Collection[str]) -> tuple[Lent, ...]:
    """The `missing` trials that have finished in stores beside this one, each from one of them."""
    wanted, found = set(missing), []
    for other in stores_beside(store) if wanted else ():
        try:
            rows = Store(other).trials(["trial_id", "status"])
        except StoreError:
            continue  # from a later version, or being written; at worst a trial is trained twice
        finished = rows.loc[rows["status"] == TrialStatus.FINISHED, "trial_id"]
        if lent := wanted.intersection(finished):
            found.append(Lent(Store(other), frozenset(lent)))
            wanted -= lent
    return tuple(found)


def stores_beside(store: Store) -> list[Location]:
    """The folders of the other studies under the same results folder."""
    folder = store.root.parent
    stores = [folder / name for name in folder.names("") if name != store.root.name]
    return [other for other in stores if (other / "trials").is_folder()]
