"""Maps of input-dependent combining weights for each filter bank and test image."""

from lrlc.results.figures.selection import Selection
from lrlc.results.figures.weight_maps import TRIAL_COLUMNS, Figure, draw_maps

__all__ = ["CAPTION", "TRIAL_COLUMNS", "draw"]

CAPTION = (
    "Combining weights of input-dependent low-rank locally connected layers for the first test images: a map per "
    "filter bank over the output positions, beside the image as the trial saw it, all on one scale. Weights are "
    "multiplied by the rank, so that 1, white, is an equal share: purple is more, orange less. For each data set "
    "the last layer of the first seed of the cell with the best mean validation accuracy is shown; images of people "
    "are not stored in the tables."
)


def draw(selection: Selection) -> Figure:
    """A row per data set and image, a column per bank; raises NothingToDraw without maps."""
    return draw_maps(selection, by_image=True)
