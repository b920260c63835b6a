"""A last batch of one image where a batch norm would see one value: the trial trains, and no other trial changes."""

import math
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sessions import planned_run

from lrlc import layers
from lrlc.harness.data import load_dataset
from lrlc.harness.training.batches import LoneImageError, batch_sizes
from lrlc.harness.training.train import train
from lrlc.results.schema import EpochRecord, TrialResult, TrialStatus

CPU = torch.device("cpu")


@cache
def network(side: int) -> torch.nn.Module:
    with torch.device("meta"):
        return layers.build_network("three_layer", (1, side, side), 10)


@settings(deadline=None)
@given(images=st.integers(2, 400), batch_size=st.integers(2, 64))
def test_a_lone_image_joins_the_batch_before_it_and_nothing_else_changes(images, batch_size) -> None:
    roomy, tight = (batch_sizes(network(side), (1, side, side), images, batch_size) for side in (8, 7))
    assert roomy == [len(batch) for batch in torch.split(torch.arange(images), batch_size)]
    if roomy[-1] > 1:
        assert tight == roomy
    else:
        assert tight == [*roomy[:-2], batch_size + 1]
    assert sum(tight) == images


def test_one_training_image_is_refused_in_a_line() -> None:
    with pytest.raises(LoneImageError, match="a batch norm of the network would see one value"):
        batch_sizes(network(7), (1, 7, 7), 1, 8)
    assert batch_sizes(network(8), (1, 8, 8), 1, 8) == [1]


@pytest.mark.parametrize("kind", ["conv", "involution", "lrlc"])
def test_a_trial_whose_last_batch_is_one_image_trains_at_one_position(
    kind, tiny_study: Path, tmp_path: Path
) -> None:
    """Digits are 8x8; shrunk to 7x7, the third layer's batch norm sees 1x1 positions."""
    rank = ", rank: 2" if kind == "lrlc" else ""
    asked = [
        f"grid={{kind: {kind}, placement: [3]{rank}}}",
        "seeds=1",
        "train_images=65",
        "evaluation_images=50",
    ]
    (trial,) = planned_run(tiny_study, [*asked, "size=7"], tmp_path).plan.trials
    dataset = load_dataset(trial.config.dataset, None)
    assert dataset.image_shape == (1, 7, 7)
    *records, last = train(trial, dataset, CPU)
    assert isinstance(last, TrialResult)
    assert last.status is TrialStatus.FINISHED
    rates = [record.learning_rate for record in records if isinstance(record, EpochRecord)]
    assert math.isclose(rates[-1], 0.05 * 0.5 * (1 + math.cos(math.pi * 0.5 / 1.5)))
