"""Alignment: how alike the images of a data set are, position by position, and how shifts take that away."""

import math
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from results_samples import noted, study

from harness.data import load_dataset
from harness.data.alignment import alignment
from harness.dataset_summaries import summarise_dataset
from results.datasets import DatasetSummary
from results.figures import NothingToDraw, Selection, render
from results.schema import to_tables
from results.store import Store
from studies import DatasetSpec

Lrlc = Callable[..., subprocess.CompletedProcess[str]]
DIAL = (0, 1, 2, 4, 8, 16)


def summary(name: str, pixels: int, data_dir: Path | None) -> DatasetSummary:
    return summarise_dataset(name, load_dataset(DatasetSpec(name=name), data_dir), pixels, 0)


def test_it_is_the_mean_correlation_over_all_pairs() -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 5, 6, 1)).astype(np.uint8)
    pairs = np.corrcoef(images.reshape(7, -1))[np.triu_indices(7, 1)]
    assert alignment(images) == pytest.approx(pairs.mean(), abs=1e-6)


def test_equal_images_are_aligned_and_flat_ones_are_not() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    assert alignment(np.repeat(image, 5, axis=0)) == pytest.approx(1)
    assert alignment(np.full((5, 4, 4, 3), 9, dtype=np.uint8)) == 0
    assert math.isnan(alignment(image))


def test_what_a_shift_brings_in_does_not_count() -> None:
    """Half of each image is black border: without `inside` that alone would align them."""
    images = np.random.default_rng(1).integers(100, 256, (60, 8, 8, 1)).astype(np.uint8)
    images[:, :, 4:] = 0
    inside = np.zeros((60, 8, 8), dtype=bool)
    inside[:, :, :4] = True
    assert alignment(images) > 0.5
    assert abs(alignment(images, inside)) < 0.05


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "utkface"])
def test_it_falls_with_every_shift(name: str, data_dir: Path) -> None:
    if not (data_dir / name).is_dir():
        pytest.skip(f"no {name} in the data folder")
    dial = [summary(name, pixels, data_dir).alignment for pixels in DIAL]
    assert all(before > after for before, after in pairwise(dial)), dial
    assert dial[-1] < dial[0] / 4


def test_digits_and_faces_are_aligned_and_cifar10_is_less(data_dir: Path) -> None:
    found = {name: summary(name, 0, data_dir).alignment for name in ("mnist", "utkface", "cifar10")}
    assert min(found["mnist"], found["utkface"]) > 5 * found["cifar10"]


def selection(datasets: dict[str, DatasetSummary]) -> Selection:
    rows = study(("mnist", "cifar10"), seeds=3, ranks=(1, 2, 4), placements=("3",))
    tables = {name: table.to_pandas() for name, table in to_tables(rows).items()}
    return Selection.of_frames(tables["trials"], tables["curves"], tables["weights"], datasets)


def test_gains_are_drawn_against_alignment_and_weights_beside_the_mean_image() -> None:
    both = {"mnist": noted("mnist", 0.3), "cifar10": noted("cifar10", 0.02)}
    for name in ("alignment", "combining_weights", "combining_weights_by_image"):
        first, again = (render(name, selection(both), ["svg"])["svg"] for _ in range(2))
        assert first == again
        if name != "alignment":
            assert first != render(name, selection({}), ["svg"])["svg"]
    with pytest.raises(NothingToDraw, match="noted no alignment"):
        render("alignment", selection({}), ["svg"])
    with pytest.raises(NothingToDraw, match="two data sets"):
        render("alignment", selection({"mnist": both["mnist"]}), ["svg"])


def test_a_run_notes_its_data_sets_beside_its_tables(lrlc: Lrlc, tiny_study: Path, tmp_path: Path) -> None:
    words = ("--serial", "seeds=1", "grid={kind: conv, dataset.translate: [0, 2]}")
    lrlc("run", tiny_study, *words)
    store = Store(tmp_path / "runs/tiny")
    noted = store.datasets()
    assert set(noted) == {"digits", "digits+t2"}
    assert noted["digits"].alignment > 0.4 > noted["digits+t2"].alignment > 0
    assert noted["digits"].mean_image.shape == (8, 8, 1)
    digits = load_dataset(DatasetSpec(name="digits"), None)
    np.testing.assert_array_equal(
        noted["digits"].examples, digits.test.images[: len(noted["digits"].examples)]
    )
    (tmp_path / "runs/tiny/datasets/digits.parquet").write_bytes(b"torn")
    assert set(store.datasets()) == {"digits+t2"}
    lrlc("run", tiny_study, *words)
    assert store.datasets()["digits"].alignment == noted["digits"].alignment
