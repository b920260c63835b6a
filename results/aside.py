"""List all damage below a study's folder, and move it out of the way of a run."""

from collections.abc import Callable

from lrlc.results import damage, datasets, environments, plans, profiles, widths
from lrlc.results.damage import FOLDER, Damage
from lrlc.results.files import Location
from lrlc.results.part_files import content_damage, part_name, part_path
from lrlc.results.parts import snapshot
from lrlc.results.schema import SCHEMAS

DOCUMENTS = (profiles.STUDY, profiles.IMPORTANCE, profiles.TUNING)


def damaged(root: Location) -> list[Damage]:
    """Every damaged file, by path: of parts, plans, summaries of data sets and documents beside them."""
    return sorted([*_of_parts(root), *_of_documents(root)], key=lambda each: str(each.path))


def move_damaged(root: Location, before_writing: Callable[[], object]) -> list[Location]:
    """Move damaged files, and all files of damaged parts, to `damaged/`; returns their new paths.

    A part's trials file is moved first: if this is killed, the remaining files do not form a part.
    """
    moved = []
    for name in sorted({part_name(each.path) for each in _of_parts(root)}):
        paths = [part_path(root, table, name) for table in reversed(SCHEMAS)]
        moved += _move(root, [path for path in paths if path.modified_at() is not None], before_writing)
    return moved + _move(root, [each.path for each in _of_documents(root)], before_writing)


def moved(root: Location) -> list[Location]:
    """The files in `damaged/`."""
    top = root / FOLDER
    files = [top / name for name in top.names("") if not (top / name).is_folder()]
    folders = [*reversed(SCHEMAS), plans.FOLDER, datasets.FOLDER, environments.FOLDER]
    return [top / folder / name for folder in folders for name in (top / folder).names("")] + files


def _move(root: Location, paths: list[Location], before_writing: Callable[[], object]) -> list[Location]:
    there = []
    for path in paths:
        before_writing()
        there.append(damage.aside(root, path))
        path.move_to(there[-1])
    return there


def _of_parts(root: Location) -> list[Damage]:
    now = snapshot(root)
    found = list(now.damaged)
    for part in now.parts:
        each = [
            content_damage(root, table, part.name, part.rows[table]) for table in SCHEMAS if part.rows[table]
        ]
        found += [one for one in each if one is not None]
    after = snapshot(root)  # a part that was merged meanwhile is gone, but not damaged
    there = {part.name for part in after.parts} | {part_name(each.path) for each in after.damaged}
    return [each for each in found if part_name(each.path) in there]


def _of_documents(root: Location) -> list[Damage]:
    found = [each.damage(root) for each in DOCUMENTS]
    found.append(widths.file_damage(root))
    return (
        [each for each in found if each is not None]
        + plans.damaged(root)
        + datasets.damaged(root)
        + environments.damaged(root)
    )
