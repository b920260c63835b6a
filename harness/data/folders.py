"""Folders of images whose layout gives splits and labels: Parquet shards, or split/class/ folders."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrlc.harness.data.columns import Asked
from lrlc.harness.data.decoding import Decoding
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.image_folder import image_folders, read_image_folder, unread
from lrlc.harness.data.parquet import chosen_columns, read_parquet
from lrlc.harness.data.shards import find_shards, shards, unused
from lrlc.harness.data.source import Source
from lrlc.studies import StudyError
from lrlc.studies.lines import one_line
from lrlc.studies.paths import expanded

AS_SHOWN = Decoding(as_shown=True)
NAMED = 5


@dataclass(frozen=True)
class Place:
    """A folder that a study names by its path, and one of the configurations in it."""

    folder: Path
    configuration: str | None = None


def folder_source(
    folder: Path, label: str | None, image: str | None = None, configuration: str | None = None
) -> Source:
    """The source for a path in a study: images as a viewer shows them, scaled to [0, 1].

    DataError if the folder has neither layout, or both.
    """
    asked = Asked(label, image, values_as_classes=True)
    parquet = _parquet(folder, shards(folder, configuration), asked, AS_SHOWN)
    pictures = None if configuration else image_folder_source(folder, None, AS_SHOWN)
    if parquet is not None and pictures is not None:
        raise DataError(f"{folder}: holds Parquet shards and train/<class>/ folders; take one of them away")
    if pictures is not None:
        only_label(folder, label)
        if image is not None:
            raise DataError(f"{folder}: class folders have one kind of image; leave `image` out")
    found = parquet or pictures
    if found is None:
        raise DataError(f"{folder}: found neither train-*.parquet nor train/<class>/ folders below it")
    return found


def place_of(path: str, data_dir: Path | None) -> Place:
    """The folder for a path in a study: as given, or below the data folder; '~' is expanded.

    A configuration of shards, such as `small` of my/set/train_small-0.parquet, is named as if it were a folder:
    my/set/small.
    """
    try:
        given = expanded(path)
    except StudyError as error:
        raise DataError(str(error)) from None
    places = list(dict.fromkeys([given, *([data_dir / given] if data_dir else [])]))
    for place in places:
        if os.path.isdir(place):
            return Place(place)
    for place in places:
        if os.path.isdir(place.parent) and any(
            shard.configuration == place.name for shard in find_shards(place.parent)
        ):
            return Place(place.parent, place.name)
    raise DataError(f"{path}: no such folder, tried {' and '.join(str(place) for place in places)}")


def parquet_source(
    folder: Path,
    label: str | None,
    decoding: Decoding | None = None,
    *,
    classes: int | None = None,
    scaling: tuple[float, float] = (0.0, 1.0),
    default_label: str | None = None,
    validation_fraction: float = 0.1,
    unlabelled_test: bool = False,
) -> Source | None:
    """The source for a folder in the hub's Parquet layout; None if it has no train shards.

    With `unlabelled_test` the validation shards are the test split, and test shards are ignored.
    """
    found = shards(folder)
    if unlabelled_test and "train" in found and "validation" in found:
        found["test"] = found.pop("validation")
    asked = Asked(label, default_label=default_label)
    return _parquet(
        folder,
        found,
        asked,
        decoding or Decoding(),
        classes,
        scaling=scaling,
        validation_fraction=validation_fraction,
    )


def _parquet(
    folder: Path,
    found: Mapping[str, Sequence[Path]],
    asked: Asked,
    decoding: Decoding,
    classes: int | None = None,
    *,
    scaling: tuple[float, float] = (0.0, 1.0),
    validation_fraction: float = 0.1,
) -> Source | None:
    if "train" not in found:
        return None
    files = [path for paths in found.values() for path in paths]
    return Source(
        files,
        lambda: read_parquet(found, asked, decoding, classes),
        num_classes=classes,
        scaling=scaling,
        validation_fraction=validation_fraction,
        settings=f"{sorted(found)} {decoding} {asked}",
        layout="Parquet",
        choices=lambda: [str(chosen_columns(found, asked)), *_not_read(folder, unused(folder, files))],
    )


def image_folder_source(
    folder: Path,
    label: str | None,
    decoding: Decoding | None = None,
    *,
    classes: int | None = None,
    validation_fraction: float = 0.1,
    unlabelled_test: bool = False,
) -> Source | None:
    """The source for split/class/ folders of pictures; None if there is no train/<class>/. Options as for Parquet.

    Changes are detected by the times of the class folders: added or removed pictures are noticed, but not those
    rewritten in place.
    """
    chosen, found = decoding or Decoding(), image_folders(folder)
    if "train" not in found:
        return None
    only_label(folder, label)
    if unlabelled_test and "validation" in found:
        found["test"] = found.pop("validation")
    return Source(
        [child for children in found.values() for child in children],
        lambda: read_image_folder(found, chosen),
        num_classes=classes or len(found["train"]),
        validation_fraction=validation_fraction,
        settings=f"{sorted(found)} {chosen}",
        layout="image folders",
        choices=lambda: [_classes(found["train"]), *_not_read(folder, unread(folder, found))],
    )


def only_label(folder: Path, label: str | None) -> None:
    """DataError if a label is chosen for a data set that has only one."""
    if label not in (None, "label"):
        raise DataError(
            f"{folder.name}: has one kind of label, {label!r} cannot be chosen; leave `label` out"
        )


def _classes(folders: Sequence[Path]) -> str:
    more = f" and {len(folders) - NAMED:,} more" if len(folders) > NAMED else ""
    return f"classes from 0 on: {', '.join(one_line(child.name) for child in folders[:NAMED])}{more}"


def _not_read(folder: Path, paths: Sequence[Path]) -> list[str]:
    shown = ", ".join(one_line(str(path.relative_to(folder))) for path in paths[:NAMED])
    more = f" and {len(paths) - NAMED:,} more" if len(paths) > NAMED else ""
    return [f"not read: {shown}{more}"] if paths else []
