"""What is measured of a trained network beside its accuracy: a row each in a table of its own.

The columns' meanings stand in results.columns.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class CorrectImages:
    """Which of a split's `images` were classified right: one bit each, packed as numpy.packbits does."""

    split: str
    images: int
    bits: bytes


@dataclass(frozen=True)
class SpectrumValue:
    """One singular value of a layer's (positions x filter) matrix, and what the network is worth cut to that rank.

    `energy` is the cumulative share of the squared singular values; accuracies are None for ranks not evaluated.
    """

    layer: str
    rank: int
    singular_value: float
    energy: float
    validation_accuracy: float | None
    test_accuracy: float | None


@dataclass(frozen=True)
class ShiftAccuracy:
    """Accuracy on test images moved by so many pixels, averaged over four directions."""

    pixels: int
    fill: str
    images: int
    test_accuracy: float


@dataclass(frozen=True)
class EquivarianceError:
    """How far a layer is from moving its output along with its input, relative to the output's norm."""

    layer: str
    pixels: int
    error: float
