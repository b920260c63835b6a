"""Alignment: how similar the images of a data set are, position by position, and how shifts reduce this."""

import math
import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support.results_samples import noted, study

from lrlc.harness.data import Dataset, Split, load_dataset
from lrlc.harness.data.alignment import alignment
from lrlc.harness.run.data_summaries import summarise_dataset
from lrlc.results import datasets
from lrlc.results.datasets import DatasetSummary
from lrlc.results.figures import NothingToDraw, Selection, render
from lrlc.results.figures.style import look
from lrlc.results.schema import to_tables
from lrlc.results.store import Store
from lrlc.studies import DatasetSpec

Lrlc = Callable[..., subprocess.CompletedProcess[str]]
DIAL = (0, 1, 2, 4, 8, 16)


def summary(name: str, pixels: int, data_dir: Path | None) -> DatasetSummary:
    """The alignment of a thousand images, each moved by up to `pixels`."""
    spec = DatasetSpec(name=name, train_images=1000)
    return summarise_dataset(name, load_dataset(spec, data_dir), pixels, 0, examples=4)


def test_it_is_the_mean_correlation_over_all_pairs() -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 5, 6, 1)).astype(np.uint8)
    pairs = np.corrcoef(images.reshape(7, -1))[np.triu_indices(7, 1)]
    assert alignment(images) == pytest.approx(pairs.mean(), abs=1e-6)


def test_equal_images_are_aligned_and_flat_ones_are_not() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    assert alignment(np.repeat(image, 5, axis=0)) == pytest.approx(1)
    assert alignment(np.full((5, 4, 4, 3), 9, dtype=np.uint8)) == 0
    assert math.isnan(alignment(image))


def test_pixels_that_a_shift_moves_in_do_not_count() -> None:
    """Half of each image is black border, which alone would align them without `inside`."""
    images = np.random.default_rng(1).integers(100, 256, (60, 8, 8, 1)).astype(np.uint8)
    images[:, :, 4:] = 0
    inside = np.zeros((60, 8, 8), dtype=bool)
    inside[:, :, :4] = True
    assert alignment(images) > 0.5
    assert abs(alignment(images, inside)) < 0.05


@pytest.mark.parametrize("name", ["digits", "mnist", "fashion_mnist", "cifar10", "utkface"])
def test_it_falls_with_every_shift(name: str, request: pytest.FixtureRequest) -> None:
    data_dir = None if name == "digits" else request.getfixturevalue("data_dir")
    if data_dir and not (data_dir / name).is_dir():
        pytest.skip(f"no {name} in the data folder")
    dial = [summary(name, pixels, data_dir).alignment for pixels in DIAL]
    assert all(before > after for before, after in pairwise(dial)), dial
    assert dial[-1] < dial[0] / 4


def test_digits_and_faces_are_aligned_and_cifar10_is_less(data_dir: Path) -> None:
    found = {name: summary(name, 0, data_dir).alignment for name in ("mnist", "utkface", "cifar10")}
    assert min(found["mnist"], found["utkface"]) > 5 * found["cifar10"]


def test_rows_sorted_by_label_are_sampled_evenly() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    images = np.concatenate([np.repeat(image, 6000, axis=0), np.repeat(255 - image, 6000, axis=0)])
    split = Split(images, np.repeat([0, 1], 6000))
    found = summarise_dataset("sorted", Dataset("sorted", split, split, split, 2, (0, 1), "d"), 0, 0, 2)
    assert found.alignment == pytest.approx(0, abs=0.001)
    assert found.mean_image == pytest.approx(127.5, abs=0.1)


def test_a_note_of_another_version_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    with monkeypatch.context() as later:
        later.setattr(datasets, "SCHEMA", datasets.SCHEMA.with_metadata({b"lrlc.datasets_version": b"2"}))
        store.write_dataset(noted("mnist", 0.3))
    assert store.datasets() == {}
    store.write_dataset(noted("mnist", 0.3))
    assert store.datasets()["mnist"].alignment == 0.3


def selection(known: dict[str, DatasetSummary], rates: tuple[float, ...] = (0.1,)) -> Selection:
    rows = [
        replace(row, trial_id=f"{row.trial_id} {rate}", learning_rate=rate)
        for row in study(("mnist", "cifar10"), seeds=3, ranks=(1, 2, 4), placements=("3",))
        for rate in rates
    ]
    tables = {name: table.to_pandas() for name, table in to_tables(rows).items()}
    return Selection.of_frames(tables["trials"], tables["curves"], tables["weights"], known)


def test_gains_are_drawn_against_alignment_and_weights_beside_the_mean_image() -> None:
    both = {"mnist": noted("mnist", 0.3), "cifar10": noted("cifar10", 0.02)}
    for name in ("alignment", "combining_weights", "combining_weights_by_image"):
        first, again = (render(name, selection(both), ["svg"])["svg"] for _ in range(2))
        assert first == again
        if name != "alignment":
            assert first != render(name, selection({}), ["svg"])["svg"]
    with pytest.raises(NothingToDraw, match="did not record the alignment"):
        render("alignment", selection({}), ["svg"])
    with pytest.raises(NothingToDraw, match="two data sets"):
        render("alignment", selection({"mnist": both["mnist"]}), ["svg"])


def test_each_way_of_training_has_its_own_lines() -> None:
    from lrlc.results.figures import alignment as figure

    both = {"mnist": noted("mnist", 0.3), "cifar10": noted("cifar10", 0.02)}
    with look():
        drawn = figure.draw(selection(both, rates=(0.1, 0.4)))
    (legend,) = drawn.legends
    shown = {text.get_text() for text in legend.get_texts()}
    assert {"MNIST, learning rate 0.1", "MNIST, learning rate 0.4"} <= shown
    assert drawn.axes[0].get_xscale() == "log"


def test_a_run_records_summaries_of_its_data_sets(lrlc: Lrlc, tiny_study: Path, tmp_path: Path) -> None:
    words = ("--serial", "seeds=1", "grid={kind: conv, dataset.translate: [0, 2]}")
    lrlc("run", tiny_study, *words)
    store = Store(tmp_path / "runs/tiny")
    found = store.datasets()
    assert set(found) == {"digits", "digits+t2"}
    assert found["digits"].alignment > 0.4 > found["digits+t2"].alignment > 0
    assert found["digits"].mean_image.shape == (8, 8, 1)
    digits = load_dataset(DatasetSpec(name="digits"), None)
    np.testing.assert_array_equal(
        found["digits"].examples, digits.test.images[: len(found["digits"].examples)]
    )
    (tmp_path / "runs/tiny/datasets/digits.parquet").write_bytes(b"torn")
    assert set(store.datasets()) == {"digits+t2"}
    lrlc("run", tiny_study, *words)
    assert store.datasets()["digits"].alignment == found["digits"].alignment


PEOPLE = """
from lrlc.harness.data.named import digits
from lrlc.harness.data.registry import dataset

@dataset("portraits", needs_folder=False, shows_people=True)
def portraits(folder, label):
    return digits(folder, label)
"""


def test_only_the_mean_image_of_people_is_kept(lrlc: Lrlc, tiny_study: Path, tmp_path: Path) -> None:
    (tmp_path / "people.py").write_text(PEOPLE)
    tiny_study.write_text(f"plugins: [people.py]\n{tiny_study.read_text()}")
    words = ("datasets=portraits", "seeds=1", "train.epochs=1")
    lrlc("run", tiny_study, "--serial", *words, "grid={kind: lrlc_input_dependent, rank: 2, placement: [3]}")
    found = Store(tmp_path / "runs/tiny").datasets()["portraits"]
    assert found.mean_image.shape == (8, 8, 1)
    assert len(found.examples) == 0
    assert "combining_weights_by_image.png" in lrlc("plot", tiny_study).stdout
