"""The spread of combining weights over positions and images, from the rows' columns or, for older rows, the maps."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from lrlc.results.claims.tables import OfTrials

POSITIONS, IMAGES = "weights_spatial_std", "weights_image_std"


@dataclass(frozen=True)
class Spread:
    """Means over trials of the columns `weights_spatial_std` and `weights_image_std`; None without values."""

    positions: float | None
    images: float | None


def spread_of(rows: pd.DataFrame, maps: OfTrials) -> Spread:
    """The spread in these trials; rows of earlier versions lack the columns and are measured by their stored maps."""
    if rows[POSITIONS].notna().any():
        return Spread(_mean(rows[POSITIONS]), _mean(rows[IMAGES]))
    found = maps(list(rows["trial_id"]))
    if found.empty:
        return Spread(None, None)
    layers = [_layer(of_layer) for _, of_layer in found.groupby(["trial_id", "layer"])]
    over_positions, over_images = zip(*layers, strict=True)
    return Spread(_mean(over_positions), _mean(over_images))


def _layer(maps: pd.DataFrame) -> tuple[float, float]:
    """The spread in one layer of one trial, as defined in results.schema, over the images with stored maps."""
    planes = _planes(maps)  # (images, banks, positions)
    over_images = float(planes.std(axis=0).mean()) if len(planes) > 1 else math.nan
    return float(planes.std(axis=2).mean()), over_images


def _planes(maps: pd.DataFrame) -> npt.NDArray[np.float64]:
    ordered = maps.sort_values(["image", "bank"])
    values = np.stack([np.asarray(each, dtype=np.float64) for each in ordered["values"]])
    return values.reshape(-1, ordered["bank"].nunique(), values.shape[1])


def _mean(values: Iterable[float]) -> float | None:
    known = np.asarray(list(values), dtype=np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else None
