"""The disk space of missing trials: their rows and kept weights."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from pyarrow import fs

from lrlc.harness.data import as_loaded, load_dataset
from lrlc.harness.training.train import network_of
from lrlc.harness.trial import Trial
from lrlc.results import models
from lrlc.results.schema import SCHEMAS
from lrlc.results.store import Store
from lrlc.studies import Study

USUAL_ROW_BYTES = 20_000
"""Bytes of a trial's rows in all tables if the study has none yet: those of a small network with ten epochs."""

GIGABYTE = 1e9


def disk_bytes(study: Study, store: Store, missing: Sequence[Trial], data_dir: Path | None) -> int:
    """Bytes of all missing trials together; kept weights take at most what is left of `keep_gb`."""
    tables = len(missing) * _row_bytes(store)
    if not study.keep or not missing:
        return tables
    left = max(0, int(GIGABYTE * study.keep_gb) - models.total_bytes(store.root))
    return tables + min(left, sum(_kept_bytes(missing, data_dir)))


def _kept_bytes(missing: Sequence[Trial], data_dir: Path | None) -> Iterator[int]:
    """Bytes of kept weights for each trial; each network is built once."""
    known: dict[object, int] = {}
    for trial in missing:
        config = trial.config
        key = (
            config.dataset.title,
            config.network,
            config.kind,
            config.rank,
            config.placement,
            config.options,
        )
        if trial.keep and key not in known:
            known[key] = _weight_bytes(trial, data_dir)
        yield len(trial.keep) * known[key] if trial.keep else 0


def _row_bytes(store: Store) -> int:
    """Compressed bytes of a row of this study and its companion rows."""
    count = sum(store.counts().values())
    if not count:
        return USUAL_ROW_BYTES
    total = 0
    for table in SCHEMAS:
        folder = store.root / table
        found = folder.files.arrow.get_file_info(fs.FileSelector(folder.path, allow_not_found=True))
        total += sum(each.size or 0 for each in found)
    return total // count


def _weight_bytes(trial: Trial, data_dir: Path | None) -> int:
    """Bytes of the saved network, which is built without allocating memory."""
    dataset = load_dataset(as_loaded(trial.config.dataset), data_dir)
    with torch.device("meta"):
        state = network_of(trial.config, dataset).state_dict()
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values())
