"""Baselines: the accuracy of a linear classifier and of frozen random features on the networks' training images."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from support.results_samples import noted

from lrlc.harness.data import Dataset, Shelf, Split, baselines, device_splits, load_dataset
from lrlc.harness.data.baselines import C_GRID, measure_baseline
from lrlc.results.datasets import Baseline
from lrlc.results.store import Store
from lrlc.studies import DatasetSpec

Lrlc = Callable[..., subprocess.CompletedProcess[str]]


def measured(dataset: Dataset, spec: DatasetSpec | None = None, seed: int = 0) -> Baseline:
    known = spec or DatasetSpec(name="digits")
    return measure_baseline(dataset, device_splits(known, seed, dataset, Shelf(torch.device("cpu"))))


def made(images: NDArray[np.float64], labels: NDArray[np.int64], num_classes: int = 2) -> Dataset:
    """Images (N, H, W) from 0 to 1: half for training, a quarter each for validation and test."""
    bytes_nhwc = (255 * images[..., None]).astype(np.uint8)
    half, most = len(labels) // 2, 3 * len(labels) // 4
    parts = [Split(bytes_nhwc[part], labels[part]) for part in (np.s_[:half], np.s_[half:most], np.s_[most:])]
    return Dataset("made", *parts, num_classes, (0.0, 1.0), "d" * 16)


def test_the_linear_classifier_matches_scikit_learn_on_the_same_pixels() -> None:
    spec = DatasetSpec(name="digits", train_images=300)
    digits = load_dataset(spec, None)
    parts = (digits.train, digits.validation, digits.test)
    scaler = StandardScaler().fit(digits.train.images.reshape(300, 64) / 255)
    train, validation, test = (scaler.transform(part.images.reshape(-1, 64) / 255) for part in parts)
    by_hand = []
    for c in C_GRID:
        model = LogisticRegression(C=c, max_iter=1000).fit(train, digits.train.labels)
        by_hand.append(
            (model.score(validation, digits.validation.labels), model.score(test, digits.test.labels), c)
        )
    _, accuracy, c = max(by_hand, key=lambda each: each[0])
    found = measured(digits, spec)
    assert found.linear_c == c
    assert found.linear_accuracy == pytest.approx(
        accuracy, abs=1.5 / 360
    )  # one image, due to a different precision
    assert (found.train_images, found.test_images, found.linear_images) == (300, 360, 300)
    assert found.linear_accuracy > 0.9


def test_images_are_those_seen_by_trials_of_the_seed() -> None:
    shifted = DatasetSpec(name="digits", train_images=300, translate=2)
    digits = load_dataset(shifted, None)
    still, moved, again = measured(digits), measured(digits, shifted, 0), measured(digits, shifted, 0)
    assert moved == again
    assert moved != measured(digits, shifted, 1)
    assert still.linear_accuracy is not None
    assert moved.linear_accuracy is not None
    assert moved.linear_accuracy < still.linear_accuracy - 0.2


def test_position_has_a_high_value_if_it_determines_the_label() -> None:
    """A bright spot left or right of the middle, so far inside that no filter sees it together with a border."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    images = rng.uniform(0, 0.3, (400, 18, 18))
    for image, label in zip(images, labels, strict=True):
        row, column = rng.integers(6, 11), rng.integers(6, 8) + 3 * label
        image[row : row + 2, column : column + 2] = 1
    found = measured(made(images, labels))
    assert found.linear_accuracy is not None
    assert found.linear_accuracy > 0.95
    assert found.value_of_position is not None
    assert found.value_of_position > 0.2


def test_pooled_features_win_if_only_texture_determines_the_label() -> None:
    """Horizontal or vertical stripes, with a different phase in each image."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    waves = (1 + np.sin(np.arange(14) + rng.uniform(0, 2 * np.pi, (400, 1)))) / 2
    lying = np.repeat(waves[:, :, None], 14, axis=2)
    images = np.where(labels[:, None, None] == 0, lying, lying.transpose(0, 2, 1))
    found = measured(made(images, labels))
    assert found.probe_accuracy == 1
    assert found.value_of_position is not None
    assert found.value_of_position < -0.2


def test_large_images_are_averaged_down_and_small_ones_have_no_probe() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 80)
    large = measured(made(rng.uniform(0, 0.5, (80, 120, 60)) + labels[:, None, None] / 2, labels))
    assert (large.height, large.width) == (78, 39)  # 3,042 values, in the images' proportions
    assert large.linear_accuracy == 1
    small = measured(made(rng.uniform(size=(80, 6, 6)), labels))
    assert (small.height, small.width, small.probe_accuracy, small.probe_images) == (6, 6, None, 0)
    assert small.value_of_position is None
    assert small.linear_accuracy is not None


def test_images_over_the_limit_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MOST_IMAGES", 100)
    monkeypatch.setattr(baselines, "MOST_PROBE_IMAGES", 50)
    rng, labels = np.random.default_rng(0), np.repeat([0, 1], 200)
    images = rng.uniform(0, 0.5, (400, 8, 8)) + labels[:, None, None] / 2
    order = rng.permutation(400)
    mixed = made(images[order], labels[order])
    sorted_by_label = replace(mixed, train=Split((255 * images[..., None]).astype(np.uint8), labels))
    found = measured(sorted_by_label)
    assert (found.train_images, found.linear_images, found.probe_images) == (400, 100, 50)
    assert found.linear_accuracy == 1  # the first hundred would be of one class


def test_too_many_classes_for_the_images_leave_no_linear_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = load_dataset(DatasetSpec(name="digits", train_images=300), None)
    monkeypatch.setattr(baselines, "MOST_WORK", 60 * 64 * 10)
    found = measured(digits)
    assert (found.linear_accuracy, found.linear_c, found.value_of_position) == (None, None, None)
    assert found.probe_accuracy is not None


def test_a_single_training_class_is_predicted_for_every_image() -> None:
    labels = np.array([1] * 20 + [0, 1] * 10)
    found = measured(made(np.random.default_rng(0).uniform(size=(40, 8, 8)), labels))
    assert found.linear_accuracy == found.probe_accuracy == 0.5


def test_stopping_before_convergence_gives_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MOST_ITERATIONS", 2)  # warnings are errors here
    digits = load_dataset(DatasetSpec(name="digits", train_images=300), None)
    assert measured(digits).linear_accuracy is not None


def test_a_finished_study_gets_missing_baselines_and_another_reuses_them(
    lrlc: Lrlc, tiny_study: Path, tmp_path: Path
) -> None:
    words = ("--serial", "seeds=1", "grid={kind: conv, dataset.train_images: [200, 300]}", "train.epochs=1")
    first = lrlc("run", tiny_study, *words)
    said = "digits: accuracy of a linear classifier of {} images"
    assert all(said.format(count) in first.stderr for count in (200, 300))
    store = Store(tmp_path / "runs/tiny")
    found = store.datasets()["digits"]
    assert [(each.train_images, each.test_images) for each in found.baselines] == [(200, 360), (300, 360)]
    assert found.linear_accuracy == found.baselines[1].linear_accuracy
    store.write_dataset(
        replace(found, baselines=found.baselines[:1])
    )  # as if it had been run without baselines
    again = lrlc("run", tiny_study, *words)
    assert said.format(300) in again.stderr
    assert said.format(200) not in again.stderr
    assert store.datasets()["digits"].baselines == found.baselines
    other = tmp_path / "other.yaml"
    other.write_text(tiny_study.read_text().replace("name: tiny", "name: other"))
    taken = lrlc("run", other, *words)
    assert "linear classifier" not in taken.stderr
    assert Store(tmp_path / "runs/other").datasets()["digits"].baselines == found.baselines


def test_a_summary_without_baselines_is_readable(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_dataset(noted("mnist", 0.3))
    path = tmp_path / "datasets/mnist.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["baselines"]), path)
    found = store.datasets()["mnist"]
    assert found.alignment == 0.3
    assert found.baselines == ()
    assert (found.linear_accuracy, found.probe_accuracy, found.value_of_position) == (None, None, None)
    assert found.baseline(1000) is None


def test_unknown_values_stay_unknown_in_the_tables(tmp_path: Path) -> None:
    store = Store(tmp_path)
    bare = Baseline(1000, 360, None, 0, None, 0.5, 1000, 8, 8)
    whole = Baseline(300, 360, 0.9, 300, 0.1, 0.5, 300, 8, 8)
    store.write_dataset(replace(noted("mnist", 0.3), baselines=(bare, whole)))
    found = store.datasets()["mnist"]
    assert found.baselines == (bare, whole)
    assert found.baseline(300, 360) == whole
    assert found.baseline(300, 100) is None
    assert found.linear_accuracy is None
    assert whole.value_of_position == pytest.approx(0.4)
    table = pq.read_table(tmp_path / "datasets/mnist.parquet")
    assert pa.types.is_list(table.schema.field("baselines").type)


@pytest.mark.proof
def test_on_faces_position_is_worth_more_than_on_photographs(data_dir: Path) -> None:
    found = {}
    for name in ("utkface", "cifar10"):
        spec = DatasetSpec(name=name, size=(16, 16), train_images=1500, evaluation_images=1000)
        found[name] = measured(load_dataset(spec, data_dir), spec).value_of_position or 0.0
    assert found["utkface"] > found["cifar10"] + 0.1
