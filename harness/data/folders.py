"""Any folder of images in a layout that tells splits and labels: Parquet shards, or split/class/ folders."""

from pathlib import Path

from lrlc.harness.data.decoding import Decoding
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.image_folder import image_folders, read_image_folder
from lrlc.harness.data.parquet import read_parquet, shards
from lrlc.harness.data.source import Source


def folder_source(folder: Path, label: str | None) -> Source:
    """What a study names by its path: images as they are, to [0, 1]. DataError where the layout is neither."""
    found = parquet_source(folder, label) or image_folder_source(folder, label)
    if found is None:
        raise DataError(f"{folder}: found neither train-*.parquet nor train/<class>/ folders below it")
    return found


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
    """A folder in the hub's Parquet layout; None where it holds no train shards.

    With `unlabelled_test` the validation shards test, and test shards are not looked at.
    """
    chosen, found = decoding or Decoding(), shards(folder)
    if "train" not in found:
        return None
    if unlabelled_test and "validation" in found:
        found["test"] = found.pop("validation")
    return Source(
        [path for paths in found.values() for path in paths],
        lambda: read_parquet(found, label, chosen, default_label, classes),
        num_classes=classes,
        scaling=scaling,
        validation_fraction=validation_fraction,
        settings=f"{sorted(found)} {chosen} {label or default_label}",
        layout="Parquet",
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
    """split/class/ folders of pictures; None where there is no train/<class>/. Options as for Parquet.

    Files are told by their class folders' times: a picture that was added or removed is noticed, one that was
    rewritten in place is not.
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
    )


def only_label(folder: Path, label: str | None) -> None:
    """DataError where a label is chosen that the data set has no choice of."""
    if label not in (None, "label"):
        raise DataError(
            f"{folder.name}: has one kind of label, {label!r} cannot be chosen; leave `label` out"
        )
