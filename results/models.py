"""Kept weights of trained networks: a safetensors file per trial, `models/<trial>.<what>.safetensors`.

Its metadata have a SHA-256 of the whole file and of its intended name, which detects a flipped bit anywhere and a file
in another's place. Files of earlier versions have none, so their readers check more.
"""

import io

from pyarrow import fs

from lrlc.results import checksums, damage
from lrlc.results.checksums import WRONG
from lrlc.results.damage import Damage
from lrlc.results.files import Location

FOLDER = "models"
_SUFFIX = ".safetensors"

SHA256 = checksums.KEY.decode()
"""The key of the metadata whose value `write` fills in."""
BLANK = checksums.BLANK.decode()
"""The checksum's placeholder until it is computed."""


def path(root: Location, trial_id: str, what: str) -> Location:
    """The file's path; `what` is one of a study's `keep`: `weights`, `best_weights`."""
    return root / FOLDER / f"{trial_id}.{what}{_SUFFIX}"


def write(root: Location, trial_id: str, what: str, content: bytes) -> None:
    """Write a safetensors file, with its checksum if it has a placeholder, replacing an earlier one."""
    at, place = _find(content), path(root, trial_id, what)
    if at is not None:
        content = content[:at] + _checksum(content, at, place.name) + content[at + len(BLANK) :]
    place.replace(lambda file: file.write(content))


def read(root: Location, trial_id: str, what: str) -> bytes | Damage | None:
    """The file's content, or its damage; None if there is no file."""
    place = path(root, trial_id, what)
    return damage.judge(place, lambda content: _as_written(content, place.name))


def kept(root: Location, what: str) -> set[str]:
    """The trials that have such a file."""
    return set((root / FOLDER).names(f".{what}{_SUFFIX}"))


def total_bytes(root: Location) -> int:
    """Total bytes of all of them."""
    folder = root / FOLDER
    found = folder.files.arrow.get_file_info(fs.FileSelector(folder.path, allow_not_found=True))
    return sum(each.size or 0 for each in found)


def _as_written(content: bytes, name: str) -> bytes:
    at = _find(content)
    if at is not None and content[at : at + len(BLANK)] != _checksum(content, at, name):
        raise ValueError(WRONG)
    return content


def _find(content: bytes) -> int | None:
    """The offset of the checksum in the header, which is its length in 8 bytes, then JSON; None without one."""
    mark = f'"{SHA256}":"'.encode()
    found = content.find(mark, 8, 8 + int.from_bytes(content[:8], "little"))
    return None if found < 0 else found + len(mark)


def _checksum(content: bytes, at: int, name: str) -> bytes:
    return checksums.checksum_of(io.BytesIO(content), at, name)
