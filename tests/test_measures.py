"""Measurements at the end of a trial, against independent computations on real digits."""

import subprocess
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from support.sessions import planned_run
from torch import nn

from lrlc import layers
from lrlc.harness.data import Dataset, DeviceSplit, HeldSplit, Shelf, Split, load_dataset
from lrlc.harness.measuring import measured
from lrlc.harness.measuring.equivariance import LAYER_IMAGES, equivariance_errors
from lrlc.harness.measuring.evaluation import evaluate
from lrlc.harness.measuring.spectra import TEST_IMAGES, VALIDATION_IMAGES
from lrlc.harness.measuring.weights import SPREAD_IMAGES
from lrlc.harness.training.train import network_of, train
from lrlc.harness.trial import Trial, blank_result
from lrlc.results.correct import correct_matrix
from lrlc.results.errors import StoreError
from lrlc.results.measurements import SpectrumValue
from lrlc.results.schema import TABLES, TrialResult
from lrlc.results.store import Store
from lrlc.studies import Measure

CPU = torch.device("cpu")
WORDS = ["seeds=1", "train.epochs=2", "train.learning_rate=0.2", "train_images=128", "evaluation_images=300"]


@pytest.fixture
def trials(tiny_study: Path, tmp_path: Path) -> dict[str, Trial]:
    """Networks by kind, each with layer 3 replaced."""
    grid = (
        "grid=[{kind: [conv, locally_connected], placement: 3},"
        " {kind: [lrlc, lrlc_input_dependent], rank: 3, placement: 3}]"
    )
    plan = planned_run(tiny_study, [*WORDS, grid], tmp_path / "runs").plan
    return {trial.config.kind: trial for trial in plan.trials}


def dataset_of(trial: Trial) -> Dataset:
    return load_dataset(trial.config.dataset, None)


def splits_of(dataset: Dataset) -> dict[str, DeviceSplit]:
    return {name: DeviceSplit(held, dataset.scaling) for name, held in Shelf(CPU).splits(dataset).items()}


def network(trial: Trial, dataset: Dataset, spread: float = 0.5) -> nn.Module:
    """The trial's network with random changes to all parameters, so that all positions differ."""
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


def test_the_bits_mark_correctly_classified_images(trials: dict[str, Trial]) -> None:
    trial = trials["conv"]
    dataset = dataset_of(trial)
    model, splits = network(trial, dataset), splits_of(dataset)
    row = measured(blank_result(trial), model, splits, 64, "float32", Measure())
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
    row = measured(blank_result(trial), model, splits_of(dataset), 64, "float32", Measure())
    maps = np.array([weights.values for weights in row.weights])
    assert maps.shape[0] == 3
    assert row.weights_spatial_std == pytest.approx(maps.std(1).mean(), rel=1e-6)
    assert row.weights_spatial_std > 1e-3
    assert row.weights_image_std is None


def test_the_spread_of_input_dependent_weights_is_over_positions_and_images(trials: dict[str, Trial]) -> None:
    trial = trials["lrlc_input_dependent"]
    dataset = dataset_of(trial)
    model, splits = network(trial, dataset), splits_of(dataset)
    row = measured(blank_result(trial), model, splits, 50, "float32", Measure())
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
        row = measured(blank_result(trials[kind]), model, splits_of(dataset), 64, "float32", Measure())
        spreads[kind] = (row.weights_spatial_std, row.weights_image_std)
    assert spreads == {"lrlc": (0.0, None), "conv": (None, None), "locally_connected": (None, None)}


def values_of(row: TrialResult, layer: str) -> list[SpectrumValue]:
    return [value for value in row.spectra if value.layer == layer]


def test_a_spectrum_is_that_of_the_filters_and_the_full_rank_is_the_network_itself(
    trials: dict[str, Trial],
) -> None:
    trial = trials["locally_connected"]
    dataset = dataset_of(trial)
    model, splits = network(trial, dataset), splits_of(dataset)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    row = measured(blank_result(trial), model, splits, 64, "float32", Measure(effective_rank=True))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    filters = model.get_submodule("layer3").local_filters().detach().double().numpy()
    expected = np.linalg.svd(filters.reshape(filters.shape[0] * filters.shape[1], -1), compute_uv=False)
    assert {value.layer for value in row.spectra} == {"layer3"}
    found = values_of(row, "layer3")
    assert [value.rank for value in found] == list(range(1, len(expected) + 1))
    assert [value.singular_value for value in found] == pytest.approx(expected, rel=1e-6)
    energy = np.cumsum(expected**2) / np.sum(expected**2)
    assert [value.energy for value in found] == pytest.approx(energy, rel=1e-6)
    assert splits["test"].count <= TEST_IMAGES
    assert found[-1].test_accuracy == row.test_accuracy
    held_out = evaluate(model, splits["validation"], 64, "float32")
    assert found[-1].validation_accuracy == held_out.accuracy


def test_a_truncated_network_has_the_accuracy_of_one_with_the_nearest_filters(
    trials: dict[str, Trial],
) -> None:
    trial = trials["locally_connected"]
    dataset = dataset_of(trial)
    model, splits = network(trial, dataset), splits_of(dataset)
    found = measured(blank_result(trial), model, splits, 64, "float32", Measure(effective_rank=True)).spectra
    layer = layers.local_layers(model)["layer3"]
    own = layer.filters.detach().clone()
    u, s, vt = np.linalg.svd(own.double().flatten(1).numpy(), full_matrices=False)
    recomputed = []
    for rank in range(1, len(s)):
        nearest = (u[:, :rank] * s[:rank]) @ vt[:rank]
        layer.filters.data = torch.from_numpy(nearest).float().view_as(own)
        recomputed.append(evaluate(model, splits["test"], 64, "float32").accuracy)
    assert [value.test_accuracy for value in found[:-1]] == pytest.approx(recomputed, abs=1.1 / 300)
    assert len(set(recomputed)) > 1


def test_a_relaxed_convolution_is_truncated_within_its_banks() -> None:
    torch.manual_seed(0)
    layer = layers.RelaxedConv2d(3, 5, 3, input_size=(7, 6), rank=4)
    torch.nn.init.normal_(layer.combining.table)
    own = layer.local_filters().detach()
    spectrum = layers.filter_spectrum(layer)
    u, s, vt = np.linalg.svd(own.double().flatten(0, 1).flatten(1).numpy(), full_matrices=False)
    assert spectrum.singular_values.numpy() == pytest.approx(s, abs=1e-5)
    assert spectrum.singular_values[4:].max() < 1e-5
    with layers.truncated(layer, spectrum, 2):
        nearest = (u[:, :2] * s[:2]) @ vt[:2]
        np.testing.assert_allclose(layer.local_filters().detach().reshape(20, -1), nearest, atol=1e-5)
    assert torch.equal(layer.local_filters(), own)


@pytest.mark.parametrize("channels", [2, 40])  # fewer filter weights than positions, and more
def test_a_layer_truncated_to_a_rank_has_the_nearest_filters_of_that_rank(channels: int) -> None:
    torch.manual_seed(0)
    layer = layers.LocallyConnected2d(1, channels, 3, input_size=8)
    own = layer.filters.detach().clone()
    spectrum = layers.filter_spectrum(layer)
    u, s, vt = np.linalg.svd(own.double().flatten(1).numpy(), full_matrices=False)
    assert spectrum.singular_values.numpy() == pytest.approx(s, rel=1e-9)
    for rank in (1, 5, len(s)):
        with layers.truncated(layer, spectrum, rank):
            nearest = (u[:, :rank] * s[:rank]) @ vt[:rank]
            np.testing.assert_allclose(layer.filters.detach().flatten(1).numpy(), nearest, atol=1e-6)
    assert torch.equal(layer.filters, own)


def test_moved_test_images_match_numpy(trials: dict[str, Trial]) -> None:
    trial = trials["conv"]
    dataset = dataset_of(trial)
    model, splits = network(trial, dataset), splits_of(dataset)
    row = measured(blank_result(trial), model, splits, 64, "float32", Measure(shifts=(0, 1, 3)))
    test = dataset.test
    right = []
    for rows, columns in ((slice(3, None), slice(None)), (slice(None), slice(3, None))):
        back = tuple(slice(None, -3) if part.start else part for part in (rows, columns))
        for target, source in (((rows, columns), back), (back, (rows, columns))):
            moved = np.zeros_like(test.images)
            moved[:, *target] = test.images[:, *source]
            split = HeldSplit.on(CPU, Split(moved, test.labels), 1e9)
            right.append(evaluate(model, DeviceSplit(split, dataset.scaling), 64, "float32").accuracy)
    found = {shift.pixels: shift for shift in row.shifts}
    assert list(found) == [0, 1, 3]
    assert found[0].test_accuracy == row.test_accuracy
    assert found[3].test_accuracy == pytest.approx(np.mean(right))
    assert {shift.images for shift in row.shifts} == {300}
    assert len(set(right)) > 1


def errors_of(trial: Trial, model: nn.Module) -> dict[str, list[float]]:
    """Errors by layer, for 1 and 2 pixels."""
    splits = splits_of(dataset_of(trial))
    row = measured(blank_result(trial), model, splits, 64, "float32", Measure(shifts=(2, 1, 0)))
    return {
        layer: [each.error for each in sorted(group, key=lambda each: each.pixels)]
        for layer, group in groupby(row.equivariance, key=lambda each: each.layer)
    }


def test_a_convolution_moves_along_with_its_input_and_a_local_layer_does_not(
    trials: dict[str, Trial],
) -> None:
    errors = {kind: errors_of(trial, network(trial, dataset_of(trial))) for kind, trial in trials.items()}
    assert all(list(by_layer) == ["layer1", "layer2", "layer3"] for by_layer in errors.values())
    for kind, by_layer in errors.items():
        assert max(by_layer["layer1"] + by_layer["layer2"]) < 1e-6
        if kind == "conv":
            assert max(by_layer["layer3"]) < 1e-6
        else:
            assert min(by_layer["layer3"]) > 0.01
    assert min(errors["locally_connected"]["layer3"]) > 0.5
    assert len(errors["conv"]["layer1"]) == 2
    assert (
        len(errors["conv"]["layer3"]) == 1
    )  # its output of 2x2 has no position left that 2 pixels would not change


def test_a_strided_padded_convolution_is_compared_where_padding_is_not_seen() -> None:
    model = layers.resnet50(2, image_size=64, kind="conv").eval()
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    split = DeviceSplit(HeldSplit.on(CPU, Split(images, np.zeros(3, np.int64)), 1e9), (0, 1))
    errors = list(equivariance_errors(model, split, 2, [1, 2]))
    assert {error.layer.partition(".")[0] for error in errors} == {
        "stage1",
        "stage2",
        "stage3",
    }  # 2x2 is too small
    assert max(error.error for error in errors) < 1e-5


def test_measurements_do_not_change_trials_and_rows_without_them_are_reported(
    lrlc: Callable[..., subprocess.CompletedProcess[str]], tiny_study: Path, tmp_path: Path
) -> None:
    grid = "grid={kind: [conv, locally_connected, residual_pathway], placement: 3}"
    words = ["run", tiny_study, "--serial", *WORDS, grid]
    lrlc(*words)
    asked = ["measure.shifts=[0, 1]", "measure.effective_rank=true"]
    told = lrlc(*words, *asked, "seeds=2").stderr
    assert len(set(planned_run(tiny_study, asked, tmp_path).plan.trials)) == 6  # hashable
    assert "3 finished trials without measure.shifts: trained before the study asked for it" in told
    assert "2 finished trials without measure.effective_rank: trained before the study asked for it" in told
    store = Store(tmp_path / "runs/tiny")
    rows = store.trials().set_index("trial_id")
    assert sorted(rows["seed"]) == [0, 0, 0, 1, 1, 1]
    shifts = store.shifts().set_index("trial_id")
    assert sorted(rows.loc[shifts.index, "seed"]) == [1] * 6
    unmoved = shifts.loc[shifts["pixels"] == 0, "test_accuracy"]
    assert unmoved.equals(rows.loc[unmoved.index, "test_accuracy"])
    decomposed = rows.loc[store.spectra()["trial_id"].unique()]
    assert sorted(decomposed["kind"]) == ["locally_connected", "residual_pathway"]


BLINKERED = """
from lrlc.layers import Convolution2d, layer_kind

class Blinkered(Convolution2d):
    def forward(self, x):
        if not (self.training or x.is_meta) and (x[:, :, 0] == x[0, 0, 0, 0]).all():
            raise RuntimeError("cannot look at moved images")
        return super().forward(x)

@layer_kind("blinkered")
def blinkered(in_channels, out_channels, kernel_size, *, input_size, stride=1, padding=0, bias=False):
    return Blinkered(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=bias)
"""


def test_a_measurement_that_fails_fails_its_trial_with_its_curve_and_no_other(
    lrlc: Callable[..., subprocess.CompletedProcess[str]], tiny_study: Path, tmp_path: Path
) -> None:
    (tmp_path / "blinkered.py").write_text(BLINKERED)
    asked = ["plugins=[blinkered.py]", "grid={kind: [blinkered, conv], placement: 1}", "measure.shifts=[1]"]
    lrlc("run", tiny_study, "--serial", *WORDS, *asked, code=1)
    store = Store(tmp_path / "runs/tiny")
    rows = store.trials().set_index("kind")
    assert rows["status"].to_dict() == {"blinkered": "failed", "conv": "finished"}
    assert "cannot look at moved images" in rows.loc["blinkered", "error"]
    assert len(store.curves([rows.loc["blinkered", "trial_id"]])) == 2


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "measure.shifts=8",
            "measure.shifts: 8 pixels move the 8x8 images of digits out of sight; give less than 8",
        ),
        (
            "train={augment: crop, crop_padding: 8}",
            "train.crop_padding: 8 pixels move most 8x8 images of digits out of sight; give 7 at most",
        ),
        (
            "datasets=[{name: digits, translate: 17}]",
            "dataset.translate: 17 pixels move most 8x8 images of digits+t17 out of sight; give 16 at most",
        ),
        (
            "size=6",
            "digits@6: images of 6x6 are too small for three_layer; give a larger size (kernel_size 3x3 with "
            "dilation 1x1 covers 3x3, more than the padded input of 2x2)",
        ),
    ],
)
def test_images_that_leave_nothing_to_see_are_refused_before_anything_runs(
    override: str,
    line: str,
    lrlc: Callable[..., subprocess.CompletedProcess[str]],
    tiny_study: Path,
    tmp_path: Path,
) -> None:
    assert line in lrlc("run", tiny_study, override, code=2).stderr
    assert not (tmp_path / "runs").exists()


def test_the_schema_says_over_how_many_images() -> None:
    meanings = {column.name: column.meaning for column in TABLES["trials"]}
    for column in ("weights_spatial_std", "weights_image_std"):
        assert f"first {SPREAD_IMAGES} test images" in meanings[column]
    spectrum = {column.name: column.meaning for column in TABLES["spectra"]}
    assert f"first {VALIDATION_IMAGES:,} validation images" in spectrum["validation_accuracy"]
    assert f"first {TEST_IMAGES:,} test images" in spectrum["test_accuracy"]
    assert f"first {LAYER_IMAGES} test images" in TABLES["equivariance"][-1].meaning
