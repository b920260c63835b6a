"""How the seed changes a split: which training images are drawn, and how labels are permuted for a null."""

import numpy as np
from numpy.typing import NDArray

from lrlc.harness.data.dataset import Labels
from lrlc.harness.seeds import derive_seed

Rows = NDArray[np.int64]


def drawn(labels: Labels, count: int, seed: int) -> Rows:
    """(count,) ascending positions of the training images that `seed` draws, which depend on labels and seed only.

    Drawn without repetition and stratified: each label in proportion to its images, rounded by largest remainder
    (ties go to the lower label). A larger draw with the same seed contains the smaller one, up to one image per label.
    ValueError if there are fewer than `count`.
    """
    if count > len(labels):
        raise ValueError(f"cannot draw {count:,} of {len(labels):,} images")
    generator = np.random.default_rng(derive_seed(seed, "draw"))
    in_order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    by_label = np.split(in_order, np.cumsum(sizes)[:-1])
    shares = zip(by_label, _shares(sizes, count), strict=True)
    return np.sort(np.concatenate([generator.permutation(rows)[:share] for rows, share in shares]))


def shuffled(labels: Labels, seed: int, split: str) -> Labels:
    """`labels` of a split in a random order that depends only on the seed."""
    return np.random.default_rng(derive_seed(seed, "shuffle_labels", split)).permutation(labels)


def _shares(sizes: Rows, count: int) -> Rows:
    """How many to draw from each group, `count` in total, in proportion to their `sizes`."""
    shares, remainders = np.divmod(sizes.astype(np.int64) * count, sizes.sum())
    largest = np.argsort(-remainders, kind="stable")[: count - shares.sum()]
    shares[largest] += 1
    return shares
