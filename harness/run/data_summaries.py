"""Summaries of a study's data sets, measured when a run starts, and their baselines, measured when it has ended."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lrlc.harness.data import (
    DataError,
    Dataset,
    Shelf,
    as_loaded,
    device_splits,
    load_dataset,
    offsets,
    shift,
)
from lrlc.harness.data.alignment import Inside, alignment
from lrlc.harness.data.baselines import measure_baseline
from lrlc.harness.data.dataset import Images
from lrlc.harness.data.registry import known as registered
from lrlc.harness.measuring.weights import MAPPED_IMAGES
from lrlc.harness.plan.reuse import stores_beside
from lrlc.harness.text import counted, say
from lrlc.results.datasets import Baseline, DatasetSummary
from lrlc.results.store import Store
from lrlc.studies import DatasetSpec

MOST_IMAGES = 5000
MOST_VALUES = 60_000_000
"""Upper bounds on the training images used, and on their values (pixels x channels): 400 of ImageNet take 1 to 2 s."""


def note_datasets(store: Store, specs: Iterable[DatasetSpec], data_dir: Path | None, seed: int) -> None:
    """Write the summaries that the store lacks for these data sets; images are shifted as in trials with `seed`."""
    known = store.datasets()
    for title, spec in {spec.title: spec for spec in specs}.items():
        whole = as_loaded(spec).model_copy(update={"train_images": None, "evaluation_images": None})
        dataset = load_dataset(whole, data_dir)
        there = known.get(title)
        if there is None or (there.data_digest, there.seed) != (dataset.digest, seed):
            examples = 0 if spec.name and registered(spec.name).shows_people else MAPPED_IMAGES
            store.write_dataset(summarise_dataset(title, dataset, spec.translate, seed, examples))


def note_baselines(store: Store, specs: Iterable[DatasetSpec], data_dir: Path | None, seed: int) -> None:
    """Write the baselines that the store's summaries lack, one for each subset that trials train on.

    Baselines measured for a neighbouring study are reused. Data sets that are gone by now are skipped.
    """
    known, shelf = store.datasets(), Shelf(torch.device("cpu"))
    for spec in dict.fromkeys(specs):
        noted = known.get(spec.title)
        try:
            dataset = load_dataset(spec, data_dir)
        except DataError:
            continue
        splits = device_splits(spec, seed, dataset, shelf)
        sizes = splits["train"].count, splits["test"].count
        if noted is None or noted.baseline(*sizes) is not None:
            continue
        found = _baseline_beside(store, noted, *sizes)
        if found is None:
            say(f"{spec.title}: accuracy of a linear classifier of {counted(sizes[0], 'image')}")
            found = measure_baseline(dataset, splits)
        known[spec.title] = replace(noted, baselines=(*noted.baselines, found))
        store.write_dataset(known[spec.title])


def _baseline_beside(store: Store, noted: DatasetSummary, train: int, test: int) -> Baseline | None:
    """The baseline that another study recorded for the same data, seed and subset."""
    for other in stores_beside(store):
        theirs = Store(other).datasets().get(noted.dataset)
        if theirs is None or (theirs.data_digest, theirs.seed) != (noted.data_digest, noted.seed):
            continue
        if (found := theirs.baseline(train, test)) is not None:
            return found
    return None


def summarise_dataset(title: str, dataset: Dataset, pixels: int, seed: int, examples: int) -> DatasetSummary:
    """Summarise a data set shifted by up to `pixels`, keeping `examples` of its test images."""
    train, inside = _shifted(dataset.train.images, _spread(dataset.train.images), pixels, seed, "train")
    shown, _ = _shifted(dataset.test.images, np.arange(examples), pixels, seed, "test")
    return DatasetSummary(
        dataset=title,
        data_digest=dataset.digest,
        seed=seed,
        alignment=alignment(train, inside),
        mean_image=train.mean(axis=0, dtype=np.float64).astype(np.float32),
        examples=shown,
    )


def _spread(images: Images) -> NDArray[np.int64]:
    """Positions spread evenly from first to last, as the rows of a user's folder may be sorted by label."""
    count = min(len(images), MOST_IMAGES, MOST_VALUES // images[0].size)
    return np.linspace(0, len(images) - 1, count, dtype=np.int64)


def _shifted(
    images: Images, positions: NDArray[np.int64], pixels: int, seed: int, split: str
) -> tuple[Images, Inside | None]:
    """A split's images as trials see them, and which of their pixels are original; None if all are."""
    positions = positions[positions < len(images)]
    chosen = images[positions]
    if not pixels:
        return chosen, None
    by = torch.from_numpy(offsets(len(images), pixels, seed, split)[positions])
    inside = shift(torch.ones(chosen.shape[:3], dtype=torch.bool)[..., None], by)
    return shift(torch.from_numpy(chosen), by).numpy(), inside[..., 0].numpy()
