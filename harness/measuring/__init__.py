"""What is measured of a network when its training has ended: on the test set, and of its layers."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from torch import nn

from harness.data import DeviceSplit
from harness.evaluation import Scores, evaluate
from harness.measuring.weights import measure_weights
from results.measurements import CorrectImages
from results.schema import TrialResult


def measured(
    result: TrialResult, model: nn.Module, splits: Mapping[str, DeviceSplit], batch_size: int, precision: str
) -> TrialResult:
    """The result of a trained `model` with its test scores and everything else that is measured at the end."""
    tested = evaluate(model, splits["test"], batch_size, precision)
    weights = measure_weights(model, splits["test"], batch_size)
    return replace(
        result,
        test_loss=tested.loss,
        test_accuracy=tested.accuracy,
        correct=(_correct_images(tested),),
        weights=weights.maps,
        weights_spatial_std=weights.spatial_std,
        weights_image_std=weights.image_std,
    )


def _correct_images(tested: Scores) -> CorrectImages:
    return CorrectImages("test", tested.images, np.packbits(tested.correct.cpu().numpy()).tobytes())
