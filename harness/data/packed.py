"""Packed data sets: a folder of decoded arrays that replaces the original files on a machine without them.

<data>/packed/<title>/   the arrays of each split and meta.json, as in the cache, plus source.json
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
    """A packed data set: its arrays, and its source's settings for validation and scaling."""

    arrays: Decoded
    validation_fraction: float
    scaling: tuple[float, float]


def packed(title: str, data_dir: Path | None, path: str | None = None) -> Packed | None:
    """The data set of that title in the data folder, if it was packed there; DataError if it is damaged.

    One that was packed from another path than `path` is a different data set with the same title.
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
        raise DataError(f"{folder}: this packed data set is damaged; pack it again")
    return Packed(arrays, fraction, (float(low), float(high)))


def pack(title: str, name: str, source: Source, out: Path, path: str | None = None) -> Path:
    """Write the data set into the folder `out`, replacing an earlier one; returns its folder there."""
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
