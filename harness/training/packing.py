"""How many trials share a GPU: as many as fit in its memory, given each configuration's peak."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch

from lrlc import layers
from lrlc.harness.data import Dataset
from lrlc.harness.data.shelf import SHARE_OF_FREE_MEMORY, SPARE_SHARE
from lrlc.harness.training.train import network_of
from lrlc.harness.trial import Trial
from lrlc.studies.trial_config import TrialConfig

BYTES_PER_PARAMETER = 16
"""A float32 value, its gradient, its momentum and its update."""
MORE_BYTES_PER_PARAMETER = 4
"""For a second moment, which every optimizer except sgd may have, and for an average of the weights."""

OVERHEAD_BYTES = 800 * 2**20
"""GPU memory that a process holds before its first tensor: the CUDA context, and cuBLAS's and cuDNN's workspaces."""

MARGIN = 1.25
"""Margin for memory fragmentation in the allocator."""


RAY_UNITS = 10_000
"""Ray rounds shares of a GPU to ten-thousandths, so six times 1/6 would be more than one GPU."""


@dataclass
class Packing:
    """The share of a GPU of `gpu_bytes` that a trial gets: 1, 1/2, 1/3 ... but at least 1/`most`.

    The memory of a configuration that has run on a GPU is known from its rows (`peaks`). For others it is estimated
    from what the network keeps for the backward pass, counted on the meta device, where nothing is computed.
    """

    gpu_bytes: int
    most: int
    dataset: Callable[[TrialConfig], Dataset]
    peaks: Mapping[str, float]
    _estimates: dict[str, float] = field(default_factory=dict)

    def share(self, trial: Trial) -> float:
        """The share for the trial, between 1/`most` and 1."""
        key = _without_seed(trial.config.canonical())
        need = self.peaks.get(key) or self._estimates.get(key)
        if need is None:
            need = self._estimates[key] = self._estimate(trial.config)
        fits = math.floor(self.gpu_bytes / (MARGIN * need + OVERHEAD_BYTES + SPARE_SHARE * self.gpu_bytes))
        return math.floor(RAY_UNITS / min(max(fits, 1), self.most)) / RAY_UNITS

    def _estimate(self, config: TrialConfig) -> float:
        """Bytes of tensors at the peak of a training step, including the data set if it would be on the device."""
        dataset = self.dataset(config)
        with torch.device("meta"):
            model = network_of(config, dataset)
        activations = config.train.batch_size * layers.activation_bytes(model, dataset.image_shape)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        more = (config.train.optimizer != "sgd") + (config.train.ema is not None)
        per_parameter = BYTES_PER_PARAMETER + more * MORE_BYTES_PER_PARAMETER
        sizes = [split.images.nbytes for split in (dataset.train, dataset.validation, dataset.test)]
        images = sum(
            size for size in sizes if size <= SHARE_OF_FREE_MEMORY * self.gpu_bytes
        )  # otherwise it stays in the memory map
        return 2 * activations + per_parameter * parameters + images


def measured_peaks(rows: pd.DataFrame) -> dict[str, float]:
    """The largest peak in bytes in the rows of each configuration, over all seeds."""
    known = rows.dropna(subset=["peak_memory_bytes"])
    key = known["config"].map(lambda config: _without_seed(json.loads(config)))
    return {str(name): float(peak) for name, peak in known.groupby(key)["peak_memory_bytes"].max().items()}


def _without_seed(config: Mapping[str, Any]) -> str:
    return json.dumps({key: value for key, value in config.items() if key != "seed"}, sort_keys=True)
