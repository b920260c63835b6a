"""Data sets packed decoded: a folder that stands in for the files they were read from, on a machine without these.

<data>/packed/<title>/   the arrays of each split and meta.json, as in the cache, and source.json beside them
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from lrlc.harness.data.cache import Decoded, decoded_folder, open_folder
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.source import Source
from lrlc.results import documents

FOLDER = "packed"
_SOURCE = "source.json"


@dataclass(frozen=True)
class Packed:
    """A packed data set: its arrays, and what its source says of validation and scaling."""

    arrays: Decoded
    validation_fraction: float
    scaling: tuple[float, float]


def packed(title: str, data_dir: Path | None, path: str | None = None) -> Packed | None:
    """The data set of that title in the data folder, if it was packed there; DataError where it is damaged.

    One that was named by another path than `path` is another that happens to be called the same.
    """
    if data_dir is None or not (folder := _folder(title, data_dir)).is_dir():
        return None
    arrays = open_folder(folder)
    try:
        facts = documents.opened(_SOURCE, (folder / _SOURCE).read_bytes())
        fraction, (low, high) = float(facts["validation_fraction"]), facts["scaling"]
    except (OSError, ValueError, KeyError, TypeError):
        arrays = None
    if arrays is not None and facts.get("path", path) != path:
        return None
    if arrays is None:
        raise DataError(f"{folder}: a packed data set that is damaged; pack it again")
    return Packed(arrays, fraction, (float(low), float(high)))


def pack(title: str, name: str, source: Source, out: Path, path: str | None = None) -> Path:
    """Write the data set into the folder `out`, in place of an earlier one; returns where it lies."""
    folder = _folder(title, out)
    hidden = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(hidden, ignore_errors=True)
    shutil.copytree(decoded_folder(name, source), hidden)
    facts = {"validation_fraction": source.validation_fraction, "scaling": list(source.scaling), "path": path}
    (hidden / _SOURCE).write_bytes(documents.sealed(_SOURCE, facts))
    shutil.rmtree(folder, ignore_errors=True)
    hidden.rename(folder)
    return folder


def _folder(title: str, data_dir: Path) -> Path:
    return data_dir / FOLDER / title.replace("/", "_")
