"""Data sets: readers by format, decoded once into a shared cache, gathered in batches."""

from harness.data.batches import DeviceSplit, device_splits
from harness.data.dataset import Dataset, Split
from harness.data.decoding import Decoding
from harness.data.drawing import drawn, shuffled
from harness.data.errors import DataError
from harness.data.folders import folder_source, image_folder_source, parquet_source
from harness.data.listing import check, describe_datasets
from harness.data.loading import as_loaded, load_dataset, pack_dataset
from harness.data.registry import DATASETS, dataset
from harness.data.shelf import HeldSplit, Shelf
from harness.data.source import RawSplit, Source
from harness.data.translate import offsets, shift

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
