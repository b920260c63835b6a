"""Measurements of a trained network besides its accuracy, each with its own table.

A field is a column, as in results.schema.
"""

from dataclasses import dataclass
from typing import Annotated

from lrlc.results.columns import Fraction, Images, Int32, Pixels


@dataclass(frozen=True)
class CorrectImages:
    """Which of a split's `images` were classified correctly: one bit each, packed as by numpy.packbits."""

    split: Annotated[str, "The split of the images: `test`."]
    images: Annotated[Images, "Images of the split that were classified."]
    bits: Annotated[
        bytes,
        "One bit per image in the order of the split, 1 if it was classified correctly; eight to a byte, the "
        "first in the highest bit, the last byte padded with 0, as numpy.packbits does. "
        "`lrlc.results.correct.correct_matrix` unpacks them.",
    ]


@dataclass(frozen=True)
class SpectrumValue:
    """One singular value of a layer's (positions x filter) matrix, and the network's accuracy truncated to that rank.

    `energy` is the cumulative share of the squared singular values; accuracies are None for ranks not evaluated.
    """

    layer: Annotated[str, "The layer's name in the network."]
    rank: Annotated[
        Int32,
        "Index of the singular value, 1 being the largest; also the rank to which filters are truncated.",
    ]
    singular_value: Annotated[
        float,
        "Singular value of the matrix whose rows are the filters used at each output position (kernel height x "
        "kernel width x input channels x output channels); nothing is subtracted first.",
    ]
    energy: Annotated[
        Fraction, "Sum of the squared singular values up to this one, divided by the sum of all."
    ]
    validation_accuracy: Annotated[
        Fraction | None,
        "Accuracy on the first 1,000 validation images with this layer's filters truncated to this rank and the rest "
        "of the network, batch norm's running statistics included, as trained; null for ranks not evaluated.",
    ]
    test_accuracy: Annotated[Fraction | None, "The same on the first 2,000 test images."]


@dataclass(frozen=True)
class ShiftAccuracy:
    """Accuracy on test images moved by `pixels`, averaged over four directions."""

    pixels: Annotated[Pixels, "How far the test images were moved."]
    fill: Annotated[str, "What fills the border: `zero`, black pixels."]
    images: Annotated[
        Images, "How many test images were used, from the first, each moved in every direction."
    ]
    test_accuracy: Annotated[
        Fraction, "Accuracy on the moved images, averaged over the directions up, down, left and right."
    ]


@dataclass(frozen=True)
class EquivarianceError:
    """How far a layer is from moving its output along with its input, relative to the output's norm."""

    layer: Annotated[str, "The layer's name in the network."]
    pixels: Annotated[
        Pixels,
        "How far the layer's output should move; its input is moved by this many pixels times its stride.",
    ]
    error: Annotated[
        float,
        "Distance (L2) between the layer's output for its moved input and its moved output, over the norm of the "
        "latter; its input is what the trained network gives it for the first 256 test images, moved up, down, left "
        "and right, all taken together. Positions whose receptive field reaches padding or the fill are left out.",
    ]


@dataclass(frozen=True)
class MetricValue:
    """The value of a plugin's metric for a trained network."""

    name: Annotated[str, "The metric, as its study names it."]
    value: Annotated[float, "Its value; NaN if it could not be computed."]
