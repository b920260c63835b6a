"""How smoothly a map varies over the image: Moran's I (Biometrika 1950) against shuffled rows and columns.

I is the correlation of neighbours up, down, left and right: near 1 for a smooth map, near 0 for noise. A map whose
logits are a row's plus a column's keeps that form when whole rows and columns are shuffled, so this form alone does not
raise I: only the similarity of nearby rows and columns does.
"""

import math

import numpy as np
import numpy.typing as npt

SHUFFLES = 200
Map = npt.NDArray[np.float64]


def morans_i(maps: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Moran's I of maps (..., H, W); NaN for a constant one."""
    values = np.asarray(maps, dtype=np.float64)
    height, width = values.shape[-2:]
    centred = values - values.mean(axis=(-2, -1), keepdims=True)
    neighbours = (centred[..., 1:, :] * centred[..., :-1, :]).sum(axis=(-2, -1))
    neighbours = neighbours + (centred[..., 1:] * centred[..., :-1]).sum(axis=(-2, -1))
    pairs = (height - 1) * width + height * (width - 1)
    spread = (centred**2).sum(axis=(-2, -1))
    constant = spread <= 1e-12 * height * width * np.maximum(1e-12, (values**2).mean(axis=(-2, -1)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(constant, math.nan, height * width / pairs * neighbours / spread)


def smoothness(values: Map, shuffles: int = SHUFFLES) -> tuple[float, float]:
    """Moran's I of one map (H, W), and its mean over shuffles of whole rows and columns; deterministic."""
    chance = np.random.default_rng(0)
    height, width = values.shape
    rows = np.argsort(chance.random((shuffles, height)), axis=1)
    columns = np.argsort(chance.random((shuffles, width)), axis=1)
    shuffled = values[rows[:, :, None], columns[:, None, :]]  # (shuffles, H, W)
    return float(morans_i(values)), float(morans_i(shuffled).mean())
