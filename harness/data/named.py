"""The named data sets, each with its split, crop and scaling (docs/science.md, "The data")."""

from pathlib import Path

import numpy as np

from lrlc.harness.data.celeba import (
    ATTRIBUTES,
    DECODING,
    IMAGES,
    PARTITION,
    PLAIN_DECODING,
    celeba_files,
    read_celeba,
)
from lrlc.harness.data.cifar import ARCHIVE, FOLDER, cifar_files, read_cifar
from lrlc.harness.data.decoding import Decoding
from lrlc.harness.data.errors import DataError, missing
from lrlc.harness.data.folders import image_folder_source, only_label, parquet_source
from lrlc.harness.data.idx import idx_files, read_idx_splits
from lrlc.harness.data.registry import dataset
from lrlc.harness.data.source import RawSplit, Source

ZERO_TO_ONE, MINUS_ONE_TO_ONE = (0.0, 1.0), (-1.0, 1.0)
DIGITS_TEST = 360


@dataset("digits", needs_folder=False)
def digits(folder: Path, label: str | None) -> Source:
    """scikit-learn's 1,797 handwritten digits, 8x8 grey; a fixed shuffle, the last 360 are the test set."""

    def read() -> dict[str, RawSplit]:
        from sklearn import datasets  # takes a second or two, only at the first decoding

        images, labels = datasets.load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(labels))
        # The values are sixteenths of full ink.
        pixels = np.round(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)[order]
        train, test = slice(None, -DIGITS_TEST), slice(-DIGITS_TEST, None)
        return {
            "train": RawSplit.of(pixels[train], labels[order][train]),
            "test": RawSplit.of(pixels[test], labels[order][test]),
        }

    only_label(folder, label)
    return Source([], read, num_classes=10, scaling=ZERO_TO_ONE, layout="scikit-learn's")


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
    if found := parquet_source(folder, label, Decoding(mode="RGB", size=(32, 32)), classes=10):
        return found
    files = cifar_files(folder)
    if files is None:
        raise missing(folder, f"train-*.parquet nor {ARCHIVE} nor {FOLDER}/")
    only_label(folder, label)
    return Source(
        files,
        lambda: read_cifar(files),
        num_classes=10,
        scaling=ZERO_TO_ONE,
        layout="Python archive" if len(files) == 1 else "Python batches",
    )


@dataset("celeba", shows_people=True)
def celeba(folder: Path, label: str | None) -> Source:
    """Aligned faces, cropped and resized to 32x32 RGB, to [0, 1]; official split; an attribute (Male) as label."""
    return _celeba(folder, label, DECODING)


@dataset("celeba_plain", shows_people=True, folder="celeba")
def celeba_plain(folder: Path, label: str | None) -> Source:
    """The images of celeba shrunk without antialiasing, as TensorFlow 1's resize_bicubic does."""
    return _celeba(folder, label, PLAIN_DECODING)


def _celeba(folder: Path, label: str | None, decoding: Decoding) -> Source:
    attribute = label or "Male"
    files = celeba_files(folder)
    if files is not None:
        return Source(
            files,
            lambda: read_celeba(files, attribute, decoding),
            num_classes=2,
            scaling=ZERO_TO_ONE,
            settings=f"{decoding} {attribute}",
            layout=f"{files[-1].name} and lists",
        )
    if found := parquet_source(folder, attribute, decoding, classes=2):
        return found
    raise missing(
        folder, f"{IMAGES} (a folder or .zip with {ATTRIBUTES} and {PARTITION}) nor train-*.parquet"
    )


@dataset("utkface", shows_people=True)
def utkface(folder: Path, label: str | None) -> Source:
    """Aligned faces, resized to 32x32 RGB, to [0, 1]; its own split; gender by default (0 male, 1 female)."""
    if label == "age":
        raise DataError("utkface: age is a number, not a class; choose gender or race")
    decoding = Decoding(mode="RGB", size=(32, 32))
    return _parquet_only(folder, parquet_source(folder, label, decoding, default_label="gender"))


@dataset("elpv")
def elpv(folder: Path, label: str | None) -> Source:
    """Photographs of solar cells, 300x300 grey, to [0, 1]; its own split; defect by default, or poly."""
    decoding = Decoding(mode="L", size=(300, 300))
    return _parquet_only(folder, parquet_source(folder, label, decoding, classes=2, default_label="defect"))


@dataset("orl", shows_people=True)
def orl(folder: Path, label: str | None) -> Source:
    """Faces of 40 people, 112x92 grey, to [0, 1]; its own split; the person as label."""
    decoding = Decoding(mode="L", size=(112, 92))
    return _parquet_only(folder, parquet_source(folder, label, decoding, classes=40))


@dataset("imagenet")
def imagenet(folder: Path, label: str | None) -> Source:
    """ImageNet at 224x224 RGB (shorter side to 256, centre cut), to [0, 1]; its validation set is the test set."""
    # Its test labels are secret: the 50,000 validation images are the test set, and part of train is held out.
    decoding = Decoding(mode="RGB", size=(224, 224), cover=256)
    for layout in (parquet_source, image_folder_source):
        found = layout(folder, label, decoding, classes=1000, validation_fraction=0.01, unlabelled_test=True)
        if found is not None:
            return found
    raise missing(folder, "train-*.parquet nor train/<class>/ and val/<class>/ folders")


def _grey_28(folder: Path, label: str | None) -> Source:
    decoding = Decoding(mode="L", size=(28, 28))
    found = parquet_source(
        folder, label, decoding, classes=10, scaling=MINUS_ONE_TO_ONE, validation_fraction=0.08
    )
    if found is not None:
        return found
    files = idx_files(folder)
    if files is None:
        raise missing(folder, "train-*.parquet nor train-images-idx3-ubyte[.gz] and its three companions")
    only_label(folder, label)
    return Source(
        [path for pair in files.values() for path in pair],
        lambda: read_idx_splits(files),
        num_classes=10,
        scaling=MINUS_ONE_TO_ONE,
        validation_fraction=0.08,
        layout="IDX files",
    )


def _parquet_only(folder: Path, found: Source | None) -> Source:
    if found is None:
        raise missing(folder, "train-*.parquet nor folders that hold it")
    return found
