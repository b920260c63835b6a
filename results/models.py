"""Kept weights of trained networks: a safetensors file per trial, `models/<trial>.<what>.safetensors`."""

from pyarrow import fs

from lrlc.results.files import Location

FOLDER = "models"
_SUFFIX = ".safetensors"


def path(root: Location, trial_id: str, what: str) -> Location:
    """`what` is one of a study's `keep`: `weights`, `best_weights`."""
    return root / FOLDER / f"{trial_id}.{what}{_SUFFIX}"


def kept(root: Location, what: str) -> set[str]:
    """The trials that have such a file."""
    return set((root / FOLDER).names(f".{what}{_SUFFIX}"))


def total_bytes(root: Location) -> int:
    """Total bytes of all of them."""
    folder = root / FOLDER
    found = folder.files.arrow.get_file_info(fs.FileSelector(folder.path, allow_not_found=True))
    return sum(each.size or 0 for each in found)
