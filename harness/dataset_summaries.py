"""A study's data sets in brief, for figures: measured once, when a run that trains on them starts."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from harness.data import Dataset, load_dataset, offsets, shift
from harness.data.alignment import MOST_IMAGES, Inside, alignment
from harness.data.dataset import Images
from harness.training import MAPPED_IMAGES
from results.datasets import DatasetSummary
from results.store import Store
from studies import DatasetSpec


def note_datasets(store: Store, specs: Iterable[DatasetSpec], data_dir: Path | None, seed: int) -> None:
    """Write what the store lacks of these data sets; images are shifted as trials of `seed` see them."""
    known = store.datasets()
    for title, spec in {spec.title: spec for spec in specs}.items():
        whole = spec.model_copy(update={"train_images": None, "evaluation_images": None, "translate": 0})
        dataset = load_dataset(whole, data_dir)
        there = known.get(title)
        if there is None or (there.data_digest, there.seed) != (dataset.digest, seed):
            store.write_dataset(summarise_dataset(title, dataset, spec.translate, seed))


def summarise_dataset(title: str, dataset: Dataset, pixels: int, seed: int) -> DatasetSummary:
    """`pixels` is the most that images are shifted."""
    train, inside = _shifted(np.array(dataset.train.images[:MOST_IMAGES]), pixels, seed, "train")
    examples, _ = _shifted(np.array(dataset.test.images[:MAPPED_IMAGES]), pixels, seed, "test")
    return DatasetSummary(
        dataset=title,
        data_digest=dataset.digest,
        seed=seed,
        alignment=alignment(train, inside),
        mean_image=train.mean(axis=0, dtype=np.float64).astype(np.float32),
        examples=examples,
    )


def _shifted(images: Images, pixels: int, seed: int, split: str) -> tuple[Images, Inside | None]:
    """The images as trials see them, and which pixels were in them before; None for all."""
    if not pixels:
        return images, None
    by = torch.from_numpy(offsets(len(images), pixels, seed, split))
    inside = shift(torch.ones(images.shape[:3], dtype=torch.bool)[..., None], by)
    return shift(torch.from_numpy(images), by).numpy(), inside[..., 0].numpy()
