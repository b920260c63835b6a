"""Accuracy of a trained network on shifted test images."""

from collections.abc import Iterable, Iterator

from torch import nn

from lrlc.harness.data import DeviceSplit
from lrlc.harness.measuring.evaluation import Scores, evaluate
from lrlc.results.measurements import ShiftAccuracy

DIRECTIONS = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""(down, right)."""

SHIFTED_IMAGES = 2_000
"""Accuracy is measured on this many test images, each moved in every direction."""


def shift_accuracies(
    model: nn.Module,
    split: DeviceSplit,
    batch_size: int,
    precision: str,
    unmoved: Scores,
    shifts: Iterable[int],
) -> Iterator[ShiftAccuracy]:
    """Accuracy on the first images of `split` moved by each distance in pixels, averaged over the directions.

    `unmoved` are the scores of the whole split.
    """
    count = min(SHIFTED_IMAGES, split.count)
    for pixels in shifts:
        if pixels == 0:
            accuracy = unmoved.accuracy_of_first(count)
        else:
            moved = (split.moved(pixels * down, pixels * right) for down, right in DIRECTIONS)
            scores = [evaluate(model, each, batch_size, precision, images=count) for each in moved]
            accuracy = sum(score.accuracy for score in scores) / len(scores)
        yield ShiftAccuracy(pixels, "zero", count, accuracy)
