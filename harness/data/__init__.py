"""Data sets: readers by format, decoded once into a shared cache, gathered in batches."""

from lrlc.harness.data.batches import DeviceSplit, device_splits
from lrlc.harness.data.dataset import Dataset, Split
from lrlc.harness.data.decoding import Decoding
from lrlc.harness.data.drawing import drawn, shuffled
from lrlc.harness.data.errors import DataError
from lrlc.harness.data.folders import folder_source, image_folder_source, parquet_source
from lrlc.harness.data.listing import check, describe_datasets
from lrlc.harness.data.loading import as_loaded, load_dataset, pack_dataset
from lrlc.harness.data.registry import DATASETS, dataset
from lrlc.harness.data.shelf import HeldSplit, Shelf
from lrlc.harness.data.source import RawSplit, Source
from lrlc.harness.data.translate import offsets, shift

__all__ = [
    "DATASETS",
    "DataError",
    "Dataset",
    "Decoding",
    "DeviceSplit",
    "HeldSplit",
    "RawSplit",
    "Shelf",
    "Source",
    "Split",
    "as_loaded",
    "check",
    "dataset",
    "describe_datasets",
    "device_splits",
    "drawn",
    "folder_source",
    "image_folder_source",
    "load_dataset",
    "offsets",
    "pack_dataset",
    "parquet_source",
    "shift",
    "shuffled",
]
