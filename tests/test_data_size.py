"""Images shrunk when decoded: the same in every layout, part of a trial's identity, and never enlarged."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.data_samples import (
    LABELS,
    MNIST,
    as_celeba,
    as_mnist_idx,
    as_mnist_parquet,
    encoded,
    write_parquet,
)
from support.studies_samples import CATALOGUE, HEAD, parsed

from lrlc.harness.data import DataError, check, load_dataset
from lrlc.harness.data.shrink import shrink
from lrlc.studies import DatasetSpec, StudyError, TrialConfig, expand, trial_id
from lrlc.studies.titles import Title


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LRLC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def cells(text: str, *overrides: str) -> list[TrialConfig]:
    return expand(parsed(text, *overrides), CATALOGUE).trials()


@pytest.mark.parametrize("size", [(14, 14), (7, 28), (28, 4)])
def test_a_whole_ratio_averages_blocks(size: tuple[int, int]) -> None:
    down, across = 28 // size[0], 28 // size[1]
    means = MNIST.reshape(len(MNIST), size[0], down, size[1], across).mean(axis=(2, 4))
    np.testing.assert_array_equal(shrink(MNIST[..., None], size)[..., 0], np.floor(means + 0.5))


@pytest.mark.parametrize("size", [(20, 20), (14, 20)])
def test_any_other_ratio_is_pillows_bicubic(size: tuple[int, int]) -> None:
    expected = [
        np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC)) for image in MNIST[:9]
    ]
    np.testing.assert_array_equal(shrink(MNIST[:9, ..., None], size)[..., 0], expected)


def test_every_layout_is_shrunk_the_same_into_its_own_entry(tmp_path: Path, own_cache: Path) -> None:
    as_mnist_idx(tmp_path / "idx/mnist")
    as_mnist_parquet(tmp_path / "parquet/mnist")
    spec, whole = DatasetSpec(name="mnist", size=(14, 14)), DatasetSpec(name="mnist")
    idx, parquet = (load_dataset(spec, tmp_path / place) for place in ("idx", "parquet"))
    assert idx.image_shape == (1, 14, 14)
    assert idx.digest == parquet.digest != load_dataset(whole, tmp_path / "idx").digest
    for ours, theirs in ((idx.train, parquet.train), (idx.validation, parquet.validation)):
        np.testing.assert_array_equal(ours.images, theirs.images)
    np.testing.assert_array_equal(idx.test.images, shrink(MNIST[150:, ..., None], (14, 14)))
    np.testing.assert_array_equal(idx.test.labels, LABELS[150:])
    assert len(list(own_cache.glob("mnist@14-*"))) == 2
    shifted = load_dataset(spec.model_copy(update={"translate": 2}), tmp_path / "idx")
    assert (shifted.title, shifted.digest) == ("mnist@14+t2", idx.digest)


def test_shrinking_follows_celebas_crop_and_works_for_user_folders(tmp_path: Path, own_cache: Path) -> None:
    for split, rows in (("train", slice(0, 50)), ("test", slice(50, 60))):
        images = [encoded(image[:, :20]) for image in MNIST[rows]]
        write_parquet(tmp_path / f"my/digits/{split}.parquet", images, label=LABELS[rows])
    mine = load_dataset(DatasetSpec(path="my/digits", size=(14, 14)), tmp_path)
    np.testing.assert_array_equal(mine.test.images, shrink(MNIST[50:60, :, :20, None], (14, 14)))
    as_celeba(tmp_path / "celeba")
    faces = load_dataset(DatasetSpec(name="celeba"), tmp_path)
    small = load_dataset(DatasetSpec(name="celeba", size=(16, 16)), tmp_path)
    np.testing.assert_array_equal(small.test.images, shrink(np.array(faces.test.images), (16, 16)))


@pytest.mark.parametrize("size", [(29, 29), (14, 29)])
def test_enlarging_is_refused_in_a_line(size: tuple[int, int], tmp_path: Path, own_cache: Path) -> None:
    as_mnist_idx(tmp_path / "mnist")
    with pytest.raises(DataError, match=r"mnist@\S+: images of 28x28 pixels cannot be enlarged to") as caught:
        load_dataset(DatasetSpec(name="mnist", size=size), tmp_path)
    assert "\n" not in str(caught.value)
    assert not [path for path in own_cache.iterdir() if path.is_dir()]


@pytest.mark.parametrize(("name", "size"), [("cifar10", 16), ("mnist", 14), ("utkface", 16)])
def test_real_images_keep_their_mean(name: str, size: int, data_dir: Path) -> None:
    if not (data_dir / name).is_dir():
        pytest.skip(f"no {name} in LRLC_DATA")
    whole = load_dataset(DatasetSpec(name=name, evaluation_images=200), data_dir)
    small = load_dataset(DatasetSpec(name=name, evaluation_images=200, size=(size, size)), data_dir)
    assert small.image_shape[1:] == (size, size)
    np.testing.assert_array_equal(small.test.labels, whole.test.labels)
    means = (split.images.mean(axis=(1, 2)) for split in (small.test, whole.test))
    np.testing.assert_allclose(*means, atol=0.5)


def test_check_reports_the_size_and_the_method(tmp_path: Path, own_cache: Path) -> None:
    as_mnist_idx(tmp_path / "mnist")
    assert "mnist@14: IDX files, 14x14x1, shrunk from 28x28 (box filter), 10" in check("mnist@14", tmp_path)
    assert "20x14x1, shrunk from 28x28 (bicubic, antialiased)" in check("mnist@20x14", tmp_path)
    assert "mnist: IDX files, 28x28x1, 10 classes" in check("mnist", tmp_path)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("{name: mnist, size: 14}", "mnist@14"),
        ("{name: mnist, size: [14, 14], translate: 2}", "mnist@14+t2"),
        ("{name: celeba, label: Smiling, size: [16, 20]}", "celeba:Smiling@16x20"),
        ("{path: my/faces, size: 8}", "my/faces@8"),
    ],
)
def test_the_size_is_part_of_the_title(text: str, title: str) -> None:
    (config,) = cells(f"name: t\ndatasets: {text}\ngrid: {{kind: conv}}")
    assert config.dataset.title == title
    parts = Title.parse(title)
    assert str(parts) == title
    assert (parts.name, parts.size) == (config.dataset.name or config.dataset.path, config.dataset.size)


def test_a_size_makes_a_new_trial_and_leaves_other_ids_unchanged() -> None:
    def identities(*overrides: str) -> list[str]:
        found = cells(HEAD + "grid: {kind: conv}", *overrides)
        return [trial_id(config, data_digest="d", code_epoch=1) for config in found]

    (plain,) = identities()
    assert identities("datasets={name: digits, size: null}") == [plain]
    small, smaller = identities("grid={kind: conv, dataset.size: [8, 4]}")
    assert len({plain, small, smaller}) == 3
    assert identities("datasets={name: digits, size: 8}") == [small]
    assert identities("size=[8, 8]") == [small]
    assert identities("size=8", "grid={kind: conv, dataset.size: [[4, 4]]}") == [smaller]
    assert identities("size=8", "grid={kind: conv, dataset: {name: digits, size: 4}}") == [smaller]


def test_a_claim_may_leave_out_the_studys_size_of_a_data_set() -> None:
    study = parsed(
        "name: t\nsize: 16\ndatasets: [cifar10, {name: mnist, size: 14}]\n"
        "grid: [{kind: conv}, {kind: lrlc, rank: 2}]\nclaims:\n"
        "  - {test: change, name: C, ours: lrlc, theirs: conv,\n"
        "     before: [cifar10, mnist], after: [cifar10+t2, mnist@7]}\n"
    )
    assert [spec.title for spec in study.datasets] == ["cifar10@16", "mnist@14"]
    (claim,) = study.claims
    assert claim.test == "change"
    assert (claim.before, claim.after) == (["cifar10@16", "mnist@14"], ["cifar10@16+t2", "mnist@7"])


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("size=0", "size: expected whole numbers of pixels from 1, got 0"),
        ("size=large", "size: expected a number of pixels or [height, width], got 'large'"),
        ("size=[4]", "size: expected a number of pixels or [height, width], got [4]"),
        ("size=yes", "size: expected whole numbers of pixels from 1, got True"),
        (
            "datasets={name: digits, size: [4, 2.5]}",
            "datasets[0].size: expected whole numbers of pixels from 1, got [4, 2.5]",
        ),
        (
            "grid={kind: conv, dataset.size: [4, -1]}",
            "grid[0].dataset.size: expected whole numbers of pixels from 1, got -1",
        ),
    ],
)
def test_a_wrong_size_is_refused_in_a_line(override: str, line: str) -> None:
    with pytest.raises(StudyError) as caught:
        parsed(HEAD + "grid: {kind: conv}", override)
    assert str(caught.value) == f"my.yaml: {line}"
