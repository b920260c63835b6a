"""CIFAR-10's Python archive, read without unpickling anything but arrays and plain values."""

import io
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.errors import DataError
from harness.data.source import RawSplit

FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"
BATCHES = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


def cifar_files(folder: Path) -> list[Path] | None:
    """The extracted batches or the archive; None where neither is there."""
    names = [name for names in BATCHES.values() for name in names]
    for place in (folder / FOLDER, folder):
        if all((place / name).is_file() for name in names):
            return [place / name for name in names]
    archive = folder / ARCHIVE
    return [archive] if archive.is_file() else None


def read_cifar(files: list[Path]) -> Mapping[str, RawSplit]:
    """Train and test as (N, 32, 32, 3) uint8; DataError where a file is not what CIFAR-10 ships."""
    contents = (
        _from_archive(files[0]) if files[0].name == ARCHIVE else {f.name: f.read_bytes() for f in files}
    )
    splits = {}
    for split, names in BATCHES.items():
        batches = [_batch(name, contents, files[0]) for name in names]
        images = np.concatenate([images for images, _ in batches])
        splits[split] = RawSplit.of(images, np.concatenate([labels for _, labels in batches]))
    return splits


def _from_archive(path: Path) -> dict[str, bytes]:
    wanted = {name for names in BATCHES.values() for name in names}
    contents = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name).name
                file = archive.extractfile(member) if name in wanted and member.isfile() else None
                if file is not None:
                    contents[name] = file.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{path}: not a whole archive ({error}); fetch it again") from error
    return contents


def _batch(name: str, contents: Mapping[str, bytes], where: Path) -> tuple[Any, Any]:
    if name not in contents:
        raise DataError(f"{where}: no {name} in it; fetch it again")
    try:
        batch = _ArraysOnly(io.BytesIO(contents[name]), encoding="bytes").load()
        images = np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        labels = np.asarray(batch[b"labels"], np.int64)
    except (pickle.UnpicklingError, KeyError, TypeError, ValueError, EOFError, AttributeError) as error:
        raise DataError(f"{where}: {name} is not a CIFAR-10 batch ({error}); fetch it again") from error
    if len(images) != len(labels) or labels.min(initial=0) < 0 or labels.max(initial=0) > 9:
        raise DataError(
            f"{where}: {name} has {len(images)} images and {len(labels)} labels, or labels outside 0..9"
        )
    return images, labels


class _ArraysOnly(pickle.Unpickler):
    """A pickle can name any function to call; this one knows only those that rebuild arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR-10 file needs")
        return super().find_class(module, name)
