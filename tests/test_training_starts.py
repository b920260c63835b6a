"""Networks that start as a convolution, and logits that learn faster: the same numbers however they run."""

import dataclasses
from pathlib import Path

import pytest
import torch
from support.sessions import planned_run

from lrlc.harness.data import load_dataset
from lrlc.harness.training.train import train
from lrlc.harness.trial import Checkpoint, KeptWeights, Trial
from lrlc.results.schema import EpochRecord, TrialResult, TrialStatus
from lrlc.studies import StudyError

CPU = torch.device("cpu")
EPOCHS = 4


@pytest.fixture
def trial(tiny_study: Path, tmp_path: Path):
    """The one trial of a grid's block, on 100 digits for four epochs."""

    def planned(block: str, *words: str) -> Trial:
        asked = [
            f"grid={block}",
            "seeds=1",
            "train_images=100",
            "evaluation_images=50",
            f"train.epochs={EPOCHS}",
        ]
        (one,) = planned_run(tiny_study, [*asked, *words], tmp_path).plan.trials
        return one

    return planned


def epochs_and_row(trial: Trial, resume: Checkpoint | None = None):
    """The curve and the row without what measures time, and the checkpoints after each epoch but the last."""
    dataset = load_dataset(trial.config.dataset, None)
    records = list(train(trial, dataset, CPU, resume=resume, checkpoint_seconds=0))
    row = records[-1]
    assert isinstance(row, TrialResult)
    assert row.status is TrialStatus.FINISHED
    curve = tuple(dataclasses.replace(record, seconds=0) for record in row.curve)
    timeless = dict.fromkeys(
        ("train_seconds", "total_seconds", "images_per_second", "started_at", "ended_at")
    )
    row = dataclasses.replace(row, curve=curve, resumed_epochs=None, **timeless)
    return curve, row, [record for record in records if isinstance(record, Checkpoint)]


def accuracies(curve: tuple[EpochRecord, ...]) -> list[float]:
    return [record.train_loss for record in curve]


LRLC = "{kind: lrlc, rank: 2, placement: [3], layer.from_conv: 0.5, layer.logits_lr: 10}"
LOCAL = "{kind: locally_connected, placement: [2, 3], layer.from_conv: 0.5}"


@pytest.mark.parametrize("block", [LRLC, LOCAL])
def test_a_trial_from_a_convolution_equals_the_convolution_until_the_switch(trial, block) -> None:
    conv, conv_row, _ = epochs_and_row(trial("{kind: conv}"))
    ours, row, _ = epochs_and_row(trial(block))
    assert ours[:2] == conv[:2]
    assert ours[2] != conv[2]
    assert ours[2].train_loss == pytest.approx(conv[2].train_loss, rel=0.1)
    assert row.parameters > conv_row.parameters
    layers_with_maps = {each.layer for each in row.weights}
    assert layers_with_maps == ({"layer3"} if block == LRLC else set())


@pytest.mark.parametrize(
    "block", [LRLC, LOCAL, "{kind: lrlc_input_dependent, rank: 2, layer.from_conv: 0.3}"]
)
def test_a_trial_resumed_before_at_or_after_the_change_gives_the_same_numbers(trial, block) -> None:
    asked = trial(block)
    _, whole, checkpoints = epochs_and_row(asked)
    assert [len(checkpoint.curve) for checkpoint in checkpoints] == [1, 2, 3]
    for checkpoint in checkpoints:
        assert epochs_and_row(asked, checkpoint)[1] == whole


def test_the_factor_moves_the_logits_further(trial) -> None:
    def spread(block: str) -> float:
        maps = epochs_and_row(trial(block))[1].weights
        return max(torch.tensor(each.values).std().item() for each in maps)

    slow, fast = (spread(f"{{kind: lrlc, rank: 2, placement: [3], layer.logits_lr: {lr}}}") for lr in (1, 10))
    assert fast > 3 * slow


def test_keys_at_their_default_or_without_effect_make_no_new_trial(trial) -> None:
    plain = trial("{kind: lrlc, rank: 2, placement: [3]}")
    written = "{kind: lrlc, rank: 2, placement: [3], layer.logits_lr: 1, layer.from_conv: 0, layer.spatial_bias: true}"
    assert trial(written).id == plain.id
    everywhere = ["layer={from_conv: 0.5, logits_lr: 10, start_logits: random, start: keras}"]
    for block in ("{kind: conv}", "{kind: wide_conv, rank: 2, placement: [3]}"):
        assert trial(block, *everywhere).id == trial(block).id
    assert trial("{kind: lrlc, rank: 2, placement: [3]}", *everywhere).id != plain.id
    ten, fraction = (
        f"{{kind: lrlc, rank: 2, placement: [3], layer.logits_lr: {lr}}}" for lr in ("10", "10.0")
    )
    assert trial(ten).id == trial(fraction).id


def test_best_weights_are_never_those_of_the_convolution_even_if_the_trial_was_resumed(trial) -> None:
    asked = dataclasses.replace(trial(LOCAL, "evaluation_images=5"), keep=("best_weights",))
    dataset = load_dataset(asked.config.dataset, None)

    def kept_epochs(records: list[object]) -> list[str]:
        return [each.about["epoch"] for each in records if isinstance(each, KeptWeights)]

    records = list(train(asked, dataset, CPU, checkpoint_seconds=0))
    whole = kept_epochs(records)
    accuracies = [each.validation_accuracy for each in records if isinstance(each, EpochRecord)]
    assert max(accuracies[:2]) >= max(accuracies[2:]), "the convolution is as accurate, which hid the others"
    assert whole in (["3"], ["4"])
    for checkpoint in [each for each in records if isinstance(each, Checkpoint)]:
        assert kept_epochs(list(train(asked, dataset, CPU, resume=checkpoint))) == whole


@pytest.mark.parametrize(
    ("block", "words", "line"),
    [
        (
            "{kind: lrlc, rank: 2, layer.from_conv: 3}",
            [],
            "layer: lrlc: from_conv must be a share of the epochs, from 0 to below 1, not 3",
        ),
        (
            "{kind: lrlc, rank: 2, layer.from_conv: 0.5}",
            ["train.epochs=1"],
            "layer: lrlc: from_conv needs at least 2 epochs, one before and one after it, not 1",
        ),
        (
            "{kind: lrlc, rank: 2, layer.from_conv: 0.5}",
            ["train.epochs=2", "length_check={}"],
            "length_check: lrlc: from_conv needs at least 2 epochs, one before and one after it, not 1",
        ),
        (
            "{kind: wide_conv, rank: 2, layer.from_conv: 0.5}",
            [],
            "grid[0].layer.from_conv: no kind here takes it; "
            "known: match, matched_to, normalize, share, spatial_bias, width",
        ),
        (
            "{kind: lrlc, rank: 2, layer.logits_lr: fast}",
            [],
            "layer: lrlc: logits_lr must be a number above 0, not 'fast'",
        ),
    ],
)
def test_a_wrong_start_is_refused_in_one_line(trial, tiny_study: Path, block, words, line) -> None:
    with pytest.raises(StudyError) as caught:
        trial(block, *words)
    assert str(caught.value) == f"{tiny_study}: {line}"
