"""Data sets: every layout gives the same images, one decode per machine, clear lines for damaged files."""

import gzip
import io
import os
import pickle
import subprocess
import sys
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from harness.data import DataError, DeviceSplit, Split, load_dataset, offsets, shift
from studies import DatasetSpec

GREY, LABELS = load_digits().images.astype(np.uint8)[:200] * 16, load_digits().target[:200]
SMALL = np.repeat(np.repeat(GREY, 4, 1), 4, 2)  # 32x32
RGB = np.stack([SMALL, SMALL // 2, 255 - SMALL], -1)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LRLC_CACHE", str(tmp_path / "cache"))


def encoded(image: np.ndarray, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, kind)
    return out.getvalue()


def write_parquet(path: Path, images: list[bytes], labels: np.ndarray, column: str = "image") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = pa.array([{"bytes": data, "path": None} for data in images])
    pq.write_table(pa.table({column: values, "label": pa.array(labels)}), path, row_group_size=64)


def write_idx(path: Path, array: np.ndarray, zipped: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    content = header + array.astype(np.uint8).tobytes()
    if zipped:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


def mnist_images() -> np.ndarray:
    return np.pad(SMALL[:, :28, :28], 0)


def as_mnist_idx(folder: Path, zipped: bool) -> None:
    for split, part in (("train", slice(0, 150)), ("t10k", slice(150, 200))):
        write_idx(folder / f"{split}-images-idx3-ubyte", mnist_images()[part], zipped)
        write_idx(folder / f"{split}-labels-idx1-ubyte", LABELS[part], zipped)


def as_mnist_parquet(folder: Path) -> None:
    for split, part in (("train", slice(0, 150)), ("test", slice(150, 200))):
        halves = np.array_split(np.arange(200)[part], 2)
        for number, rows in enumerate(halves):
            images = [encoded(image) for image in mnist_images()[rows]]
            write_parquet(folder / f"mnist/{split}-{number:05}-of-00002.parquet", images, LABELS[rows])


def test_idx_gzip_and_parquet_shards_give_the_same_mnist(tmp_path: Path) -> None:
    found = []
    for name, write in (
        ("idx", lambda folder: as_mnist_idx(folder, zipped=False)),
        ("gzip", lambda folder: as_mnist_idx(folder, zipped=True)),
        ("parquet", as_mnist_parquet),
    ):
        write(tmp_path / name / "mnist")
        found.append(load_dataset(DatasetSpec(name="mnist"), tmp_path / name))
    for dataset in found:
        assert dataset.digest == found[0].digest
        assert dataset.scaling == (-1, 1)
        held_out = round(0.08 * 150)
        np.testing.assert_array_equal(dataset.validation.images[..., 0], mnist_images()[:held_out])
        np.testing.assert_array_equal(dataset.train.images[..., 0], mnist_images()[held_out:150])
        np.testing.assert_array_equal(dataset.test.labels, LABELS[150:])


def write_cifar(folder: Path, archive: bool) -> None:
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    parts = dict(zip(names, np.array_split(np.arange(180), 6), strict=True))
    contents = {
        name: pickle.dumps(
            {
                b"data": RGB[rows].transpose(0, 3, 1, 2).reshape(len(rows), -1),
                b"labels": LABELS[rows].tolist(),
            },
            protocol=2,
        )
        for name, rows in parts.items()
    }
    folder.mkdir(parents=True)
    if archive:
        with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as out:
            for name, content in contents.items():
                info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
    else:
        (folder / "cifar-10-batches-py").mkdir()
        for name, content in contents.items():
            (folder / "cifar-10-batches-py" / name).write_bytes(content)


@pytest.mark.parametrize("archive", [True, False])
def test_cifar_batches_are_read_in_order(archive: bool, tmp_path: Path) -> None:
    write_cifar(tmp_path / "cifar10", archive)
    dataset = load_dataset(DatasetSpec(name="cifar10"), tmp_path)
    np.testing.assert_array_equal(dataset.validation.images, RGB[:15])
    np.testing.assert_array_equal(dataset.train.images, RGB[15:150])
    np.testing.assert_array_equal(dataset.test.labels, LABELS[150:180])


class Malicious:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch executed",)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_cifar(tmp_path / "cifar10", archive=False)
    (tmp_path / "cifar10/cifar-10-batches-py/data_batch_3").write_bytes(pickle.dumps({b"data": Malicious()}))
    with pytest.raises(DataError, match=r"data_batch_3 is not a CIFAR-10 batch .*system"):
        load_dataset(DatasetSpec(name="cifar10"), tmp_path)
    assert not (tmp_path / "executed").exists()


def test_celeba_is_cut_split_and_labelled_as_specified(tmp_path: Path) -> None:
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f"{number:06}.jpg" for number in range(1, 13)]
    for name in names:
        smooth = rng.integers(0, 256, (6, 5, 3), np.uint8)
        Image.fromarray(smooth).resize((178, 218), Image.Resampling.BICUBIC).save(
            folder / "img_align_celeba" / name, quality=95
        )
    male = [1, -1, 1, 1, -1, -1, 1, -1, 1, 1, -1, -1]
    smiling = [-value for value in male]
    rows = [f"{name} {a} {b}" for name, a, b in zip(names, male, smiling, strict=True)]
    (folder / "list_attr_celeba.txt").write_text("\n".join(["12", "Male Smiling", *rows]) + "\n")
    codes = [0] * 6 + [1] * 3 + [2] * 3
    (folder / "list_eval_partition.txt").write_text(
        "\n".join(f"{name} {code}" for name, code in zip(names, codes, strict=True))
    )
    dataset = load_dataset(DatasetSpec(name="celeba"), tmp_path)
    assert [len(split.labels) for split in (dataset.train, dataset.validation, dataset.test)] == [6, 3, 3]
    assert dataset.train.labels.tolist() == [1, 0, 1, 1, 0, 0]
    with Image.open(folder / "img_align_celeba/000001.jpg") as image:
        cut = (
            image.convert("RGB").crop((20, 40, 20 + 138, 40 + 138)).resize((32, 32), Image.Resampling.BICUBIC)
        )
    np.testing.assert_array_equal(dataset.train.images[0], np.asarray(cut))
    smiles = load_dataset(DatasetSpec(name="celeba", label="Smiling"), tmp_path)
    assert smiles.train.labels.tolist() == [0, 1, 0, 0, 1, 1]
    assert smiles.digest != dataset.digest
    with pytest.raises(DataError, match="no attribute 'Bald'; it has Male, Smiling"):
        load_dataset(DatasetSpec(name="celeba", label="Bald"), tmp_path)


def test_imagenet_class_folders_are_cut_to_224(tmp_path: Path) -> None:
    for split, count in (("train", 60), ("val", 4)):
        for number in range(count):
            place = tmp_path / f"imagenet/{split}/n{number % 2}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(RGB[number]).resize((80, 60)).save(place / f"{number}.png")
    dataset = load_dataset(DatasetSpec(name="imagenet"), tmp_path)
    assert dataset.image_shape == (3, 224, 224)
    assert dataset.test.labels.tolist() == [0, 0, 1, 1]
    assert len(dataset.validation.labels) == 1


def test_any_parquet_folder_is_named_by_its_path(tmp_path: Path) -> None:
    for split, part in (("train", slice(0, 100)), ("valid", slice(100, 130)), ("test", slice(130, 160))):
        images = [encoded(image) for image in RGB[part]]
        write_parquet(tmp_path / f"faces/data/{split}-0.parquet", images, LABELS[part], column="img")
    dataset = load_dataset(DatasetSpec(path="faces/data"), tmp_path)
    np.testing.assert_array_equal(dataset.train.images, RGB[:100])
    np.testing.assert_array_equal(dataset.validation.labels, LABELS[100:130])
    limited = load_dataset(DatasetSpec(path="faces/data", train_images=7, evaluation_images=5), tmp_path)
    assert [len(s.labels) for s in (limited.train, limited.validation, limited.test)] == [7, 5, 5]
    with pytest.raises(DataError, match="no label column 'age'"):
        load_dataset(DatasetSpec(path="faces/data", label="age"), tmp_path)


def test_a_damaged_image_is_named_with_its_row_and_nothing_is_cached(tmp_path: Path) -> None:
    images = [encoded(image) for image in RGB[:20]]
    images[13] = images[13][:40]
    write_parquet(tmp_path / "faces/data/train-0.parquet", images, LABELS[:20])
    write_parquet(tmp_path / "faces/data/test-0.parquet", images[:5], LABELS[:5])
    with pytest.raises(DataError, match=r"train-0\.parquet row 13: no readable image"):
        load_dataset(DatasetSpec(path="faces/data"), tmp_path)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_a_cut_off_idx_file_is_named(tmp_path: Path) -> None:
    as_mnist_idx(tmp_path / "mnist", zipped=False)
    path = tmp_path / "mnist/train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte: holds .* values, its header says"):
        load_dataset(DatasetSpec(name="mnist"), tmp_path)


def test_a_damaged_cache_entry_is_built_again(tmp_path: Path) -> None:
    as_mnist_idx(tmp_path / "mnist", zipped=False)
    digest = load_dataset(DatasetSpec(name="mnist"), tmp_path).digest
    (array,) = (tmp_path / "cache").glob("mnist-*/train_images.npy")
    array.write_bytes(array.read_bytes()[:500])
    again = load_dataset(DatasetSpec(name="mnist"), tmp_path)
    assert again.digest == digest
    np.testing.assert_array_equal(again.test.images[..., 0], mnist_images()[150:])


def test_changed_files_are_decoded_again(tmp_path: Path) -> None:
    as_mnist_parquet(tmp_path / "mnist")
    first = load_dataset(DatasetSpec(name="mnist"), tmp_path).digest
    shard = tmp_path / "mnist/mnist/test-00000-of-00002.parquet"
    write_parquet(shard, [encoded(255 - image) for image in mnist_images()[:25]], LABELS[150:175])
    assert load_dataset(DatasetSpec(name="mnist"), tmp_path).digest != first


def test_processes_that_start_at_once_decode_once(tmp_path: Path) -> None:
    as_mnist_parquet(tmp_path / "mnist")
    code = (
        "from pathlib import Path; from harness.data import load_dataset; from studies import DatasetSpec;"
        f"print(load_dataset(DatasetSpec(name='mnist'), Path({str(tmp_path)!r})).digest)"
    )

    def process(_: int) -> str:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(process, range(3)))
    assert len(set(digests)) == 1
    assert len(list((tmp_path / "cache").glob("mnist-*"))) == 1


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 9), st.integers(0, 2**31), st.integers(1, 40))
def test_an_image_keeps_its_offset_whatever_the_number_of_images(pixels: int, seed: int, count: int) -> None:
    long, short = offsets(count + 10, pixels, seed, "train"), offsets(count, pixels, seed, "train")
    np.testing.assert_array_equal(long[:count], short)
    assert abs(long).max() <= pixels


def test_offsets_reach_both_ends_and_differ_by_seed_and_split() -> None:
    drawn = offsets(500, 4, 0, "train")
    assert set(drawn[:, 0]) == set(drawn[:, 1]) == set(range(-4, 5))
    assert (drawn != offsets(500, 4, 1, "train")).any()
    assert (drawn != offsets(500, 4, 0, "test")).any()


def test_shift_moves_each_image_and_fills_with_zero() -> None:
    images = torch.from_numpy(RGB[:30])
    by = torch.from_numpy(offsets(30, 6, 3, "train"))
    moved = shift(images, by).numpy()
    for image, result, (down, right) in zip(RGB[:30], moved, by.tolist(), strict=True):
        expected = np.zeros_like(image)
        expected[max(0, down) : 32 + min(0, down), max(0, right) : 32 + min(0, right)] = image[
            max(0, -down) : 32 + min(0, -down), max(0, -right) : 32 + min(0, -right)
        ]
        np.testing.assert_array_equal(result, expected)


def test_batches_are_scaled_channels_last_floats() -> None:
    split = DeviceSplit(Split(RGB, LABELS.astype(np.int64)), (-1.0, 1.0), torch.device("cpu"))
    images, labels = split.gather(torch.tensor([5, 3, 5]))
    assert images.shape == (3, 3, 32, 32)
    assert images.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(images[1].permute(1, 2, 0), RGB[3] / 127.5 - 1, atol=1e-6)
    assert labels.tolist() == LABELS[[5, 3, 5]].tolist()


@pytest.mark.parametrize(
    ("name", "shape", "counts"),
    [
        ("mnist", (1, 28, 28), (55200, 4800, 10000)),
        ("fashion_mnist", (1, 28, 28), (55200, 4800, 10000)),
        ("cifar10", (3, 32, 32), (45000, 5000, 10000)),
        ("utkface", (3, 32, 32), (18964, 2370, 2371)),
    ],
)
def test_real_data_sets_have_their_published_sizes(
    name: str, shape: tuple[int, ...], counts: tuple[int, ...], data_dir: Path
) -> None:
    if not (data_dir / name).is_dir():
        pytest.skip(f"no {name} in {data_dir}")
    dataset = load_dataset(DatasetSpec(name=name), data_dir)
    assert dataset.image_shape == shape
    assert tuple(len(s.labels) for s in (dataset.train, dataset.validation, dataset.test)) == counts


def test_fetch_offline_says_where_to_put_which_files(tmp_path: Path) -> None:
    from harness.data.fetch import fetch

    with pytest.raises(DataError, match=r"celeba cannot be fetched; put img_align_celeba .* into .*celeba"):
        fetch("celeba", tmp_path)
    with pytest.raises(DataError, match="unknown data set 'mnits'"):
        fetch("mnits", tmp_path)
