"""The effective rank of trained local layers: their filters' singular values, and the accuracy after truncation."""

from collections.abc import Iterator, Mapping

from torch import nn

from lrlc import layers
from lrlc.harness.data import DeviceSplit
from lrlc.harness.measuring.evaluation import Scores, evaluate
from lrlc.results.measurements import SpectrumValue

RANKS = (1, 2, 3, 4, 5, 6, 7, 10, 15, 25, 50, 100)
"""The ranks at which accuracy is measured, besides the full one."""

VALIDATION_IMAGES = 1_000
TEST_IMAGES = 2_000
"""Truncated networks are evaluated on this many images, counted from the first."""


def spectra(
    model: nn.Module, splits: Mapping[str, DeviceSplit], batch_size: int, precision: str, whole: Scores
) -> Iterator[SpectrumValue]:
    """The singular values of each local layer, with accuracies at RANKS and at the full rank.

    One layer at a time is truncated. `whole` are the scores of the original network on the whole test split.
    """
    local = layers.local_layers(model)
    untouched = _accuracies(model, splits, batch_size, precision, whole) if local else (None, None)
    for name, layer in local.items():
        spectrum = layers.filter_spectrum(layer)
        squares = spectrum.singular_values.square()
        energy = (squares.cumsum(0) / squares.sum()).clamp_max(1).tolist()
        for rank, value in enumerate(spectrum.singular_values.tolist(), 1):
            accuracies: tuple[float | None, float | None] = (None, None)
            if rank == len(energy):
                accuracies = untouched
            elif rank in RANKS:
                with layers.truncated(layer, spectrum, rank):
                    accuracies = _accuracies(model, splits, batch_size, precision)
            yield SpectrumValue(name, rank, value, energy[rank - 1], *accuracies)


def _accuracies(
    model: nn.Module,
    splits: Mapping[str, DeviceSplit],
    batch_size: int,
    precision: str,
    tested: Scores | None = None,
) -> tuple[float, float]:
    """Accuracies on the first validation and test images; `tested` are the scores of the test split, if known."""
    held_out = evaluate(model, splits["validation"], batch_size, precision, images=VALIDATION_IMAGES)
    if tested is None:
        tested = evaluate(model, splits["test"], batch_size, precision, images=TEST_IMAGES)
    return held_out.accuracy, tested.accuracy_of_first(TEST_IMAGES)
