"""Training images drawn and labels shuffled by seed: the same for every kind, new for each seed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.data_samples import LABELS, RGB, as_mnist_idx
from support.sessions import planned_run
from support.studies_samples import CATALOGUE, HEAD, parsed

from lrlc.harness.data import (
    DataError,
    DeviceSplit,
    HeldSplit,
    Shelf,
    Split,
    as_loaded,
    device_splits,
    drawn,
    load_dataset,
    offsets,
    shuffled,
)
from lrlc.results.store import Store
from lrlc.studies import DatasetSpec, StudyError, TrialConfig, expand, trial_id

CPU = torch.device("cpu")
DIGITS = DatasetSpec(name="digits", train_images=200, draw="seed")
LABELLED = st.lists(st.integers(0, 5), min_size=1, max_size=80).map(lambda each: np.array(each, np.int64))


def cells(text: str, *overrides: str) -> list[TrialConfig]:
    return expand(parsed(text, *overrides), CATALOGUE).trials()


def seen(spec: DatasetSpec, seed: int, room_bytes: float = 0) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Every image and label of a trial's splits, in order."""
    dataset = load_dataset(as_loaded(spec), None)
    splits = device_splits(spec, seed, dataset, Shelf(CPU, room_bytes=room_bytes))
    return {name: split.gather(torch.arange(split.count)) for name, split in splits.items()}


@settings(deadline=None)
@given(labels=LABELLED, seed=st.integers(0, 9), data=st.data())
def test_a_draw_is_proportional_and_without_repetition(
    labels: np.ndarray, seed: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, len(labels)))
    rows = drawn(labels, count, seed)
    assert len(rows) == count
    assert (np.diff(rows) > 0).all()
    exact = np.bincount(labels) * count / len(labels)
    assert (abs(np.bincount(labels[rows], minlength=len(exact)) - exact) < 1).all()
    np.testing.assert_array_equal(rows, drawn(labels, count, seed))


def test_each_seed_draws_its_own_images_and_larger_draws_contain_smaller_ones() -> None:
    first, again, other = (drawn(LABELS, 80, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert 0 < len(np.intersect1d(first, other)) < 80
    balanced = np.arange(200) % 10
    assert set(drawn(balanced, 50, 3)) < set(drawn(balanced, 120, 3))
    assert drawn(balanced, 200, 3).tolist() == list(range(200))


def test_all_images_are_drawn_equally_often_over_many_seeds() -> None:
    labels = np.repeat([0, 1, 2], [100, 40, 60])
    times = np.bincount(np.concatenate([drawn(labels, 50, seed) for seed in range(2000)]), minlength=200)
    assert abs(times / 2000 - 0.25).max() < 0.05  # 5 standard deviations


def test_a_trial_sees_the_drawn_images_on_every_device() -> None:
    whole = load_dataset(DatasetSpec(name="digits"), None)
    rows = drawn(whole.train.labels, 200, 4)
    for room_bytes in (0, 1e9):
        images, labels = seen(DIGITS, 4, room_bytes)["train"]
        np.testing.assert_allclose(images.permute(0, 2, 3, 1), whole.train.images[rows] / 255, atol=1e-6)
        assert labels.tolist() == whole.train.labels[rows].tolist()
    assert len(seen(DIGITS, 4)["validation"][1]) == len(whole.validation.labels)
    assert len(seen(DIGITS, 4)["test"][1]) == len(whole.test.labels)


def test_a_drawn_image_keeps_its_shift() -> None:
    whole = DatasetSpec(name="digits", translate=2)
    rows = drawn(load_dataset(DatasetSpec(name="digits"), None).train.labels, 200, 4)
    shifted = DIGITS.model_copy(update={"translate": 2})
    torch.testing.assert_close(seen(shifted, 4)["train"][0], seen(whole, 4)["train"][0][rows])


def test_a_device_holds_the_images_once_for_all_seeds_and_numbers() -> None:
    shelf, more = Shelf(CPU, room_bytes=1e9), DIGITS.model_copy(update={"train_images": 400})
    assert as_loaded(DIGITS) == as_loaded(more) == DatasetSpec(name="digits")
    dataset = load_dataset(as_loaded(DIGITS), None)
    held = shelf.splits(dataset)
    for seed in range(3):
        assert device_splits(DIGITS, seed, dataset, shelf)["train"].count == 200
    assert shelf.splits(dataset) is held


def test_shuffled_labels_keep_their_counts_and_the_test_split_its_labels() -> None:
    plain = seen(DIGITS, 1)
    null = seen(DIGITS.model_copy(update={"shuffle_labels": True}), 1)
    for name in ("train", "validation"):
        torch.testing.assert_close(null[name][0], plain[name][0])
        assert sorted(null[name][1].tolist()) == sorted(plain[name][1].tolist())
        assert (null[name][1] == plain[name][1]).double().mean() < 0.25
    assert null["test"][1].tolist() == plain["test"][1].tolist()
    assert (shuffled(LABELS, 1, "train") != shuffled(LABELS, 2, "train")).any()


def test_rows_offsets_and_labels_belong_to_their_images() -> None:
    held = HeldSplit.on(CPU, Split(RGB, LABELS.astype(np.int64)), 0)
    rows, by = np.array([7, 3, 150]), offsets(len(RGB), 3, 0, "train")
    split = DeviceSplit(held, (0.0, 255.0), by, rows=rows, labels=np.array([9, 8, 7]))
    whole = DeviceSplit(held, (0.0, 255.0), by)
    images, labels = split.gather(torch.tensor([2, 0]))
    torch.testing.assert_close(images, whole.gather(torch.tensor([150, 7]))[0])
    assert (split.count, labels.tolist()) == (3, [7, 9])


def test_drawing_more_than_there_are_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRLC_CACHE", str(tmp_path / "cache"))
    as_mnist_idx(tmp_path / "mnist")
    spec = DatasetSpec(name="mnist", train_images=139, draw="seed")
    with pytest.raises(
        DataError, match="mnist: cannot draw 139 of 138 training images; give a `train_images` up to"
    ):
        load_dataset(spec, tmp_path)
    assert len(load_dataset(spec.model_copy(update={"train_images": 138}), tmp_path).train.labels) == 138


def test_rows_record_the_draw_and_all_kinds_of_a_seed_share_it(
    lrlc: Callable[..., object], tiny_study: Path, tmp_path: Path
) -> None:
    grid = (
        "grid=[{kind: [conv, locally_connected], placement: 3}, {kind: conv, dataset.shuffle_labels: true}]"
    )
    words = ("--serial", "draw=seed", grid, "train.epochs=1", "evaluation_images=50")
    lrlc("run", tiny_study, *words)
    rows = Store(tmp_path / "runs/tiny").trials()
    assert set(rows["dataset"]) == {"digits", "digits+shuffled"}
    assert set(rows["draw"]) == {"seed"}
    assert set(rows["train_images"]) == {300}
    assert set(rows.loc[rows["shuffle_labels"], "dataset"]) == {"digits+shuffled"}
    assert rows["data_digest"].nunique() == 1
    assert (rows.loc[rows["dataset"] == "digits", "status"] == "finished").all()


def test_a_forecast_counts_the_images_that_are_drawn(tiny_study: Path, tmp_path: Path) -> None:
    from lrlc.harness.plan.forecast import forecast
    from lrlc.harness.plan.machine import machine_at_hand
    from lrlc.studies import Resources

    words = ["draw=seed", "grid={kind: conv}", "seeds=1", "train_images=1000", "train.epochs=1"]
    plan = planned_run(tiny_study, words, tmp_path).plan
    found = forecast(
        plan.missing, Store(tmp_path / "none").trials(), machine_at_hand(Resources()), None, probe=True
    )
    assert (found.from_rows, found.from_probes) == (0, 1)
    assert found.slot_seconds is not None
    assert found.slot_seconds > 0


def test_drawing_and_shuffling_make_new_trials_and_leave_other_ids_unchanged() -> None:
    def identities(*overrides: str) -> list[str]:
        found = cells(HEAD + "train_images: 50\ngrid: {kind: conv}", *overrides)
        return [trial_id(config, data_digest="d", code_epoch=1) for config in found]

    (plain,) = identities()
    first, by_seed = identities("grid={kind: conv, dataset.draw: [first, seed]}")
    assert first == plain != by_seed
    assert identities("draw=seed") == [by_seed]
    assert identities("draw=seed", "datasets={name: digits, draw: first}") == [plain]
    assert identities("datasets={name: digits, draw: seed}") == [by_seed]
    off, on = identities("grid={kind: conv, dataset.shuffle_labels: [false, true]}")
    assert off == plain != on
    (config,) = cells(HEAD + "grid: {kind: conv}", "datasets={name: digits, size: 4, shuffle_labels: true}")
    assert config.dataset.title == "digits@4+shuffled"


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            ["draw=seed"],
            "grid[0].dataset.draw: 'seed' needs the number of images to draw; "
            "give digits `train_images` or `draw: first`",
        ),
        (["draw=seeds", "train_images=9"], "draw: unknown value 'seeds'; did you mean 'seed'?"),
        (
            ["grid={kind: conv, dataset.draw: sead}", "train_images=9"],
            "grid[0].dataset.draw: unknown value 'sead'; did you mean 'seed'?",
        ),
        (
            ["datasets={name: digits, shuffle_labels: 3}"],
            "datasets[0].shuffle_labels: expected true or false, got 3",
        ),
    ],
)
def test_a_wrong_draw_is_refused_in_a_line(overrides: list[str], line: str) -> None:
    with pytest.raises(StudyError) as caught:
        parsed(HEAD + "grid: {kind: conv}", *overrides)
    assert str(caught.value) == f"my.yaml: {line}"


def test_real_images_are_drawn_in_the_proportions_of_their_labels(data_dir: Path) -> None:
    if not (data_dir / "mnist").is_dir():
        pytest.skip("no mnist in LRLC_DATA")
    whole = load_dataset(DatasetSpec(name="mnist", size=(14, 14)), data_dir)
    rows = drawn(whole.train.labels, 8000, 0)
    shares = (np.bincount(labels) / len(labels) for labels in (whole.train.labels, whole.train.labels[rows]))
    np.testing.assert_allclose(*shares, atol=1 / 8000)
