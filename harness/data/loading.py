"""Load a study's data set as decoded arrays."""

from dataclasses import replace
from pathlib import Path

import lrlc.harness.data.named  # noqa: F401 - registers the shipped data sets
from lrlc.harness.data.cache import Decoded, decoded
from lrlc.harness.data.content import Progress
from lrlc.harness.data.dataset import Dataset, Split
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.folders import folder_source, place_of
from lrlc.harness.data.mixing import unlike_the_rest
from lrlc.harness.data.packed import Packed, pack, packed
from lrlc.harness.data.registry import known
from lrlc.harness.data.shrink import shrunk
from lrlc.harness.data.source import Source
from lrlc.studies import DatasetSpec
from lrlc.studies.titles import Title


def load_dataset(spec: DatasetSpec, data_dir: Path | None, progress: Progress | None = None) -> Dataset:
    """Decode (once per machine) and map the data set, with its validation split and its limits applied.

    The seed's choices are made later (`device_splits`); with `draw: seed` this has the whole training split.
    `progress` is called if this process decodes. Raises DataError if files are missing or wrong.
    """
    found = packed(packed_title(spec), data_dir, spec.path)
    if found is None:
        source = find_source(spec, data_dir)
        arrays = decoded(cache_name(spec), source, progress)
        found = Packed(arrays, source.validation_fraction, source.scaling)
    arrays = found.arrays
    train, validation = with_validation(spec, arrays, found.validation_fraction)
    if spec.draw == "seed":
        _check_enough(spec, train)
    elif spec.train_images is not None:
        _check_mixed(spec, "train", train, spec.train_images)
    if spec.evaluation_images is not None:
        _check_mixed(spec, "validation", validation, spec.evaluation_images)
        _check_mixed(spec, "test", arrays.test, spec.evaluation_images)
    return Dataset(
        title=spec.title,
        train=train if spec.draw == "seed" else train.head(spec.train_images),
        validation=validation.head(spec.evaluation_images),
        test=arrays.test.head(spec.evaluation_images),
        num_classes=arrays.num_classes,
        scaling=found.scaling,
        digest=arrays.digest,
    )


def as_loaded(spec: DatasetSpec) -> DatasetSpec:
    """The part of `spec` that loading depends on, equal for all trials that share the arrays."""
    seeded: dict[str, object] = {"translate": 0, "shuffle_labels": False}
    if spec.draw == "seed":
        seeded |= {"draw": "first", "train_images": None}
    return spec.model_copy(update=seeded)


def pack_dataset(spec: DatasetSpec, data_dir: Path | None, out: Path) -> Path:
    """Write the decoded data set into the folder `out`, where `load_dataset` finds it; returns its folder there.

    It is packed whole; limits, draws and shifts are applied as usual after loading.
    """
    return pack(packed_title(spec), cache_name(spec), find_source(spec, data_dir), out, spec.path)


def packed_title(spec: DatasetSpec) -> str:
    """The title of a packed data set, which covers how it is decoded but not how it is modified afterwards."""
    name = spec.name or Path(str(spec.path)).name
    return str(Title(name, label=spec.label, size=spec.size, image=spec.image))


def find_source(spec: DatasetSpec, data_dir: Path | None) -> Source:
    """The files of a data set, to be shrunk to its `size` if it has one; nothing is decoded.

    DataError says what is missing and how to get it.
    """
    found = _source(spec, data_dir)
    return shrunk(cache_name(spec), found, spec.size) if spec.size else found


def _source(spec: DatasetSpec, data_dir: Path | None) -> Source:
    if spec.path is not None:
        place = place_of(spec.path, data_dir)
        return folder_source(place.folder, spec.label, spec.image, place.configuration)
    entry = known(str(spec.name))
    folder = (data_dir or Path()) / entry.folder
    if entry.needs_folder:
        if data_dir is None:
            raise DataError(
                f"{entry.name}: no data folder; give --data DIR (data= in Python) or set LRLC_DATA"
            )
        if not folder.is_dir():
            raise DataError(
                f"{entry.name}: no folder {folder}; `lrlc data fetch {entry.folder}` makes it or says what to put there"
            )
    found = entry.read(folder, spec.label)
    return replace(found, settings=f"{found.settings} {entry.version}")


def cache_name(spec: DatasetSpec) -> str:
    """The name of its cache entry, without the digits that identify its content."""
    return str(Title(spec.name or Path(str(spec.path)).name, size=spec.size))


def with_validation(spec: DatasetSpec, arrays: Decoded, fraction: float) -> tuple[Split, Split]:
    """Train and validation, which is the first `fraction` of train if the data set has no validation split.

    DataError if that would not be a fair sample of train.
    """
    train, validation = arrays.train, arrays.validation
    if validation is not None:
        return train, validation
    held_out = round(len(train.labels) * fraction)
    if not 0 < held_out < len(train.labels):
        raise DataError(f"{spec.title}: {len(train.labels)} training images are too few to hold some out")
    _check_mixed(spec, "train", train, held_out)
    return Split(train.images[held_out:], train.labels[held_out:]), train.head(held_out)


def _check_enough(spec: DatasetSpec, train: Split) -> None:
    """DataError if there are fewer images than a seed draws."""
    asked = spec.train_images or 0
    if asked > len(train.labels):
        raise DataError(
            f"{spec.title}: cannot draw {asked:,} of {len(train.labels):,} training images; "
            f"give a `train_images` up to {len(train.labels):,}"
        )


def _check_mixed(spec: DatasetSpec, name: str, split: Split, count: int) -> None:
    """DataError if the first `count` images of a split are not a fair sample of it."""
    if (reason := unlike_the_rest(split.labels, count)) is not None:
        raise DataError(f"{spec.title}: the rows of {name} {reason}; shuffle the rows")
