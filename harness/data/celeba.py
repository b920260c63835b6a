"""CelebA as its authors ship it: img_align_celeba (a folder or its zip), attributes and the official partition."""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from harness.data.dataset import Images
from harness.data.errors import DataError
from harness.data.source import Decoding, RawSplit, decode_all

ATTRIBUTES, PARTITION, IMAGES = "list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba"
SPLITS = {"0": "train", "1": "validation", "2": "test"}
DECODING = Decoding(mode="RGB", crop=(20, 40, 158, 178), size=(32, 32))
"""Top 40, left 20, 138x138 of the 178x218 aligned image, bicubic to 32x32 (SCIENCE, 'The data')."""


def celeba_files(folder: Path) -> list[Path] | None:
    """Attributes, partition and images; None unless all are there."""
    images = next((path for path in (folder / IMAGES, folder / f"{IMAGES}.zip") if path.exists()), None)
    texts = [next(iter(sorted(folder.rglob(name))), None) for name in (ATTRIBUTES, PARTITION)]
    if images is None or None in texts:
        return None
    return [path for path in texts if path is not None] + [images]


def read_celeba(files: list[Path], attribute: str) -> Mapping[str, RawSplit]:
    """The official splits with `attribute` as the label (1 where it is present)."""
    attribute_file, partition_file, images = files
    labels, places = _attribute(attribute_file, attribute), _partition(partition_file)
    if missing := labels.keys() - places.keys():
        raise DataError(f"{partition_file}: {min(missing)} has attributes but no split")
    splits = {}
    for code, split in SPLITS.items():
        names = sorted(name for name in labels if places[name] == code)
        chosen = np.array([labels[name] for name in names], np.int64)
        splits[split] = RawSplit(chosen, _chunks(images, names))
    return splits


def _attribute(path: Path, attribute: str) -> dict[str, int]:
    lines = path.read_text().splitlines()
    header = lines[1].split() if len(lines) > 1 else []
    if attribute not in header:
        raise DataError(f"{path}: no attribute {attribute!r}; it has {', '.join(header)}")
    column = header.index(attribute) + 1
    rows = (line.split() for line in lines[2:] if line.strip())
    return {row[0]: int(row[column] == "1") for row in rows}


def _partition(path: Path) -> dict[str, str]:
    rows = (line.split() for line in path.read_text().splitlines() if line.strip())
    return {row[0]: row[1] for row in rows}


def _chunks(images: Path, names: list[str]) -> Callable[[], Iterator[Images]]:
    def encoded() -> Iterator[tuple[str, bytes]]:
        if images.suffix == ".zip":
            with zipfile.ZipFile(images) as archive:
                for name in names:
                    yield f"{images}/{name}", archive.read(f"{IMAGES}/{name}")
        else:
            for name in names:
                yield str(images / name), (images / name).read_bytes()

    def chunks() -> Iterator[Images]:
        try:
            yield from decode_all(encoded(), DECODING)
        except (FileNotFoundError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(f"{images}: an image that the partition names is missing ({error})") from error

    return chunks
