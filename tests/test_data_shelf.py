"""Data sets on a worker's device: kept from trial to trial, bounded in size, and without effect on the numbers."""

import dataclasses
from pathlib import Path

import pytest
import torch
from support.sessions import planned_run

from lrlc.harness.data import Dataset, Shelf, load_dataset
from lrlc.harness.training.train import train
from lrlc.harness.trial import Trial
from lrlc.results.schema import TrialResult

CPU = torch.device("cpu")


@pytest.fixture
def trials(tiny_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Trial]:
    """One trial on digits, one on shifted digits, one on fewer digits."""
    monkeypatch.setenv("LRLC_CACHE", str(tmp_path / "cache"))
    asked = "datasets=[digits, {name: digits, translate: 2}, {name: digits, train_images: 60}]"
    words = [
        asked,
        "grid={kind: conv}",
        "seeds=1",
        "train_images=100",
        "evaluation_images=50",
        "train.epochs=1",
    ]
    return list(planned_run(tiny_study, words, tmp_path).plan.trials)


def dataset_of(trial: Trial) -> Dataset:
    return load_dataset(trial.config.dataset.model_copy(update={"translate": 0}), None)


def numbers(trial: Trial, dataset: Dataset, shelf: Shelf | None) -> TrialResult:
    """The trial's row without what measures time."""
    *_, row = train(trial, dataset, CPU, shelf=shelf)
    assert isinstance(row, TrialResult)
    curve = tuple(dataclasses.replace(record, seconds=0) for record in row.curve)
    timeless = dict.fromkeys(
        ("train_seconds", "total_seconds", "images_per_second", "started_at", "ended_at")
    )
    return dataclasses.replace(row, curve=curve, **timeless)  # type: ignore[arg-type]


def test_a_trial_gives_the_same_numbers_wherever_its_images_are_stored(trials: list[Trial]) -> None:
    shelf = Shelf(CPU, room_bytes=1e9)
    datasets = [dataset_of(trial) for trial in trials]
    for trial, dataset in [*zip(trials, datasets, strict=True)] * 2:
        assert numbers(trial, dataset, shelf) == numbers(trial, dataset, None)
    assert all(split.images is not None for split in shelf.splits(datasets[0]).values())


def test_data_on_a_device_are_not_loaded_again(trials: list[Trial]) -> None:
    whole, few = dataset_of(trials[0]), dataset_of(trials[2])
    shelf = Shelf(CPU, room_bytes=1e9)
    first, other = shelf.splits(whole), shelf.splits(few)
    assert shelf.splits(whole) is first
    assert shelf.splits(few) is other
    assert shelf.bytes_beside(few) == sum(split.bytes for split in first.values())
    shelf.clear()
    assert shelf.bytes == 0


def test_a_device_holds_few_other_data_sets(trials: list[Trial]) -> None:
    whole, few = dataset_of(trials[0]), dataset_of(trials[2])
    size = sum(split.bytes for split in Shelf(CPU, room_bytes=1e9).splits(whole).values())
    shelf = Shelf(CPU, room_bytes=1e9, spare_bytes=size)
    kept = shelf.splits(whole)
    shelf.splits(few)
    assert shelf.splits(whole) is kept
    tight = Shelf(CPU, room_bytes=1e9, spare_bytes=size - 1)
    gone = tight.splits(whole)
    tight.splits(few)
    assert tight.splits(whole) is not gone
    assert tight.bytes_beside(whole) < size
