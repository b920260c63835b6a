"""Data sets: readers by format, decoded once into a shared cache, gathered in batches."""

from harness.data.batches import DeviceSplit
from harness.data.dataset import Dataset, Split
from harness.data.errors import DataError
from harness.data.listing import check, describe_datasets
from harness.data.loading import load_dataset
from harness.data.named import parquet_source
from harness.data.registry import DATASETS, dataset
from harness.data.source import Decoding, RawSplit, Source
from harness.data.translate import offsets, shift

__all__ = [
    "DATASETS",
    "DataError",
    "Dataset",
    "Decoding",
    "DeviceSplit",
    "RawSplit",
    "Source",
    "Split",
    "check",
    "dataset",
    "describe_datasets",
    "load_dataset",
    "offsets",
    "parquet_source",
    "shift",
]
