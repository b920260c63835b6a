"""Every layout of a data set gives the same images, cropped, split and scaled as in docs/science.md, "The data"."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.data_samples import (
    LABELS,
    MNIST,
    RGB,
    SMALL,
    Array,
    as_celeba,
    as_cifar,
    as_image_folder,
    as_mnist_idx,
    as_mnist_parquet,
    encoded,
    python2_batch,
    python3_batch,
    write_parquet,
)
from torch.nn import functional as F

from lrlc.harness.data import DataError, Dataset, describe_datasets, load_dataset
from lrlc.harness.data.fetch import fetch
from lrlc.harness.data.tf_bicubic import resize_bicubic
from lrlc.studies import DatasetSpec


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LRLC_CACHE", str(tmp_path / "cache"))


def counts(dataset: Dataset) -> tuple[int, int, int]:
    return len(dataset.train.labels), len(dataset.validation.labels), len(dataset.test.labels)


def test_digits_need_no_folder_and_keep_their_identity() -> None:
    dataset = load_dataset(DatasetSpec(name="digits"), None)
    assert dataset.image_shape == (1, 8, 8)
    assert counts(dataset) == (1293, 144, 360)
    assert dataset.scaling == (0, 1)
    for split in (dataset.train, dataset.validation, dataset.test):
        assert set(split.labels.tolist()) == set(range(10))
    assert dataset.train.images.max() == 255
    # A change here makes every trial on every machine new, so it must be intended.
    assert dataset.digest == "0971d044ff3ca1cf"


def test_idx_gzip_and_parquet_shards_give_the_same_mnist(tmp_path: Path) -> None:
    as_mnist_idx(tmp_path / "idx/mnist")
    as_mnist_idx(tmp_path / "gzip/mnist", zipped=True)
    as_mnist_parquet(tmp_path / "parquet/mnist")
    found = [load_dataset(DatasetSpec(name="mnist"), tmp_path / name) for name in ("idx", "gzip", "parquet")]
    for dataset in found:
        assert dataset.digest == found[0].digest
        assert dataset.scaling == (-1, 1)
        held_out = round(0.08 * 150)
        np.testing.assert_array_equal(dataset.validation.images[..., 0], MNIST[:held_out])
        np.testing.assert_array_equal(dataset.train.images[..., 0], MNIST[held_out:150])
        np.testing.assert_array_equal(dataset.test.labels, LABELS[150:])


@pytest.mark.parametrize("batch", [python2_batch, python3_batch])
@pytest.mark.parametrize("archive", [True, False])
def test_cifar_batches_are_read_in_order(
    archive: bool, batch: Callable[[Array], bytes], tmp_path: Path
) -> None:
    as_cifar(tmp_path / "cifar10", archive, batch)
    dataset = load_dataset(DatasetSpec(name="cifar10"), tmp_path)
    np.testing.assert_array_equal(dataset.validation.images, RGB[:15])
    np.testing.assert_array_equal(dataset.train.images, RGB[15:150])
    np.testing.assert_array_equal(dataset.test.labels, LABELS[150:180])
    assert dataset.scaling == (0, 1)


@pytest.mark.parametrize(("zipped", "lists"), [(False, ("", "")), (True, ("Anno", "Eval"))])
def test_celeba_is_cut_split_and_labelled_as_specified(
    zipped: bool, lists: tuple[str, str], tmp_path: Path
) -> None:
    as_celeba(tmp_path / "celeba", zipped, lists)
    as_celeba(tmp_path / "original")
    dataset = load_dataset(DatasetSpec(name="celeba"), tmp_path)
    assert counts(dataset) == (6, 3, 3)
    assert dataset.train.labels.tolist() == [1, 0, 1, 1, 0, 0]
    with Image.open(tmp_path / "original/img_align_celeba/000001.jpg") as image:
        face = image.convert("RGB").crop((20, 40, 20 + 138, 40 + 138))
    cut = face.resize((32, 32), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(dataset.train.images[0], np.asarray(cut))
    smiles = load_dataset(DatasetSpec(name="celeba", label="Smiling"), tmp_path)
    assert smiles.train.labels.tolist() == [0, 1, 0, 0, 1, 1]
    assert smiles.digest != dataset.digest
    with pytest.raises(DataError, match="no attribute 'Bald'; it has Male, Smiling"):
        load_dataset(DatasetSpec(name="celeba", label="Bald"), tmp_path)


def test_plain_celeba_is_the_same_cut_shrunk_as_tensorflow_1_does(tmp_path: Path) -> None:
    as_celeba(tmp_path / "celeba")
    plain, usual = (load_dataset(DatasetSpec(name=name), tmp_path) for name in ("celeba_plain", "celeba"))
    assert plain.train.labels.tolist() == usual.train.labels.tolist()
    with Image.open(tmp_path / "celeba/img_align_celeba/000001.jpg") as image:
        face = np.asarray(image.convert("RGB"))[40:178, 20:158]
    # grid_sample has the kernel of TensorFlow's op, but reads at given positions, not at pixel centres.
    places = torch.arange(32) * (138 / 32) / 137 * 2 - 1
    grid = torch.stack(torch.meshgrid(places, places, indexing="xy"), -1)[None]
    pixels = torch.tensor(face, dtype=torch.float32).permute(2, 0, 1)[None]
    read = F.grid_sample(pixels, grid, "bicubic", "border", align_corners=True)[0].permute(1, 2, 0)
    np.testing.assert_allclose(plain.train.images[0], read.clamp(0, 255), atol=0.51)
    assert (plain.train.images != usual.train.images).any()


def test_tensorflows_resize_is_reproduced() -> None:
    """Results of tf.image.resize_bicubic for 0..8, as printed in iwyoo/bicubic_interp-tensorflow."""
    image = np.arange(9).reshape(3, 3, 1).astype(np.uint8) * 16
    printed = np.array([[0, 0.40625, 1, 1.59375, 2, 2.09375]])
    rows = np.array([[0], [1.21875], [3], [4.78125], [6], [6.28125]])
    np.testing.assert_array_equal(resize_bicubic(image, (6, 6))[..., 0], np.rint(16 * (printed + rows)))


def test_celeba_from_the_hub_is_cropped_in_the_same_way(tmp_path: Path) -> None:
    as_celeba(tmp_path / "celeba")
    pictures = sorted((tmp_path / "celeba/img_align_celeba").iterdir())
    for split, part in (("train", slice(0, 6)), ("valid", slice(6, 9)), ("test", slice(9, 12))):
        images = [path.read_bytes() for path in pictures[part]]
        male = [True, False, True, True, False, False, True, False, True, True, False, False][part]
        path = tmp_path / f"hub/celeba/img_align+identity+attr/{split}-00000-of-00001.parquet"
        write_parquet(path, images, celeb_id=list(range(len(images))), Male=male)
    ours, hub = (load_dataset(DatasetSpec(name="celeba"), tmp_path / place) for place in ("", "hub"))
    assert hub.digest == ours.digest


def test_imagenet_class_folders_are_cropped_to_224_and_its_validation_set_is_the_test_set(
    tmp_path: Path,
) -> None:
    as_image_folder(tmp_path / "imagenet", {"train": 30, "val": 3}, size=(80, 60))
    dataset = load_dataset(DatasetSpec(name="imagenet"), tmp_path)
    assert dataset.image_shape == (3, 224, 224)
    assert dataset.num_classes == 1000
    assert counts(dataset) == (119, 1, 12)
    picture = Image.fromarray(RGB[0]).resize((80, 60)).resize((341, 256), Image.Resampling.BICUBIC)
    centre = np.asarray(picture.crop((58, 16, 58 + 224, 16 + 224)))
    assert any((image == centre).all() for image in dataset.train.images)


def test_imagenet_from_the_hub_is_read_although_its_test_set_has_no_labels(tmp_path: Path) -> None:
    images = [encoded(image) for image in RGB[:150]]
    for split, labels in (("train", LABELS[:150]), ("validation", LABELS[:50]), ("test", np.full(20, -1))):
        path = tmp_path / f"imagenet/data/{split}-00000-of-00001.parquet"
        write_parquet(path, images[: len(labels)], label=labels)
    dataset = load_dataset(DatasetSpec(name="imagenet"), tmp_path)
    assert counts(dataset) == (148, 2, 50)
    np.testing.assert_array_equal(dataset.test.labels, LABELS[:50])


def test_the_first_pictures_of_an_image_folder_include_every_class(tmp_path: Path) -> None:
    as_image_folder(tmp_path / "my/pictures", {"train": 60, "test": 30})
    spec = DatasetSpec(path="my/pictures", train_images=60, evaluation_images=30)
    dataset = load_dataset(spec, tmp_path)
    for split, count in ((dataset.train, 60), (dataset.validation, 24), (dataset.test, 30)):
        assert len(split.labels) == count
        assert np.bincount(split.labels, minlength=4).min() > 0
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "my/pictures").rename(tmp_path / "elsewhere/pictures")
    moved = load_dataset(DatasetSpec(path="elsewhere/pictures"), tmp_path)
    assert moved.digest == dataset.digest


def test_any_parquet_folder_is_named_by_its_path(tmp_path: Path) -> None:
    for split, part in (("train", slice(0, 100)), ("valid", slice(100, 130)), ("test", slice(130, 160))):
        images = [encoded(image) for image in RGB[part]]
        path = tmp_path / f"faces/data/{split}-0.parquet"
        write_parquet(path, images, "img", age=LABELS[part] * 9, odd=LABELS[part] % 2)
    dataset = load_dataset(DatasetSpec(path="faces/data", label="odd"), tmp_path)
    np.testing.assert_array_equal(dataset.train.images, RGB[:100])
    np.testing.assert_array_equal(dataset.validation.labels, LABELS[100:130] % 2)
    assert dataset.num_classes == 2
    limits = {"train_images": 7, "evaluation_images": 5}
    assert counts(load_dataset(DatasetSpec(path="faces/data", label="odd", **limits), tmp_path)) == (7, 5, 5)
    with pytest.raises(DataError, match="several columns could be the label; give `label`, one of age, odd"):
        load_dataset(DatasetSpec(path="faces/data"), tmp_path)
    with pytest.raises(DataError, match="no label column 'smile'"):
        load_dataset(DatasetSpec(path="faces/data", label="smile"), tmp_path)


def test_shards_may_lie_in_folders_named_by_split(tmp_path: Path) -> None:
    for split, part in (("train", slice(0, 90)), ("test", slice(90, 120))):
        images = [encoded(image) for image in SMALL[part]]
        write_parquet(tmp_path / f"x/default/{split}/0000.parquet", images, label=LABELS[part])
    assert counts(load_dataset(DatasetSpec(path="x/default"), tmp_path)) == (81, 9, 30)


def test_rows_sorted_by_label_are_refused_if_only_the_first_are_used(tmp_path: Path) -> None:
    order = np.argsort(LABELS, kind="stable")
    images = [encoded(image) for image in SMALL[order]]
    for split in ("train", "test"):
        write_parquet(tmp_path / f"my/sorted/{split}.parquet", images, label=LABELS[order])
    with pytest.raises(DataError, match="the rows of train are sorted by label"):
        load_dataset(DatasetSpec(path="my/sorted"), tmp_path)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("mnist", (1, 28, 28), (55200, 4800, 10000)),
        ("fashion_mnist", (1, 28, 28), (55200, 4800, 10000)),
        ("cifar10", (3, 32, 32), (45000, 5000, 10000)),
        ("utkface", (3, 32, 32), (18964, 2370, 2371)),
        ("orl", (1, 112, 92), (280, 40, 80)),
    ],
)
def test_real_data_sets_have_their_published_sizes(
    name: str,
    shape: tuple[int, ...],
    expected: tuple[int, ...],
    data_dir: Path,
    cache: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LRLC_CACHE", cache)  # other tests look at the same images
    if not (data_dir / name).is_dir():
        pytest.skip(f"no {name} in {data_dir}")
    dataset = load_dataset(DatasetSpec(name=name), data_dir)
    assert dataset.image_shape == shape
    assert counts(dataset) == expected
    (status,) = [entry for entry in describe_datasets(data_dir) if entry.name == name]
    assert status.decoded
    assert status.shape == shape
    assert status.counts == dict(zip(("train", "validation", "test"), expected, strict=True))


def test_a_list_of_data_sets_says_what_was_looked_for(tmp_path: Path) -> None:
    as_mnist_idx(tmp_path / "mnist")
    (tmp_path / "cifar10").mkdir()
    found = {entry.name: entry for entry in describe_datasets(tmp_path)}
    assert (found["mnist"].present, found["mnist"].layout, found["mnist"].decoded) == (
        True,
        "IDX files",
        False,
    )
    assert found["digits"].present
    problem = found["cifar10"].problem or ""
    for word in (
        "train-*.parquet",
        "cifar-10-python.tar.gz",
        str(tmp_path / "cifar10"),
        "lrlc data fetch cifar10",
    ):
        assert word in problem
    assert "lrlc data fetch celeba" in (found["celeba"].problem or "")


def test_fetch_says_where_to_put_what_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"utkface cannot be fetched; put Parquet shards .* into .*utkface"):
        fetch("utkface", tmp_path)
    with pytest.raises(DataError, match="unknown data set 'mnits'; did you mean 'mnist'"):
        fetch("mnits", tmp_path)
    with pytest.raises(DataError, match="digits: needs no files"):
        fetch("digits", tmp_path)


def test_fetch_without_a_network_says_so_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there, so the test is always offline
    with pytest.raises(
        DataError, match=r"celeba: flwrlabs/celeba could not .*; put img_align_celeba"
    ) as caught:
        fetch("celeba", tmp_path)
    assert "\n" not in str(caught.value)
