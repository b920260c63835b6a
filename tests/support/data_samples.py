"""Small data sets in every layout, written from scikit-learn's digits."""

import gzip
import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from sklearn.datasets import load_digits

Array = np.ndarray[Any, Any]

GREY: Array = load_digits().images.astype(np.uint8)[:200] * 16
LABELS: Array = load_digits().target[:200]
SMALL: Array = np.repeat(np.repeat(GREY, 4, 1), 4, 2)  # 32x32
MNIST: Array = SMALL[:, :28, :28]
RGB: Array = np.stack([SMALL, SMALL // 2, 255 - SMALL], -1)

CIFAR_NAMES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
MALE = [1, -1, 1, 1, -1, -1, 1, -1, 1, 1, -1, -1]


def encoded(image: Array, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, kind)
    return out.getvalue()


def write_parquet(
    path: Path, images: Sequence[bytes], column: str = "image", **labels: Array | list[int] | None
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = pa.array([{"bytes": data, "path": None} for data in images])
    columns = {name: pa.array(numbers) for name, numbers in labels.items()}
    pq.write_table(pa.table({column: values, **columns}), path, row_group_size=64)


def write_idx(path: Path, array: Array, zipped: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    content = header + array.astype(np.uint8).tobytes()
    if zipped:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


def as_mnist_idx(folder: Path, zipped: bool = False) -> None:
    """150 training and 50 test images."""
    for split, part in (("train", slice(0, 150)), ("t10k", slice(150, 200))):
        write_idx(folder / f"{split}-images-idx3-ubyte", MNIST[part], zipped)
        write_idx(folder / f"{split}-labels-idx1-ubyte", LABELS[part], zipped)


def as_mnist_parquet(folder: Path) -> None:
    """The same in two shards per split."""
    for split, part in (("train", slice(0, 150)), ("test", slice(150, 200))):
        for number, rows in enumerate(np.array_split(np.arange(200)[part], 2)):
            images = [encoded(image) for image in MNIST[rows]]
            write_parquet(folder / f"mnist/{split}-{number:05}-of-00002.parquet", images, label=LABELS[rows])


def python3_batch(rows: Array) -> bytes:
    pixels = RGB[rows].transpose(0, 3, 1, 2).reshape(len(rows), -1)
    return pickle.dumps({b"data": pixels, b"labels": LABELS[rows].tolist()}, protocol=2)


def python2_batch(rows: Array) -> bytes:
    """The same opcodes as in the original archive, written by Python 2 and its numpy."""

    def text(value: bytes) -> bytes:
        return b"T" + len(value).to_bytes(4, "little") + value

    def number(value: int) -> bytes:
        return b"J" + value.to_bytes(4, "little", signed=True)

    pixels = RGB[rows].transpose(0, 3, 1, 2).reshape(len(rows), -1)
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
        b"(K\x01" + number(len(rows)) + number(3072) + b"\x86"
        b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89" + text(pixels.tobytes()) + b"tb"
    )
    labels = b"](" + b"".join(number(label) for label in LABELS[rows].tolist()) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + labels + b"u."


def as_cifar(folder: Path, archive: bool, batch: Callable[[Array], bytes] = python3_batch) -> None:
    """Five batches of 30 for training, 30 for testing."""
    parts = np.array_split(np.arange(180), 6)
    contents = {name: batch(rows) for name, rows in zip(CIFAR_NAMES, parts, strict=True)}
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


def as_celeba(folder: Path, zipped: bool = False, lists: tuple[str, str] = ("", "")) -> None:
    """Twelve 178x218 pictures: 6 train, 3 validate, 3 test."""
    rng = np.random.default_rng(0)
    names = [f"{number:06}.jpg" for number in range(1, 13)]
    (folder / "img_align_celeba").mkdir(parents=True)
    for name in names:
        blurred = Image.fromarray(rng.integers(0, 256, (6, 5, 3), np.uint8)).resize((178, 218))
        blurred.save(folder / "img_align_celeba" / name, quality=95)
    if zipped:
        with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as out:
            for name in names:
                out.write(folder / "img_align_celeba" / name, f"img_align_celeba/{name}")
                (folder / "img_align_celeba" / name).unlink()
        (folder / "img_align_celeba").rmdir()
    rows = [f"{name}  {male} {-male}" for name, male in zip(names, MALE, strict=True)]
    splits = [f"{name} {code}" for name, code in zip(names, [0] * 6 + [1] * 3 + [2] * 3, strict=True)]
    attributes, partition = (folder / place for place in lists)
    for place in (attributes, partition):
        place.mkdir(exist_ok=True)
    (attributes / "list_attr_celeba.txt").write_text("\n".join(["12", "Male Smiling", *rows]) + "\n")
    (partition / "list_eval_partition.txt").write_text("\n".join(splits) + "\n")


def as_image_folder(
    folder: Path, counts: dict[str, int], classes: int = 4, size: tuple[int, int] = (32, 32)
) -> None:
    """`counts` pictures per class and split; digit k of the samples is its picture k."""
    for split, count in counts.items():
        for number in range(classes):
            place = folder / split / f"n{number}"
            place.mkdir(parents=True)
            for row in range(count):
                Image.fromarray(RGB[row]).resize(size).save(place / f"{row}.png")
