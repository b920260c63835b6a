"""Download a data set from its hub at a pinned revision, or say which files to place by hand."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from lrlc.harness.data.errors import DataError
from lrlc.harness.data.registry import known
from lrlc.harness.errors import first_line


@dataclass(frozen=True)
class Origin:
    """A dataset repository of the Hugging Face hub, with the commit and the files to fetch."""

    repository: str
    revision: str
    files: tuple[str, ...] = ("*.parquet",)
    gated: bool = False


ORIGINS = {
    "mnist": Origin("ylecun/mnist", "77f3279092a1c1579b2250db8eafed0ad422088c"),
    "fashion_mnist": Origin("zalando-datasets/fashion_mnist", "531be5e2ccc9dba0c201ad3ae567a4f3d16ecdd2"),
    "cifar10": Origin("uoft-cs/cifar10", "0b2714987fa478483af9968de7c934580d0bb9a2"),
    "celeba": Origin("flwrlabs/celeba", "2d738f56e0e7f925ea36ae7c808ea925264aacec"),
    "imagenet": Origin(
        "ILSVRC/imagenet-1k",
        "49e2ee26f3810fb5a7536bbf732a7b07389a47b5",
        ("data/train-*.parquet", "data/validation-*.parquet"),
        gated=True,
    ),
}

BY_HAND = {
    "mnist": "Parquet shards (train-*.parquet, test-*.parquet) or the four IDX files",
    "cifar10": "Parquet shards (train-*.parquet, test-*.parquet) or cifar-10-python.tar.gz",
    "fashion_mnist": "the four IDX files (train-images-idx3-ubyte.gz and so on) or Parquet shards",
    "celeba": "img_align_celeba (folder or .zip), list_attr_celeba.txt and list_eval_partition.txt, or Parquet shards",
    "utkface": "Parquet shards (train-, valid- and test-*.parquet) with columns image, gender and race",
    "elpv": "Parquet shards (train-, valid- and test-*.parquet) with columns image, defect and poly",
    "orl": "Parquet shards (train-, valid- and test-*.parquet) with columns image and label",
    "imagenet": "Parquet shards (train-*.parquet, validation-*.parquet), or train/<class>/ and val/<class>/ folders",
}


def fetch(name: str, data_dir: Path) -> Path:
    """Download the data set into `data_dir/name` (or the name whose files it shares) and return that folder.

    Raises DataError, with the files to place by hand, without a hub, a network or a freely available copy.
    """
    entry = known(name)
    if not entry.needs_folder:
        raise DataError(f"{name}: needs no files, so there is nothing to fetch")
    name = entry.folder
    folder = data_dir / name
    by_hand = f"put {BY_HAND.get(name, 'its files')} into {folder}"
    if name not in ORIGINS:
        raise DataError(f"{name} cannot be fetched; {by_hand}")
    if importlib.util.find_spec("huggingface_hub") is None:
        raise DataError(f"fetching needs huggingface_hub: pip install 'lrlc-bench[hub]', or {by_hand}")
    try:
        _download(ORIGINS[name], folder)
    except Exception as error:  # errors of httpx, requests and the hub have no common base
        raise DataError(f"{name}: {_reason(ORIGINS[name], error)}; {by_hand}") from error
    return folder


def _download(origin: Origin, folder: Path) -> None:
    from huggingface_hub import HfApi, snapshot_download

    HfApi().dataset_info(
        origin.repository, revision=origin.revision, timeout=10
    )  # fails quickly when offline
    snapshot_download(
        origin.repository,
        repo_type="dataset",
        revision=origin.revision,
        allow_patterns=list(origin.files),
        local_dir=folder,
    )


def _reason(origin: Origin, error: Exception) -> str:
    page = f"https://huggingface.co/datasets/{origin.repository}"
    if origin.gated and getattr(getattr(error, "response", None), "status_code", None) in (401, 403):
        return f"{origin.repository} asks you to accept its terms at {page} and to log in (`hf auth login`)"
    return f"{origin.repository} could not be fetched ({first_line(error)})"
