"""What is measured at a trial's end, against the same numbers worked out anew on real digits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import layers
from harness.commands import open_run
from harness.data import Dataset, DeviceSplit, Shelf, load_dataset
from harness.measuring import measured
from harness.measuring.weights import SPREAD_IMAGES
from harness.training import network_of, train
from harness.trial import Trial, blank_result
from results.columns import TRIAL_COLUMNS
from results.correct import correct_matrix
from results.errors import StoreError
from results.schema import TrialResult
from results.store import Store

CPU = torch.device("cpu")
WORDS = ["seeds=1", "train.epochs=2", "train.learning_rate=0.2", "train_images=128", "evaluation_images=300"]


@pytest.fixture
def trials(tiny_study: Path, tmp_path: Path) -> dict[str, Trial]:
    """By kind, each with its layer 3 replaced."""
    grid = (
        "grid=[{kind: [conv, locally_connected], placement: 3},"
        " {kind: [lrlc, lrlc_input_dependent], rank: 3, placement: 3}]"
    )
    plan = open_run(str(tiny_study), [*WORDS, grid], None, str(tmp_path / "runs"), None).plan
    return {trial.config.kind: trial for trial in plan.trials}


def dataset_of(trial: Trial) -> Dataset:
    return load_dataset(trial.config.dataset, None)


def splits_of(dataset: Dataset) -> dict[str, DeviceSplit]:
    return {name: DeviceSplit(held, dataset.scaling) for name, held in Shelf(CPU).splits(dataset).items()}


def network(trial: Trial, dataset: Dataset, spread: float = 0.5) -> nn.Module:
    """The trial's network with every parameter moved at random, so that no two positions are alike."""
    torch.manual_seed(0)
    model = network_of(trial.config, dataset)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(
                spread * parameter.std().nan_to_num(0.1).clamp_min(0.1) * torch.randn_like(parameter)
            )
    return model.eval()


def end_of(trial: Trial) -> TrialResult:
    *_, row = train(trial, dataset_of(trial), CPU)
    assert isinstance(row, TrialResult)
    return row


def test_the_bits_are_the_images_that_the_network_gets_right(trials: dict[str, Trial]) -> None:
    trial = trials["conv"]
    dataset = dataset_of(trial)
    model, splits = network(trial, dataset), splits_of(dataset)
    row = measured(blank_result(trial), model, splits, 64, "float32")
    images, labels = splits["test"].gather(torch.arange(splits["test"].count))
    with torch.no_grad():
        right = (model(images).argmax(1) == labels).numpy()
    (stored,) = row.correct
    assert (stored.split, stored.images) == ("test", len(dataset.test.labels))
    assert len(stored.bits) == -(-stored.images // 8)
    assert 0 < right.sum() < len(right)
    assert np.array_equal(correct_matrix(pd.DataFrame([vars(stored)]))[0], right)
    assert row.test_accuracy == right.mean()


def test_a_finished_trial_commits_bits_that_average_to_its_accuracy(
    trials: dict[str, Trial], tmp_path: Path
) -> None:
    store = Store(tmp_path / "committed")
    rows = [end_of(trials[kind]) for kind in ("conv", "lrlc")]
    store.commit(rows)
    kept = store.correct()
    assert list(kept["trial_id"]) == [row.trial_id for row in rows]
    assert correct_matrix(kept).mean(1).tolist() == [row.test_accuracy for row in rows]
    assert len(store.correct([rows[0].trial_id])) == 1


def test_bits_of_different_test_sets_are_not_stacked() -> None:
    rows = pd.DataFrame({"images": [8, 9], "bits": [b"\x80", b"\x80\x80"]})
    with pytest.raises(StoreError, match=r"different images \(8, 9 of them\)"):
        correct_matrix(rows)
    assert correct_matrix(rows[1:]).tolist() == [[True, *[False] * 7, True]]
    assert correct_matrix(rows[:0]).shape == (0, 0)


def test_the_spread_of_fixed_weights_is_that_of_their_maps(trials: dict[str, Trial]) -> None:
    trial = trials["lrlc"]
    dataset = dataset_of(trial)
    model = network(trial, dataset)
    row = measured(blank_result(trial), model, splits_of(dataset), 64, "float32")
    maps = np.array([weights.values for weights in row.weights])
    assert maps.shape[0] == 3
    assert row.weights_spatial_std == pytest.approx(maps.std(1).mean(), rel=1e-6)
    assert row.weights_spatial_std > 1e-3
    assert row.weights_image_std is None


def test_the_spread_of_input_dependent_weights_is_over_positions_and_images(trials: dict[str, Trial]) -> None:
    trial = trials["lrlc_input_dependent"]
    dataset = dataset_of(trial)
    model, splits = network(trial, dataset), splits_of(dataset)
    row = measured(blank_result(trial), model, splits, 50, "float32")
    assert splits["test"].count > SPREAD_IMAGES
    images, _ = splits["test"].gather(torch.arange(SPREAD_IMAGES))
    (weights,) = layers.combining_weight_maps(model, images).values()
    values = weights.double().numpy()  # (N, K, H', W')
    assert row.weights_spatial_std == pytest.approx(values.std((2, 3)).mean(), rel=1e-5)
    assert row.weights_image_std == pytest.approx(values.std(0).mean(), rel=1e-5)
    assert row.weights_image_std > 1e-3


def test_untrained_fixed_weights_do_not_spread_and_other_networks_have_none(trials: dict[str, Trial]) -> None:
    spreads = {}
    for kind in ("lrlc", "conv", "locally_connected"):
        dataset = dataset_of(trials[kind])
        model = network_of(trials[kind].config, dataset)
        row = measured(blank_result(trials[kind]), model, splits_of(dataset), 64, "float32")
        spreads[kind] = (row.weights_spatial_std, row.weights_image_std)
    assert spreads == {"lrlc": (0.0, None), "conv": (None, None), "locally_connected": (None, None)}


def test_the_schema_says_over_how_many_images() -> None:
    meanings = {column.name: column.meaning for column in TRIAL_COLUMNS}
    for column in ("weights_spatial_std", "weights_image_std"):
        assert f"first {SPREAD_IMAGES} test images" in meanings[column]
