"""Baselines without a trained network: logistic regression on pixels, and on pooled random features.

Trained networks must beat the first before comparing them means anything. The second, the probe, sees the same images
through frozen random convolutions whose outputs are averaged over the image: it knows what is in an image, but not
where. Their difference is the value of position.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lrlc import layers
from lrlc.harness.data import Dataset, DeviceSplit
from lrlc.harness.seeds import derive_seed
from lrlc.results.datasets import Baseline

C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Values of scikit-learn's inverse penalty strength, starting with the strongest penalty."""
PATIENCE = 2
"""The search over C stops after this many values in a row without better validation accuracy; large C take longest."""
MOST_ITERATIONS = 100
"""Upper bound on L-BFGS iterations. CIFAR-10 needs 76 at its chosen C; weaker penalties need more, and do worse."""
TOLERANCE = 1e-3

MOST_IMAGES = 20_000
"""Upper bound on the images of each split, spread evenly over it; the probe, with its 64 features, needs fewer."""
MOST_PROBE_IMAGES = 4_000
MOST_VALUES = 3_072
"""Upper bound on pixels times channels of an image (32x32 in colour); larger images are averaged down to it."""
MOST_WORK = 3_000_000_000
"""Upper bound on images times values times classes; 600 million take a minute on one core."""
FEWEST_PER_CLASS = 10
"""With fewer images per class a linear classifier would set too low a bar, so there is none."""

PROBE_BATCH = 250
PROBE_SEED = derive_seed("probe")
CHUNK = 500

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """Images (N, C, H, W) float32 as a network sees them, and labels (N,)."""

    images: Tensor
    labels: Labels

    def spread(self, count: int) -> "Examples":
        """`count` of them, spread evenly from first to last; all of them if there are fewer."""
        kept = _spread(len(self.labels), count)
        return Examples(self.images[torch.from_numpy(kept)], self.labels[kept])


@dataclass(frozen=True)
class Fitted:
    """A classifier's test accuracy (0..1), the C that validation chose, and how many images it was fitted to."""

    accuracy: float
    c: float
    images: int


def measure_baseline(dataset: Dataset, splits: Mapping[str, DeviceSplit]) -> Baseline:
    """Both classifiers on `splits` ('train', 'validation', 'test'), the images of `dataset` as a trial sees them."""
    seen = {name: _examples(split) for name, split in splits.items()}
    linear = _linear(dict(seen), dataset.num_classes)
    few = {name: part.spread(MOST_PROBE_IMAGES) for name, part in seen.items()}
    probe = _probe(few)
    return Baseline(
        train_images=splits["train"].count,
        test_images=splits["test"].count,
        linear_accuracy=linear.accuracy if linear else None,
        linear_images=linear.images if linear else 0,
        linear_c=linear.c if linear else None,
        probe_accuracy=probe.accuracy if probe else None,
        probe_images=probe.images if probe else 0,
        height=seen["train"].images.shape[2],
        width=seen["train"].images.shape[3],
    )


def classify(features: Mapping[str, NDArray[np.float32]], labels: Mapping[str, Labels]) -> Fitted:
    """Multinomial logistic regression on `features` (N, values) of 'train', each standardised by its mean and spread.

    Validation chooses from C_GRID; among equally good values, the strongest penalty.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    count = len(labels["train"])
    if len(classes := np.unique(labels["train"])) == 1:
        return Fitted(float((labels["test"] == classes[0]).mean()), C_GRID[0], count)
    scaler = StandardScaler().fit(features["train"])
    scaled = {name: scaler.transform(values) for name, values in features.items()}
    best, chosen, since = -1.0, Fitted(math.nan, math.nan, 0), 0
    for c in C_GRID:
        model = LogisticRegression(C=c, max_iter=MOST_ITERATIONS, tol=TOLERANCE)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", ConvergenceWarning
            )  # if stopped at MOST_ITERATIONS, validation judges the result as it is
            model.fit(scaled["train"], labels["train"])
        held_out = float(model.score(scaled["validation"], labels["validation"]))
        since += 1
        if held_out > best:
            best, since = held_out, 0
            chosen = Fitted(float(model.score(scaled["test"], labels["test"])), c, count)
        if since == PATIENCE:
            break
    return chosen


def _linear(seen: Mapping[str, Examples], num_classes: int) -> Fitted | None:
    values = seen["train"].images[0].numel()
    most = MOST_WORK // (values * num_classes)
    train = seen["train"].spread(most)
    if len(train.labels) < min(len(seen["train"].labels), FEWEST_PER_CLASS * num_classes):
        return None
    parts = {**seen, "train": train}
    return classify(
        {name: part.images.flatten(1).numpy() for name, part in parts.items()},
        {name: part.labels for name, part in parts.items()},
    )


def _probe(seen: Mapping[str, Examples]) -> Fitted | None:
    """None if images are too small for three 3x3 layers."""
    _, *shape = seen["train"].images.shape
    try:
        network = layers.build_network("three_layer", (shape[0], shape[1], shape[2]), 1)
    except layers.LayerError:
        return None
    layers.initialise(network, PROBE_SEED)
    network.classifier = nn.Identity()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    features = {name: _pooled(network.train(), part.images) for name, part in seen.items()}
    return classify(features, {name: part.labels for name, part in seen.items()})


@torch.no_grad()
def _pooled(network: nn.Module, images: Tensor) -> NDArray[np.float32]:
    """(N, 64), computed in training mode: an untrained network has no statistics but those of its batch."""
    batches = images.tensor_split(math.ceil(len(images) / PROBE_BATCH))
    found = [network(batch.contiguous(memory_format=torch.channels_last)) for batch in batches]
    pooled: NDArray[np.float32] = torch.cat(found).numpy()
    return pooled


def _examples(split: DeviceSplit) -> Examples:
    """Up to MOST_IMAGES images, each of up to MOST_VALUES values."""
    positions = torch.from_numpy(_spread(split.count, MOST_IMAGES))
    parts = [split.gather(chunk) for chunk in torch.split(positions, CHUNK)]
    images = torch.cat([_shrunk(part) for part, _ in parts])
    return Examples(images, torch.cat([labels for _, labels in parts]).numpy())


def _shrunk(images: Tensor) -> Tensor:
    _, channels, height, width = images.shape
    share = math.sqrt(MOST_VALUES / (channels * height * width))
    if share >= 1:
        return images
    return F.adaptive_avg_pool2d(images, (max(1, int(height * share)), max(1, int(width * share))))


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """Positions spread evenly from first to last, as rows may be sorted by label."""
    return np.linspace(0, count - 1, min(count, most), dtype=np.int64)
