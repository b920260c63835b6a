"""Which data sets are at hand, and whether they are whole."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from harness.data.cache import cached
from harness.data.errors import DataError
from harness.data.loading import find_source, load_dataset
from harness.data.registry import DATASETS
from studies import DatasetSpec


@dataclass(frozen=True)
class DatasetStatus:
    """A named data set; `problem` says in a line why it cannot be used here."""

    name: str
    about: str
    present: bool
    decoded: bool
    problem: str | None

    def summary(self) -> str:
        """For people."""
        if self.present:
            return f"ready{', decoded' if self.decoded else ''}: {self.about}"
        return f"missing: {self.problem}"

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def describe_datasets(data_dir: Path | None) -> list[DatasetStatus]:
    """Every registered data set, looked for in `data_dir`; decodes nothing."""
    return [_describe(name, data_dir) for name in sorted(DATASETS)]


def check(name: str, data_dir: Path | None) -> str:
    """Decode a data set whole and describe it in a few lines. DataError names what is damaged."""
    spec = DatasetSpec(path=name) if "/" in name else DatasetSpec(name=known(name))
    found = load_dataset(spec, data_dir)
    channels, height, width = found.image_shape
    lines = [f"{name}: {height}x{width}x{channels}, {found.num_classes} classes, digest {found.digest}"]
    for split_name in ("train", "validation", "test"):
        labels = getattr(found, split_name).labels
        counts = np.bincount(labels, minlength=found.num_classes)
        lines.append(
            f"  {split_name}: {len(labels):,} images, {counts.min():,} to {counts.max():,} per class"
        )
    return "\n".join(lines)


def known(name: str) -> str:
    """`name`, or a DataError with those that exist."""
    if name not in DATASETS:
        raise DataError(f"unknown data set {name!r}; known: {', '.join(sorted(DATASETS))}")
    return name


def _describe(name: str, data_dir: Path | None) -> DatasetStatus:
    try:
        found = find_source(DatasetSpec(name=name), data_dir)
    except DataError as error:
        return DatasetStatus(name, DATASETS[name].summary, present=False, decoded=False, problem=str(error))
    return DatasetStatus(name, DATASETS[name].summary, True, cached(name, found) is not None, None)
