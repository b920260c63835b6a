"""Merge the results of a run on another machine into a results folder here."""

from collections.abc import Iterator
from pathlib import Path

from lrlc import __version__
from lrlc.harness.errors import UserError
from lrlc.harness.run.lease import Lease, refuse_if_taken
from lrlc.harness.training.train import CODE_EPOCH
from lrlc.results.adopting import Adopted, adopt, check
from lrlc.results.files import Location
from lrlc.results.store import Store

PLACES = ("", "home/results", "results")
"""Subfolders that may contain the studies: of a results folder, a bundle, or a bundle's home/."""


def adopt_folder(folder: Path, results: Location) -> Iterator[Adopted]:
    """Merge every study below `folder` into the one with its name in `results`.

    A study may still be running there: its committed rows are merged, and the next call adds later ones. UserError or
    StoreError, before anything is written, if there are none or one cannot be merged.
    """
    pairs = [(source, Store(results / source.root.name)) for source in stores_in(folder)]
    for source, target in pairs:
        if source.root.path == target.root.path:
            raise UserError(f"{folder}: this is the --results folder itself; name the other folder")
        refuse_if_taken(target.root)
        check(source, target, CODE_EPOCH, __version__)
    for source, target in pairs:
        if not source.counts() and not len(source.plans()):  # all damaged: no folder here for nothing
            yield Adopted(source, target, frozenset(), 0, tuple(source.damaged()), ())
            continue
        with Lease(target.root) as lease:
            held = Store(target.root, before_writing=lease.check)
            yield adopt(source, held)
            held.compact()


def stores_in(folder: Path) -> list[Store]:
    """The studies' tables in a results folder, a bundle, its home/, or a study's own folder."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name a bundle, its home/, or a results folder")
    if (folder / "trials").is_dir():
        return [Store(folder.absolute())]
    for place in PLACES:
        found = sorted(path.parent for path in (folder / place).glob("*/trials") if path.is_dir())
        if found:
            return [Store(path) for path in found]
    raise UserError(f"{folder}: no tables of a study in it; name a bundle that has run, or a results folder")
