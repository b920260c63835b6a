"""The named data sets, each with its split, crop and scaling (SCIENCE, 'The data')."""

from pathlib import Path

import numpy as np

from harness.data.celeba import DECODING, celeba_files, read_celeba
from harness.data.cifar import cifar_files, read_cifar
from harness.data.errors import DataError
from harness.data.idx import idx_files, read_idx_splits
from harness.data.image_folder import image_folders, read_image_folder
from harness.data.parquet import read_parquet, shards
from harness.data.registry import dataset
from harness.data.source import Decoding, RawSplit, Source

ZERO_TO_ONE, MINUS_ONE_TO_ONE = (0.0, 1.0), (-1.0, 1.0)
DIGITS_TEST = 360


@dataset("digits", needs_folder=False)
def digits(folder: Path, label: str | None) -> Source:
    """scikit-learn's 1,797 handwritten digits, 8x8 grey; a fixed shuffle, the last 360 are the test set."""
    from sklearn import datasets

    def read() -> dict[str, RawSplit]:
        images, labels = datasets.load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(labels))
        # Sixteenths of full ink become bytes.
        pixels = np.round(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)[order]
        train, test = slice(None, -DIGITS_TEST), slice(-DIGITS_TEST, None)
        return {
            "train": RawSplit.of(pixels[train], labels[order][train]),
            "test": RawSplit.of(pixels[test], labels[order][test]),
        }

    return Source([], read, num_classes=10, scaling=ZERO_TO_ONE)


@dataset("mnist")
def mnist(folder: Path, label: str | None) -> Source:
    """Handwritten digits, 28x28 grey, to [-1, 1]; the first 8% of train is validation."""
    return _grey_28(folder, label)


@dataset("fashion_mnist")
def fashion_mnist(folder: Path, label: str | None) -> Source:
    """Clothes, 28x28 grey, scaled and split as MNIST."""
    return _grey_28(folder, label)


@dataset("cifar10")
def cifar10(folder: Path, label: str | None) -> Source:
    """Objects, 32x32 RGB, to [0, 1]; the first 10% of train is validation."""
    if shards(folder):
        return parquet_source(folder, label, Decoding(mode="RGB", size=(32, 32)), classes=10)
    files = cifar_files(folder)
    if files is None:
        raise DataError(f"{folder}: neither Parquet shards nor cifar-10-python.tar.gz")
    return Source(files, lambda: read_cifar(files), num_classes=10, scaling=ZERO_TO_ONE)


@dataset("celeba")
def celeba(folder: Path, label: str | None) -> Source:
    """Aligned faces, cropped and resized to 32x32 RGB, to [0, 1]; official split; an attribute (Male) as label."""
    attribute = label or "Male"
    files = celeba_files(folder)
    if files is not None:
        return Source(
            files,
            lambda: read_celeba(files, attribute),
            num_classes=2,
            scaling=ZERO_TO_ONE,
            settings=f"{DECODING} {attribute}",
        )
    if shards(folder):
        return parquet_source(folder, attribute, DECODING, classes=2)
    raise DataError(
        f"{folder}: needs img_align_celeba (folder or .zip), list_attr_celeba.txt and list_eval_partition.txt, "
        "or Parquet shards"
    )


@dataset("utkface")
def utkface(folder: Path, label: str | None) -> Source:
    """Aligned faces, resized to 32x32 RGB, to [0, 1]; its own split; gender by default (0 male, 1 female)."""
    if label == "age":
        raise DataError("utkface: age is a number, not a class; choose gender or race")
    return parquet_source(folder, label, Decoding(mode="RGB", size=(32, 32)), default_label="gender")


@dataset("imagenet")
def imagenet(folder: Path, label: str | None) -> Source:
    """ImageNet at 224x224 RGB (shorter side to 256, centre cut), to [0, 1]; its validation set is the test set."""
    decoding = Decoding(mode="RGB", size=(224, 224), cover=256)
    if shards(folder):
        found = parquet_source(folder, label, decoding, classes=1000)
    elif image_folders(folder):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        found = Source(files, lambda: read_image_folder(folder, decoding), settings=repr(decoding))
    else:
        raise DataError(f"{folder}: neither Parquet shards nor train/<class>/ and val/<class>/ folders")
    return _validation_as_test(found)


def parquet_source(
    folder: Path,
    label: str | None,
    decoding: Decoding | None = None,
    *,
    classes: int | None = None,
    scaling: tuple[float, float] = ZERO_TO_ONE,
    default_label: str | None = None,
    validation_fraction: float = 0.1,
) -> Source:
    """Any folder in the hub's Parquet layout; DataError where it has no train and test shards."""
    chosen = decoding or Decoding()
    found = shards(folder)
    if "train" not in found:
        raise DataError(f"{folder}: no train-*.parquet below it")
    return Source(
        [path for paths in found.values() for path in paths],
        lambda: read_parquet(folder, label, chosen, default_label),
        num_classes=classes,
        scaling=scaling,
        validation_fraction=validation_fraction,
        settings=f"{chosen} {label or default_label}",
    )


def _grey_28(folder: Path, label: str | None) -> Source:
    if shards(folder):
        return parquet_source(
            folder,
            label,
            Decoding(mode="L", size=(28, 28)),
            classes=10,
            scaling=MINUS_ONE_TO_ONE,
            validation_fraction=0.08,
        )
    files = idx_files(folder)
    if files is None:
        raise DataError(f"{folder}: neither Parquet shards nor the four IDX files")
    paths = [path for pair in files.values() for path in pair]
    return Source(
        paths, lambda: read_idx_splits(files), 10, scaling=MINUS_ONE_TO_ONE, validation_fraction=0.08
    )


def _validation_as_test(found: Source) -> Source:
    """ImageNet's test labels are secret: its 50,000 validation images test, a part of train validates."""

    def read() -> dict[str, RawSplit]:
        splits = dict(found.read())
        if "validation" in splits:
            splits["test"] = splits.pop("validation")
        return splits

    return Source(found.files, read, 1000, validation_fraction=0.01, settings=found.settings)
