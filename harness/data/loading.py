"""From a study's data set to decoded arrays."""

from pathlib import Path

from harness.data.cache import decoded
from harness.data.dataset import Dataset, Split
from harness.data.errors import DataError
from harness.data.named import parquet_source
from harness.data.registry import DATASETS
from harness.data.source import Source
from studies import DatasetSpec


def load_dataset(spec: DatasetSpec, data_dir: Path | None) -> Dataset:
    """Decode (once per machine) and map the data set, with its validation split and its limits applied.

    Raises DataError where its files are missing or wrong.
    """
    found = find_source(spec, data_dir)
    arrays = decoded(spec.name or Path(str(spec.path)).name, found)
    train, validation = arrays.train, arrays.validation
    if validation is None:
        held_out = round(len(train.labels) * found.validation_fraction)
        validation = train.head(held_out)
        train = Split(train.images[held_out:], train.labels[held_out:])
    if not len(train.labels) or not len(validation.labels):
        raise DataError(
            f"{spec.title}: {len(arrays.train.labels)} training images are too few to hold some out"
        )
    return Dataset(
        title=spec.title,
        train=train.head(spec.train_images),
        validation=validation.head(spec.evaluation_images),
        test=arrays.test.head(spec.evaluation_images),
        num_classes=arrays.num_classes,
        scaling=found.scaling,
        digest=arrays.digest,
    )


def find_source(spec: DatasetSpec, data_dir: Path | None) -> Source:
    """The files of a data set; nothing is decoded. DataError says what is missing and how to get it."""
    if spec.path is not None:
        return parquet_source(folder_of(spec.path, data_dir), spec.label)
    entry = DATASETS[str(spec.name)]
    folder = (data_dir or Path()) / entry.name
    if entry.needs_folder:
        if data_dir is None:
            raise DataError(f"{entry.name}: no data folder; give --data DIR or set LRLC_DATA")
        if not folder.is_dir():
            raise DataError(
                f"{entry.name}: no folder {folder}; `lrlc data fetch {entry.name}` makes it or says what to put there"
            )
    return entry.read(folder, spec.label)


def folder_of(path: str, data_dir: Path | None) -> Path:
    """A Parquet folder as a study names it: as it is, or below the data folder."""
    places = [Path(path), *([data_dir / path] if data_dir else [])]
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        raise DataError(f"{path}: no such folder, tried {' and '.join(str(place) for place in places)}")
    return found
