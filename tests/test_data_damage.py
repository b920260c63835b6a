"""Damage to a file is reported in one clear line with the file and the row, and a pickle runs nothing."""

import gzip
import io
import os
import pickle
import pickletools
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.data_samples import (
    LABELS,
    RGB,
    SMALL,
    as_celeba,
    as_cifar,
    as_mnist_idx,
    as_mnist_parquet,
    encoded,
    python2_batch,
    python3_batch,
    write_parquet,
)

from lrlc.harness.data import DataError, Decoding, RawSplit, check, load_dataset
from lrlc.harness.data.pickled import load_arrays
from lrlc.studies import DatasetSpec


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LRLC_CACHE", str(tmp_path / "cache"))


def says(expected: str, spec: DatasetSpec, folder: Path) -> None:
    """Loading fails with one line that matches, and leaves no cache entry."""
    with pytest.raises(DataError, match=expected) as caught:
        load_dataset(spec, folder)
    assert "\n" not in str(caught.value)
    cache = folder / "cache"
    assert not cache.exists() or not [path for path in cache.iterdir() if path.is_dir()]


class Calls:
    """Pickled, it asks for a call of `function` with `arguments`."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self._call


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(lambda: pickle.dumps({b"data": Calls(os.system, "touch executed")}), id="os.system"),
        pytest.param(lambda: pickle.dumps({b"data": Calls(eval, "open('executed', 'w')")}, 2), id="eval"),
        # numpy makes objects of the buffer's bytes: a pointer of the attacker's choice
        pytest.param(
            lambda: pickle.dumps({b"data": Calls(np.ndarray, (1,), np.dtype(object), b"\x41" * 8)}, 2),
            id="pointer",
        ),
        pytest.param(lambda: pickle.dumps({b"data": np.array([object])}, 2), id="array of objects"),
        pytest.param(
            lambda: b"\x80\x02c_codecs\nencode\n}X\x0c\x00\x00\x00__defaults__)sb.", id="change of a function"
        ),
        pytest.param(lambda: b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n.", id="a function alone"),
    ],
)
def test_a_pickle_runs_nothing(
    attack: Callable[[], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    as_cifar(tmp_path / "cifar10", archive=False)
    (tmp_path / "cifar10/cifar-10-batches-py/data_batch_3").write_bytes(attack())
    says(r"data_batch_3 is not a CIFAR-10 batch .*; fetch it again", DatasetSpec(name="cifar10"), tmp_path)
    assert not (tmp_path / "executed").exists()


def test_a_pickle_cannot_reserve_more_memory_than_its_file_has() -> None:
    huge_memo = b"\x80\x02}r" + (2**31 - 1).to_bytes(4, "little") + b"."
    with pytest.raises(pickle.UnpicklingError, match="a memo of 2147483647 entries"):
        load_arrays(huge_memo)


BATCH = python2_batch(np.arange(3))
PLACES = [
    place for opcode, _, place in pickletools.genops(BATCH) if opcode.name != "STOP" and place is not None
]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_damaged_pickle_raises_its_own_error_or_holds_plain_values(changes: list[tuple[int, int]]) -> None:
    content = bytearray(BATCH)
    for place, value in changes:
        content[place] = value
    try:
        found = load_arrays(bytes(content))
    except pickle.UnpicklingError:
        return
    assert isinstance(found, dict)


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(["PNG", "JPEG", "BMP", "WEBP"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=5),
    st.floats(0.01, 1),
)
def test_damaged_bytes_are_an_image_or_a_value_error(
    kind: str, changes: list[tuple[float, int]], kept: float
) -> None:
    content = bytearray(encoded(RGB[0], kind))
    for place, value in changes:
        content[int(place * len(content))] = value
    try:
        found = Decoding(size=(8, 8))(bytes(content[: int(kept * len(content))])).shape[:2]
    except ValueError as error:
        found = str(error).splitlines()
    assert found == (8, 8) or len(found) == 1


def test_images_of_more_than_8_bits_are_refused_not_clipped() -> None:
    out = io.BytesIO()
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(out, "PNG")
    with pytest.raises(ValueError, match="more than 8 bits a channel"):
        Decoding()(out.getvalue())


def test_a_damaged_image_is_named_with_its_row_and_check_names_them_all(tmp_path: Path) -> None:
    images = [encoded(image) for image in RGB[:20]]
    for row in (13, 17):
        images[row] = images[row][:40]
    write_parquet(tmp_path / "my/faces/train-0.parquet", images, label=LABELS[:20])
    write_parquet(tmp_path / "my/faces/test-0.parquet", [b"", *images[:5]], label=LABELS[:6])
    says(r"train-0\.parquet row 13: no readable image", DatasetSpec(path="my/faces"), tmp_path)
    with pytest.raises(DataError, match="3 damaged images") as caught:
        check("my/faces", tmp_path)
    for place in ("train-0.parquet row 13", "train-0.parquet row 17", "test-0.parquet row 0"):
        assert place in str(caught.value)


def test_images_of_several_sizes_are_named(tmp_path: Path) -> None:
    images = [encoded(image) for image in RGB[:30]]
    write_parquet(tmp_path / "a/b/train.parquet", [*images, encoded(RGB[0, :8])], label=LABELS[:31])
    write_parquet(tmp_path / "a/b/test.parquet", images, label=LABELS[:30])
    says(r"train\.parquet row 30: an image of 8x32 pixels among", DatasetSpec(path="a/b"), tmp_path)
    write_parquet(tmp_path / "a/b/train.parquet", images, label=LABELS[:30])
    write_parquet(
        tmp_path / "a/b/test.parquet", [encoded(image[:8]) for image in SMALL[:9]], label=LABELS[:9]
    )
    says(r"b: test row 0: images of \(8, 32, 3\)", DatasetSpec(path="a/b"), tmp_path)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (
            np.r_[LABELS[:19], 10],
            r"train-00000-of-00001\.parquet: column 'label', row 19: label 10 is outside 0\.\.9",
        ),
        (np.r_[LABELS[:5], -3, LABELS[:14]], r"row 5: label -3 is outside 0\.\.9"),
        ([*LABELS[:7].tolist(), None, *LABELS[:12].tolist()], r"row 7: no label \(1 in all\)"),
    ],
)
def test_a_wrong_label_is_named_with_its_row(labels: Any, expected: str, tmp_path: Path) -> None:
    images = [encoded(image) for image in RGB[:20]]
    write_parquet(tmp_path / "cifar10/plain_text/train-00000-of-00001.parquet", images, label=labels)
    write_parquet(tmp_path / "cifar10/plain_text/test-00000-of-00001.parquet", images, label=LABELS[:20])
    says(expected, DatasetSpec(name="cifar10"), tmp_path)


def test_missing_and_damaged_shards_are_named(tmp_path: Path) -> None:
    as_mnist_parquet(tmp_path / "mnist")
    shard, spec = tmp_path / "mnist/mnist/train-00001-of-00002.parquet", DatasetSpec(name="mnist")
    whole = shard.read_bytes()
    shard.write_bytes(whole[:500])
    says(r"train-00001-of-00002\.parquet: not a readable Parquet file", spec, tmp_path)
    shard.write_bytes(whole[:40] + b"\xff" * 40 + whole[80:])
    says(r"train-00001-of-00002\.parquet: damaged after row 0", spec, tmp_path)
    shard.unlink()
    says(r"1 of 2 shards are missing, first train-00001-of-00002\.parquet", spec, tmp_path)


def test_an_empty_split_is_named(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a/b/train.parquet", [encoded(image) for image in RGB[:20]], label=LABELS[:20])
    says("b: no test split", DatasetSpec(path="a/b"), tmp_path)
    write_parquet(tmp_path / "a/b/test.parquet", [encoded(RGB[0])], label=LABELS[:1])
    empty = tmp_path / "a/b/test.parquet"
    pq.write_table(pq.read_table(empty).slice(0, 0), empty)
    says("b: test is empty", DatasetSpec(path="a/b"), tmp_path)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kept", [6, 1000, -10])
def test_a_cut_off_idx_file_is_named(zipped: bool, kept: int, tmp_path: Path) -> None:
    as_mnist_idx(tmp_path / "mnist", zipped)
    (path,) = (tmp_path / "mnist").glob("train-images*")
    path.write_bytes(path.read_bytes()[:kept])
    says(r"train-images-idx3-ubyte.*; fetch it again", DatasetSpec(name="mnist"), tmp_path)
    path.unlink()
    says(r"no train-images-idx3-ubyte \(or", DatasetSpec(name="mnist"), tmp_path)


def test_a_cut_off_cifar_archive_is_named(tmp_path: Path) -> None:
    as_cifar(tmp_path / "cifar10", archive=True)
    path = tmp_path / "cifar10/cifar-10-python.tar.gz"
    path.write_bytes(path.read_bytes()[:-5000])
    says(r"cifar-10-python\.tar\.gz: .*fetch it again", DatasetSpec(name="cifar10"), tmp_path)


@pytest.mark.parametrize(
    ("batch", "changed", "expected"),
    [
        (
            "data_batch_2",
            lambda b: b | {b"data": b[b"data"].reshape(-1, 32, 96)},
            r"data of shape \(30, 32, 96\)",
        ),
        (
            "data_batch_2",
            lambda b: b | {b"data": b[b"data"][1:]},
            r"30 labels, but data of shape \(29, 3072\)",
        ),
        (
            "data_batch_2",
            lambda _: python3_batch(np.arange(30)),
            "data_batch_2 and data_batch_1 are the same",
        ),
        ("test_batch", lambda _: python3_batch(np.arange(30)), "test_batch and data_batch_1 are the same"),
    ],
)
def test_a_cifar_batch_that_is_another_is_named(
    batch: str, changed: Any, expected: str, tmp_path: Path
) -> None:
    as_cifar(tmp_path / "cifar10", archive=False)
    path = tmp_path / "cifar10/cifar-10-batches-py" / batch
    found = changed(pickle.loads(path.read_bytes()))
    path.write_bytes(found if isinstance(found, bytes) else pickle.dumps(found, 2))
    says(expected, DatasetSpec(name="cifar10"), tmp_path)


def test_a_cifar_archive_with_a_second_batch_of_a_name_is_refused(tmp_path: Path) -> None:
    as_cifar(tmp_path / "cifar10", archive=False)
    folder = tmp_path / "cifar10/cifar-10-batches-py"
    with tarfile.open(tmp_path / "cifar10/cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(folder, folder.name)
        archive.add(folder / "test_batch", "old/data_batch_1")
    shutil.rmtree(folder)
    says("data_batch_1 stands in it twice", DatasetSpec(name="cifar10"), tmp_path)


def test_an_idx_file_that_differs_from_its_packed_form_is_refused(tmp_path: Path) -> None:
    as_mnist_idx(tmp_path / "mnist")
    path = tmp_path / "mnist/train-labels-idx1-ubyte"
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()[:8] + bytes(150)))
    says(
        r"idx1-ubyte\.gz: differs from train-labels-idx1-ubyte beside it", DatasetSpec(name="mnist"), tmp_path
    )
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert len(load_dataset(DatasetSpec(name="mnist"), tmp_path).test.labels) == 50


def test_damaged_celeba_files_are_named(tmp_path: Path) -> None:
    folder, spec = tmp_path / "celeba", DatasetSpec(name="celeba")
    as_celeba(folder)
    lists = [folder / "list_attr_celeba.txt", folder / "list_eval_partition.txt"]
    originals = [path.read_text() for path in lists]
    lists[0].write_text(originals[0].replace("000004.jpg  1", "000004.jpg  x"))
    says(r"list_attr_celeba\.txt line 6: not an image and 2 values", spec, tmp_path)
    lists[0].write_text(originals[0])
    lists[1].write_text(originals[1].replace("000002.jpg 0", "000002.jpg 3"))
    says(r"list_eval_partition\.txt line 2: not an image and its split", spec, tmp_path)
    lists[1].unlink()
    says(r"has img_align_celeba but no list_eval_partition\.txt", spec, tmp_path)
    lists[1].write_text(originals[1])
    Image.new("RGB", (64, 64)).save(folder / "img_align_celeba/000005.jpg")
    says(r"000005\.jpg: 64x64 pixels do not hold the crop box", spec, tmp_path)
    (folder / "img_align_celeba/000005.jpg").unlink()
    says(r"000005\.jpg: cannot be read", spec, tmp_path)


def test_a_damaged_celeba_zip_is_named(tmp_path: Path) -> None:
    as_celeba(tmp_path / "celeba", zipped=True)
    path = tmp_path / "celeba/img_align_celeba.zip"
    content = path.read_bytes()
    path.write_bytes(content[:-30])
    says(r"img_align_celeba\.zip: damaged", DatasetSpec(name="celeba"), tmp_path)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (DatasetSpec(name="nope"), "unknown data set 'nope'; known: celeba, celeba_plain, cifar10, digits"),
        (
            DatasetSpec(name="digits", label="colour"),
            "digits: has one kind of label, 'colour' cannot be chosen",
        ),
        (DatasetSpec(name="utkface", label="age"), "age is a number, not a class; choose gender or race"),
        (DatasetSpec(name="orl"), "orl: no folder .*; `lrlc data fetch orl`"),
        (DatasetSpec(path="no/where"), "no/where: no such folder"),
        (DatasetSpec(path="utkface/"), r"found neither train-\*\.parquet nor train/<class>/ folders"),
    ],
)
def test_an_unavailable_data_set_is_reported_in_one_line(
    spec: DatasetSpec, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "utkface").mkdir()
    says(expected, spec, tmp_path)


def test_arrays_that_would_be_coerced_to_bytes_are_refused() -> None:
    with pytest.raises(DataError, match=r"images must be uint8 .* got float64"):
        RawSplit.of(np.full((2, 4, 4), 0.5), np.array([0, 1]))
    with pytest.raises(DataError, match="labels must be whole numbers, got float64"):
        RawSplit.of(np.zeros((2, 4, 4), np.uint8), np.array([0.0, 1.0]))


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LRLC_CACHE", str(tmp_path / "file/cache"))
    with pytest.raises(DataError, match=r"digits: cannot decode into .*set LRLC_CACHE"):
        load_dataset(DatasetSpec(name="digits"), None)
