"""CelebA as distributed: img_align_celeba (a folder or its zip), attributes and the official partition."""

import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from lrlc.harness.data.decoding import Decoding, Encoded
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.limits import MOST_ENCODED_BYTES
from lrlc.harness.data.source import RawSplit
from lrlc.harness.data.walk import encoded_bytes
from lrlc.harness.errors import first_line
from lrlc.studies.paths import check_regular

ATTRIBUTES, PARTITION, IMAGES = "list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba"
SPLITS = {"0": "train", "1": "validation", "2": "test"}
PLACES = ("", "Anno", "Eval", "Img")
"""The folders of its download; files without them are also accepted."""

DECODING = Decoding(mode="RGB", crop=(20, 40, 158, 178), size=(32, 32))
"""Top 40, left 20, 138x138 of the 178x218 aligned image, bicubic to 32x32 (docs/science.md, "The data")."""
PLAIN_DECODING = replace(DECODING, antialias=False)


def celeba_files(folder: Path) -> list[Path] | None:
    """The files of attributes, partition and images; None without such images, DataError if a list is missing."""
    images = _find(folder, IMAGES) or _find(folder, f"{IMAGES}.zip")
    if images is None:
        return None
    lists = []
    for name in (ATTRIBUTES, PARTITION):
        path = _find(folder, name)
        if path is None:
            raise DataError(f"{folder}: has {images.name} but no {name}")
        lists.append(path)
    return [*lists, images]


def read_celeba(files: list[Path], attribute: str, decoding: Decoding) -> Mapping[str, RawSplit]:
    """The official splits with `attribute` as the label (1 where it is present)."""
    attribute_file, partition_file, images = files
    labels, places = _attribute(attribute_file, attribute), _partition(partition_file)
    if missing := labels.keys() - places.keys():
        raise DataError(f"{partition_file}: {min(missing)} has attributes but no split")
    splits = {}
    for code, split in SPLITS.items():
        names = sorted(name for name in labels if places[name] == code)
        chosen = np.array([labels[name] for name in names], np.int64)
        splits[split] = RawSplit.encoded(chosen, _images(images, names), decoding)
    return splits


def _find(folder: Path, name: str) -> Path | None:
    return next((folder / place / name for place in PLACES if (folder / place / name).exists()), None)


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Line numbers from 1 and words; empty lines are left out."""
    try:
        check_regular(path)
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)})") from error
    return [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]


def _attribute(path: Path, attribute: str) -> dict[str, int]:
    lines = _lines(path)
    header = lines[1][1] if len(lines) > 1 else []
    if attribute not in header:
        raise DataError(f"{path}: no attribute {attribute!r}; it has {', '.join(header) or 'none'}")
    column = header.index(attribute) + 1
    values = {}
    for number, words in lines[2:]:
        if len(words) != len(header) + 1 or words[column] not in ("1", "-1"):
            raise DataError(f"{path} line {number}: not an image and {len(header)} values of 1 or -1")
        values[words[0]] = int(words[column] == "1")
    return values


def _partition(path: Path) -> dict[str, str]:
    places = {}
    for number, words in _lines(path):
        if len(words) != 2 or words[1] not in SPLITS:
            raise DataError(f"{path} line {number}: not an image and its split, 0 to 2")
        places[words[0]] = words[1]
    return places


def _images(images: Path, names: list[str]) -> Callable[[], Iterator[Encoded]]:
    def from_folder() -> Iterator[Encoded]:
        for name in names:
            yield str(images / name), encoded_bytes(images / name)

    def from_zip() -> Iterator[Encoded]:
        name = ""
        try:
            with zipfile.ZipFile(images) as archive:
                for name in names:
                    if archive.getinfo(f"{IMAGES}/{name}").file_size > MOST_ENCODED_BYTES:
                        raise DataError(f"{images}: {name} in it is larger than any image; fetch it again")
                    yield f"{images}/{name}", archive.read(f"{IMAGES}/{name}")
        except KeyError as error:
            raise DataError(f"{images}: no {IMAGES}/{name} in it, which {ATTRIBUTES} names") from error
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
            raise DataError(f"{images}: damaged near {name} ({first_line(error)}); fetch it again") from error

    return from_zip if images.suffix == ".zip" else from_folder
