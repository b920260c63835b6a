"""Maps of fixed combining weights for each filter bank."""

from lrlc.results.figures.selection import Selection
from lrlc.results.figures.weight_maps import TRIAL_COLUMNS, Figure, draw_maps

__all__ = ["CAPTION", "TRIAL_COLUMNS", "draw"]

CAPTION = (
    "Learned combining weights of fixed low-rank locally connected layers: a map per filter bank over the output "
    "positions, beside the mean training image, all on one scale. Weights are multiplied by the rank, so that 1, "
    "white, is an equal share: purple is more, orange less. For each data set the first seed of the cell with "
    "the best mean validation accuracy is shown."
)


def draw(selection: Selection) -> Figure:
    """A row per data set and layer, a column per bank; raises NothingToDraw without maps."""
    return draw_maps(selection, by_image=False)
