"""Measurements of a trained network: on the test set, and of its layers."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from torch import nn

from lrlc.harness.data import DeviceSplit
from lrlc.harness.measuring.equivariance import equivariance_errors
from lrlc.harness.measuring.evaluation import Scores, evaluate
from lrlc.harness.measuring.metrics import Evaluated, metric, metric_values
from lrlc.harness.measuring.shifts import shift_accuracies
from lrlc.harness.measuring.spectra import spectra
from lrlc.harness.measuring.weights import measure_weights
from lrlc.results.measurements import CorrectImages
from lrlc.results.schema import TrialResult
from lrlc.studies import Measure

__all__ = ["Evaluated", "measured", "metric"]


def measured(
    result: TrialResult,
    model: nn.Module,
    splits: Mapping[str, DeviceSplit],
    batch_size: int,
    precision: str,
    asked: Measure,
) -> TrialResult:
    """The result of a trained `model` with its test scores and all measurements made at the end.

    Correctly classified images and the spread of combining weights are always included, costlier ones if `asked` for.
    """
    test = splits["test"]
    tested = evaluate(model, test, batch_size, precision)
    weights = measure_weights(model, test, batch_size)
    result = replace(
        result,
        test_loss=tested.loss,
        test_accuracy=tested.accuracy,
        correct=(_correct_images(tested),),
        weights=weights.maps,
        weights_spatial_std=weights.spatial_std,
        weights_image_std=weights.image_std,
    )
    if asked.effective_rank:
        result = replace(result, spectra=tuple(spectra(model, splits, batch_size, precision, tested)))
    if asked.shifts:
        accuracies = shift_accuracies(model, test, batch_size, precision, tested, asked.shifts)
        errors = equivariance_errors(model, test, batch_size, asked.shifts)
        result = replace(result, shifts=tuple(accuracies), equivariance=tuple(errors))
    if asked.metrics:
        values = metric_values(asked.metrics, model, splits, batch_size, precision)
        result = replace(result, metrics=values)
    return result


def _correct_images(tested: Scores) -> CorrectImages:
    return CorrectImages("test", tested.images, np.packbits(tested.correct.cpu().numpy()).tobytes())
