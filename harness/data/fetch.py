"""Download a data set from the hub that keeps it, at a pinned revision; say how to place it by hand elsewhere."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from harness.data.errors import DataError
from harness.data.listing import known


@dataclass(frozen=True)
class Origin:
    """A dataset repository of the Hugging Face hub and the commit of it that is fetched."""

    repository: str
    revision: str


ORIGINS = {
    "mnist": Origin("ylecun/mnist", "77f3279092a1c1579b2250db8eafed0ad422088c"),
    "cifar10": Origin("uoft-cs/cifar10", "0b2714987fa478483af9968de7c934580d0bb9a2"),
}

BY_HAND = {
    "mnist": "Parquet shards (train-*.parquet, test-*.parquet) or the four IDX files",
    "cifar10": "Parquet shards (train-*.parquet, test-*.parquet) or cifar-10-python.tar.gz",
    "fashion_mnist": "the four IDX files (train-images-idx3-ubyte.gz and so on) or Parquet shards",
    "celeba": "img_align_celeba (folder or .zip), list_attr_celeba.txt and list_eval_partition.txt",
    "utkface": "Parquet shards (train-, valid- and test-*.parquet) with columns image and gender",
    "imagenet": "Parquet shards, or train/<class>/ and val/<class>/ folders of images; its licence asks for a login",
}


def fetch(name: str, data_dir: Path) -> Path:
    """Put the data set under `data_dir/name` and return that folder.

    Raises DataError, with the files to place by hand, where there is no hub, no network or no open copy.
    """
    folder = data_dir / known(name)
    by_hand = f"put {BY_HAND.get(name, 'its files')} into {folder}"
    if name not in ORIGINS:
        raise DataError(f"{name} cannot be fetched; {by_hand}")
    if importlib.util.find_spec("huggingface_hub") is None:
        raise DataError(f"fetching needs huggingface_hub: pip install 'lrlc-bench[hub]', or {by_hand}")
    from huggingface_hub import HfApi, snapshot_download

    origin = ORIGINS[name]
    try:
        HfApi().dataset_info(origin.repository, revision=origin.revision, timeout=10)  # fails at once offline
        snapshot_download(
            origin.repository,
            repo_type="dataset",
            revision=origin.revision,
            allow_patterns="*.parquet",
            local_dir=folder,
        )
    except Exception as error:  # httpx's, requests' and the hub's own errors share no base
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise DataError(f"{name}: {origin.repository} could not be reached ({reason}); {by_hand}") from error
    return folder
