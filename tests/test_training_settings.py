"""Each setting of `train:` works as documented, keeps the ids of trials without it, and survives a resume."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.sessions import planned_run
from torch import nn

from lrlc.harness.data import load_dataset
from lrlc.harness.errors import UserError
from lrlc.harness.training.augmentations import Batch, augmented, draws_of_epoch
from lrlc.harness.training.averaging import Averaged
from lrlc.harness.training.optimizers import make_optimizer
from lrlc.harness.training.recipes import recipe
from lrlc.harness.training.schedules import learning_rate
from lrlc.harness.training.train import train
from lrlc.harness.trial import Checkpoint, Trial, blank_result
from lrlc.results.figures.selection import panels
from lrlc.results.schema import TrialResult, TrialStatus, to_tables
from lrlc.studies import StudyError, Training
from lrlc.studies.training import LATER_KEYS

CPU = torch.device("cpu")
EVERYTHING = (
    "optimizer: adamw, weight_decay: 0.05, schedule: step, decay_epochs: 1, decay_rate: 0.5, label_smoothing: 0.1, "
    "gradient_clipping: 0.5, augment: [crop, flip, mixup], ema: 0.9"
)


@pytest.fixture
def trial(tiny_study: Path, tmp_path: Path):
    """The one trial of a grid's block, on 100 digits for three epochs, trained with `settings`."""

    def planned(settings: str = "", block: str = "{kind: conv}") -> Trial:
        plain = "epochs: 3, batch_size: 32, learning_rate: 0.01"
        asked = [f"grid={block}", "seeds=1", "train_images=100", "evaluation_images=50"]
        asked.append(f"train={{{plain}{', ' * bool(settings)}{settings}}}")
        (one,) = planned_run(tiny_study, asked, tmp_path).plan.trials
        return one

    return planned


def trained(trial: Trial, resume: Checkpoint | None = None) -> tuple[TrialResult, list[Checkpoint]]:
    records = list(
        train(trial, load_dataset(trial.config.dataset, None), CPU, resume=resume, checkpoint_seconds=0)
    )
    assert isinstance(records[-1], TrialResult)
    return records[-1], [record for record in records if isinstance(record, Checkpoint)]


def numbers(result: TrialResult) -> list[object]:
    """Everything that training determines, except times."""
    curve = [replace(record, seconds=0.0) for record in result.curve]
    return [*curve, result.test_loss, result.test_accuracy, result.correct]


SETTINGS = [
    "optimizer: adamw",
    "optimizer: adamw, weight_decay: 0.1",
    "weight_decay: 0.1",
    "schedule: constant",
    "schedule: step, decay_epochs: 1",
    "schedule: step, decay_epochs: 1, decay_rate: 0.5",
    "label_smoothing: 0.1",
    "gradient_clipping: 0.1",
    "augment: [flip]",
    "augment: crop",
    "augment: [crop], crop_padding: 3",
    "augment: mixup",
    "augment: mixup, mixup_alpha: 1",
    "augment: [flip, crop]",
    "ema: 0.9",
    EVERYTHING,
]


def test_each_setting_makes_a_new_trial_that_trains_differently(trial) -> None:
    plain = trial()
    trials = [trial(settings) for settings in SETTINGS]
    assert len({plain.id, *(each.id for each in trials)}) == len(SETTINGS) + 1
    losses = [trained(each)[0].test_loss for each in (plain, *trials)]
    assert all(loss is not None and math.isfinite(loss) for loss in losses)
    assert len(set(losses)) == len(losses)


def test_settings_at_their_defaults_or_without_effect_make_no_new_trial(trial) -> None:
    plain = trial()
    defaults = (
        "optimizer: sgd, weight_decay: 0, schedule: cosine, label_smoothing: 0, gradient_clipping: null"
    )
    assert trial(f"{defaults}, augment: none, ema: null").id == plain.id
    assert trial("augment: []").id == plain.id
    assert trial("decay_epochs: 5, decay_rate: 0.3, mixup_alpha: 1, crop_padding: 2").id == plain.id
    assert (
        trial("augment: flip+crop").id
        == trial("augment: [flip, crop]").id
        != trial("augment: [crop, flip]").id
    )


@pytest.mark.parametrize(
    "block", ["{kind: conv}", "{kind: lrlc, rank: 2, placement: 3, layer.from_conv: 0.5}"]
)
def test_a_resumed_trial_ends_with_the_same_numbers(trial, block: str) -> None:
    asked = trial(EVERYTHING, block)
    whole, checkpoints = trained(asked)
    for checkpoint in checkpoints:
        resumed, _ = trained(asked, checkpoint)
        assert resumed.resumed_epochs == len(checkpoint.curve)
        assert numbers(resumed) == numbers(whole)


def test_a_checkpoint_without_an_average_is_not_used_for_a_trial_with_one(trial) -> None:
    without = trained(trial())[1][0]
    result, _ = trained(trial("ema: 0.9"), without)
    assert result.resumed_epochs is None


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ("optimizer: adam", "train.optimizer: unknown optimizer 'adam'; did you mean 'adamw'?"),
        ("schedule: cosin", "train.schedule: unknown schedule 'cosin'; did you mean 'cosine'?"),
        ("augment: [flop]", "train.augment: unknown augmentation 'flop'; did you mean 'flip'?"),
        ("augment: [flip, flip]", "train.augment: flip+flip lists one twice"),
        ("schedule: step", "decay_epochs: schedule 'step' needs it"),
        ("weight_decay: -1", "train.weight_decay: expected at least 0"),
        ("label_smoothing: 1", "train.label_smoothing: expected less than 1"),
        ("gradient_clipping: 0", "train.gradient_clipping: expected more than 0"),
        ("ema: 1", "train.ema: expected less than 1"),
        ("weight_deca: 1", "train.weight_deca: unknown key; did you mean 'weight_decay'?"),
    ],
)
def test_invalid_training_settings_are_refused_in_one_line(trial, settings: str, line: str) -> None:
    with pytest.raises(StudyError) as caught:
        trial(settings)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_each_is_an_axis_of_a_grid(tiny_study: Path, tmp_path: Path) -> None:
    axes = {
        "optimizer": "[sgd, adamw]",
        "weight_decay": "[0, 0.01]",
        "schedule": "[cosine, constant]",
        "label_smoothing": "[0, 0.1]",
        "gradient_clipping": "[null, 1]",
        "augment": "[none, flip+crop]",
        "ema": "[null, 0.9]",
        "batch_size": "[32, 64]",
    }
    block = ", ".join(f"train.{name}: {values}" for name, values in axes.items())
    asked = [f"grid={{kind: conv, {block}}}", "seeds=1"]
    assert len(planned_run(tiny_study, asked, tmp_path).plan.trials) == 2 ** len(axes)
    nested = ["grid={kind: conv, train.augment: [[], [flip], [flip, mixup]]}", "seeds=1"]
    assert len(planned_run(tiny_study, nested, tmp_path).plan.trials) == 3


def test_rows_record_their_training_and_labels_distinguish_them(trial) -> None:
    plain, other = blank_result(trial()), blank_result(trial(EVERYTHING))
    assert all(getattr(plain, name) is None for name in LATER_KEYS)
    assert (other.optimizer, other.augment, other.ema, other.decay_epochs) == (
        "adamw",
        "crop+flip+mixup",
        0.9,
        1,
    )
    alone = replace(trial("optimizer: adamw, ema: 0.9"), distinguishing=None)
    assert alone.label == "digits conv, optimizer adamw, EMA 0.9, seed 0"
    rows = to_tables([replace(each, status=TrialStatus.FINISHED) for each in (plain, other)])[
        "trials"
    ].to_pandas()
    details = [panel.detail for panel in panels(rows)]
    assert details == [
        "optimizer sgd, weight decay 0, schedule cosine, no steps, decay rate 0.1, label smoothing 0, "
        "no gradient clipping, no augmentation, no EMA",
        "optimizer adamw, weight decay 0.05, schedule step, decay epochs 1, decay rate 0.5, label smoothing 0.1, "
        "gradient clipping 0.5, augment crop+flip+mixup, EMA 0.9",
    ]


def test_schedules_give_the_rates_of_their_definitions() -> None:
    base = Training(epochs=4, learning_rate=0.4, warmup_epochs=0)
    step = base.model_copy(update={"schedule": "step", "decay_epochs": 1.5, "decay_rate": 0.5})
    assert [learning_rate(step, number, 2) for number in range(8)] == pytest.approx(
        [0.4] * 3 + [0.2] * 3 + [0.1] * 2
    )
    constant = base.model_copy(update={"schedule": "constant", "warmup_epochs": 1.0})
    assert [learning_rate(constant, number, 3) for number in range(5)] == pytest.approx(
        [0.1, 0.2, 0.3, 0.4, 0.4]
    )


def test_only_weights_decay() -> None:
    from lrlc import layers

    model = layers.build_network("three_layer", (1, 8, 8), 10, kind="lrlc", rank=2, placement=(3,))
    optimizer = make_optimizer(model, Training(weight_decay=0.1, optimizer="adamw"), CPU)
    decays = {p: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    decayed = {name for name, parameter in model.named_parameters() if decays[parameter]}
    assert decayed == {"layer1.weight", "layer2.weight", "layer3.basis", "classifier.weight"}


def batch() -> Batch:
    images = torch.rand(64, 2, 8, 6, generator=torch.Generator().manual_seed(0))
    return Batch(images, torch.arange(64) % 5, classes=5, black=0.0)


def after(**settings: object) -> Batch:
    training = Training.model_validate(settings)
    return augmented(batch(), draws_of_epoch(training, 3, 1, 64), training)


def test_flip_mirrors_about_half_of_the_images() -> None:
    images, flipped = batch().images, after(augment=["flip"]).images
    mirrored = [bool((now == then.flip(2)).all()) for now, then in zip(flipped, images, strict=True)]
    same = [bool((now == then).all()) for now, then in zip(flipped, images, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 20 <= sum(mirrored) <= 44


def test_crop_moves_every_image_by_at_most_its_padding_and_lets_black_in() -> None:
    images = batch().images
    cropped = after(augment=["crop"], crop_padding=2).images
    padded = nn.functional.pad(images, (2, 2, 2, 2))
    windows = [padded[:, :, down : down + 8, right : right + 6] for down in range(5) for right in range(5)]
    fits = torch.stack([(cropped - window).abs().amax((1, 2, 3)) < 1e-6 for window in windows])
    assert fits.any(0).all()
    assert fits.any(1).sum() > 15  # most of the 25 offsets occur


def test_mixup_mixes_images_and_targets_by_one_share() -> None:
    plain, mixed = batch(), after(augment=["mixup"], mixup_alpha=1)
    one_hot = nn.functional.one_hot(plain.targets, 5).float()
    share = (mixed.images[0, 0, 0, 0] - plain.images[-1, 0, 0, 0]) / (
        plain.images[0, 0, 0, 0] - plain.images[-1, 0, 0, 0]
    )
    assert 0 < share < 1
    torch.testing.assert_close(mixed.images, share * plain.images + (1 - share) * plain.images.flip(0))
    torch.testing.assert_close(mixed.targets, share * one_hot + (1 - share) * one_hot.flip(0))


def test_the_average_follows_the_weights_and_copies_whole_numbers() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    averaged = Averaged(network, 0.5)
    (expected,) = (network[0].weight.detach().clone(),)
    for number in range(1, 12):
        with torch.no_grad():
            network[0].weight += 1
        network(torch.rand(3, 2))
        averaged.update()
        decay = min(0.5, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * network[0].weight.detach()
    torch.testing.assert_close(averaged.average[0].weight, expected)
    assert averaged.average[1].num_batches_tracked == 11


@pytest.mark.parametrize(
    "off",
    ["ema: none", "gradient_clipping: none", "decay_epochs: none", "recipe: none", "recipe: cross_entropy"],
)
def test_none_switches_a_setting_off_and_keeps_the_id(trial, off: str) -> None:
    assert trial(off).id == trial().id
    assert trial("", f"{{kind: conv, train.{off}}}").id == trial().id


def test_a_grid_compares_a_setting_that_is_off_with_one_that_is_on(tiny_study: Path, tmp_path: Path) -> None:
    asked = ["grid={kind: conv, train.ema: [none, 0.9]}", "seeds=1", "length_check=none", "train_images=none"]
    trials = planned_run(tiny_study, asked, tmp_path).plan.trials
    assert [each.config.train.ema for each in trials] == [None, 0.9]


def test_no_recipe_has_the_name_for_training_without_one() -> None:
    with pytest.raises(UserError, match="'cross_entropy' has the name for training without a recipe"):
        recipe("cross_entropy")
