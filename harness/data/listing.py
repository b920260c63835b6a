"""`lrlc data list` and `data check`: which data sets are here, whether they are intact, and what is odd about them."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from lrlc.harness.data.cache import cached, decoded, forget
from lrlc.harness.data.content import Content, Progress, checked_splits
from lrlc.harness.data.dataset import Dataset, Images, Labels
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.loading import cache_name, find_source, load_dataset
from lrlc.harness.data.looks import GREY
from lrlc.harness.data.registry import DATASETS
from lrlc.harness.data.shrink import method
from lrlc.harness.data.source import RawSplit, Source
from lrlc.harness.text import counted
from lrlc.studies import DatasetSpec
from lrlc.studies.errors import plain
from lrlc.studies.titles import Title

NAMED_DAMAGES = 5


@dataclass(frozen=True)
class DatasetStatus:
    """A named data set; `problem` says in one line why it cannot be used here.

    `counts` (images per split as trials use them), `shape` (C, H, W) and `classes` are known once it is decoded.
    """

    name: str
    about: str
    present: bool
    decoded: bool
    problem: str | None
    layout: str | None = None
    where: str | None = None
    counts: Mapping[str, int] | None = None
    shape: tuple[int, int, int] | None = None
    classes: int | None = None

    def summary(self) -> str:
        """One line for `lrlc data list`."""
        if not self.present:
            return f"missing: {self.problem}"
        known = f", decoded, {counted(sum(self.counts.values()), 'image')}" if self.counts else ""
        return f"ready ({self.layout}{known}): {self.about}"

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def describe_datasets(data_dir: Path | None) -> list[DatasetStatus]:
    """Every registered data set, looked for in `data_dir`; decodes nothing."""
    return [_describe(name, data_dir) for name in sorted(DATASETS)]


def check(name: str, data_dir: Path | None, progress: Progress | None = None) -> str:
    """Decode a whole data set, ignoring the cache, and describe it in a few lines.

    `name` is its name or a folder's path, optionally with a label and a size as in tables: 'celeba:Smiling@16'.
    A cache entry that differs from the files is deleted. DataError names up to 5 damaged images, and counts the rest.
    """
    spec = _spec(name)
    source = find_source(spec, data_dir)
    raw, content = checked_splits(name, source), Content(name, source, progress)
    try:
        for split, values in raw.items():
            for _ in content.stream(split, values):
                pass
    except DataError as error:
        raise _with_all_damages(name, raw, error) from error
    replaced = _drop_if_different(cache_name(spec), source, content.digest())
    found = load_dataset(spec, data_dir)
    channels, height, width = found.image_shape
    lines = [
        f"{name}: {source.layout}, {height}x{width}x{channels}{_shrinking(spec, data_dir)}, "
        f"{found.num_classes} classes, digest {found.digest}"
    ]
    lines += [f"  {line}" for line in (*source.choices(), *_features(raw))]
    for split_name in ("train", "validation", "test"):
        labels = getattr(found, split_name).labels
        counts = np.bincount(labels, minlength=found.num_classes)
        lines.append(
            f"  {split_name}: {counted(len(labels), 'image')}, {counts.min():,} to {counts.max():,} per class"
        )
    lines += [f"  {line}" for line in _shared(found)]
    return "\n".join(
        [*lines, *(["  its entry in the cache was damaged and has been replaced"] if replaced else [])]
    )


def _spec(title: str) -> DatasetSpec:
    asked = Title.parse(title)
    named = {"path" if "/" in asked.name else "name": asked.name}
    given = {"label": asked.label, "size": asked.size, "image": asked.image}
    try:
        return DatasetSpec.model_validate({**named, **given})
    except ValidationError as error:
        raise DataError(f"{title}: {plain(error.errors()[0])}") from None


def _features(raw: Mapping[str, RawSplit]) -> list[str]:
    """What is done to some images but not to others."""
    counts = sum((values.features() for values in raw.values() if values.features), Counter[str]())
    total = sum(len(values.labels) for values in raw.values())
    counts = Counter({name: count for name, count in counts.items() if (name, count) != (GREY, total)})
    said = {**{name: name for name in counts}, GREY: "grey, read as RGB among images in colour"}
    return [f"{counted(count, 'image')} {said[name]}" for name, count in sorted(counts.items())]


def _shared(found: Dataset) -> list[str]:
    """How many test images are also in train or validation, and how many images are in two classes, by equal pixels."""
    trained, classes, several = set[bytes](), dict[bytes, int](), set[bytes]()
    shared = 0
    for split in (found.train, found.validation, found.test):
        for image, label in zip(split.images, split.labels.tolist(), strict=True):
            digest = _digest(image)
            shared += split is found.test and digest in trained
            if split is not found.test:
                trained.add(digest)
            if classes.setdefault(digest, label) != label:
                several.add(digest)
    total = len(found.test.labels)
    tested = counted(total, "test image")
    lines = [f"{shared:,} of {tested} are also in train or validation"] if shared else []
    return lines + ([f"{counted(len(several), 'image')} in more than one class"] if several else [])


def _digest(image: Images) -> bytes:
    return hashlib.sha1(np.ascontiguousarray(image).data).digest()


def _shrinking(spec: DatasetSpec, data_dir: Path | None) -> str:
    """The original size and the method, if images are shrunk."""
    if spec.size is None:
        return ""
    original = find_source(spec.model_copy(update={"size": None}), data_dir)
    height, width = next(original.read()["train"].chunks()).shape[1:3]
    return f", shrunk from {height}x{width} ({method(height, width, spec.size)})"


def _with_all_damages(name: str, raw: Mapping[str, RawSplit], first: DataError) -> DataError:
    """The error of the first damaged image, with the others; the error itself if it is about something else."""
    lines: Iterator[str] = chain.from_iterable(values.damage() for values in raw.values() if values.damage)
    named = list(islice(lines, NAMED_DAMAGES))
    more = sum(1 for _ in lines)
    if len(named) < 2:
        return first
    folder = os.path.commonpath(named)
    places = "; ".join(line.removeprefix(f"{folder}/") for line in named)
    rest = f"; and {more} more" if more else ""
    return DataError(
        f"{name}: {counted(len(named) + more, 'damaged image')} in {folder or 'it'}: {places}{rest}"
    )


def _drop_if_different(name: str, source: Source, digest: str) -> bool:
    """Delete the cache entry if its content, all of it, differs from that of its files."""
    entry = cached(name, source)
    if entry is None:
        return False
    content = Content(name, source)
    try:
        for split, held in entry.splits().items():
            for _ in content.stream(split, _pieces(held.images, held.labels)):
                pass
        same = content.digest() == digest
    except DataError:
        same = False
    if not same:
        forget(name, source)
        decoded(name, source)
    return not same


def _pieces(images: np.ndarray, labels: Labels) -> RawSplit:
    return RawSplit(labels, lambda: (images[start : start + 512] for start in range(0, len(images), 512)))


def _describe(name: str, data_dir: Path | None) -> DatasetStatus:
    about, spec = DATASETS[name].summary, DatasetSpec(name=name)
    entry = DATASETS[name]
    where = str(data_dir / entry.folder) if data_dir is not None and entry.needs_folder else None
    try:
        source = find_source(spec, data_dir)
        if cached(name, source) is None:
            return DatasetStatus(name, about, True, False, None, source.layout, where)
        found = load_dataset(spec, data_dir)
    except DataError as error:
        return DatasetStatus(name, about, present=False, decoded=False, problem=str(error), where=where)
    splits = {"train": found.train, "validation": found.validation, "test": found.test}
    counts = {split: len(values.labels) for split, values in splits.items()}
    return DatasetStatus(
        name, about, True, True, None, source.layout, where, counts, found.image_shape, found.num_classes
    )
