"""Which test images each trial classified correctly, as a matrix."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from lrlc.results.errors import StoreError


def correct_matrix(correct: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """(rows of `correct`, images): whether image j was classified correctly in row i's trial.

    `correct` is the result of Store.correct, with rows in any order. StoreError if rows differ in their number of
    images, as they were then not tested on the same ones.
    """
    counts = sorted(set(correct["images"]))
    if len(counts) > 1:
        raise StoreError(
            f"the trials were tested on different images ({', '.join(map(str, counts))} of them): "
            "select those of one data set"
        )
    if not counts:
        return np.zeros((0, 0), dtype=bool)
    packed = np.stack([np.frombuffer(bits, dtype=np.uint8) for bits in correct["bits"]])
    return np.unpackbits(packed, axis=1, count=counts[0]).astype(bool)
