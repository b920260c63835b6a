"""Hidden faults in a data set's files are refused in one line, or reported by `lrlc data check`."""

import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.data_samples import Array, encoded, write_parquet

from lrlc.harness.data import DataError, Dataset, check, load_dataset, pack_dataset
from lrlc.harness.data.cache import cache_dir
from lrlc.studies import DatasetSpec

PIXELS: Array = np.random.default_rng(0).integers(0, 256, (48, 6, 5, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LRLC_CACHE", str(tmp_path / "cache"))


def as_shards(folder: Path, labels: list[object]) -> Path:
    for name, rows in (("train", slice(0, 36)), ("test", slice(36, 48))):
        images = [encoded(image) for image in PIXELS[rows]]
        write_parquet(folder / f"{name}.parquet", images, kind=labels[rows])  # type: ignore[arg-type]
    return folder


def as_pictures(folder: Path, classes: tuple[str, ...] = ("a", "b")) -> Path:
    for row, image in enumerate(PIXELS):
        place = folder / ("train" if row < 36 else "test") / classes[row % len(classes)]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{row}.png")
    return folder


def loaded(folder: Path, label: str | None = None, data_dir: Path | None = None) -> Dataset:
    return load_dataset(DatasetSpec(path=str(folder), label=label), data_dir)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("cat", "dog", "cat "), "the classes 'cat' and 'cat ' look alike; give both one name"),
        (("caf\u00e9", "dog", "cafe\u0301"), r"the classes 'cafe\\u0301' and 'caf\\xe9' look alike"),
        (("cat", "dog", " "), "a class without a name, ' '"),
        ((0.5, 1.5, float("nan")), "column 'kind', row 2: no label"),
    ],
)
def test_values_that_look_alike_are_not_classes(
    values: tuple[object, ...], said: str, tmp_path: Path
) -> None:
    folder = as_shards(tmp_path / "set", [values[row % 3] for row in range(48)])
    with pytest.raises(DataError, match=said):
        loaded(folder, "kind")


def test_class_folders_that_look_alike_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the classes 'e\\u0301' and '\\xe9' look alike"):
        loaded(as_pictures(tmp_path / "set", ("\u00e9", "e\u0301")))


def test_a_picture_in_two_classes_or_splits_is_counted(tmp_path: Path) -> None:
    folder = as_pictures(tmp_path / "set")
    os.link(folder / "train/a/0.png", folder / "train/b/zero.png")
    (folder / "test/a/one.png").symlink_to(folder / "train/b/1.png")
    said = check(str(folder), None)
    assert "1 of 13 test images are also in train or validation" in said
    assert "2 images in more than one class" in said


def test_colours_of_16_bits_a_channel_are_refused_as_greys_are(tmp_path: Path) -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)

    folder = as_pictures(tmp_path / "set")
    header, rows = struct.pack(">IIBBBBB", 5, 6, 16, 2, 0, 0, 0), 6 * (b"\0" + bytes(30))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (folder / "train/a/0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    with pytest.raises(DataError, match=r"0\.png: an image of more than 8 bits a channel \(mode RGB\)"):
        loaded(folder)


def test_a_picture_may_have_a_name_that_is_not_text(tmp_path: Path) -> None:
    folder = as_pictures(tmp_path / "set")
    os.rename(folder / "train/a/0.png", os.fsencode(folder / "train/a") + b"/\xff.png")
    assert len(loaded(folder).train.labels) == 32


def altered(path: Path, name: str, value: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("source.json", "scaling", [0, 9]),
        ("source.json", "validation_fraction", 0.5),
        ("meta.json", "num_classes", 12),
    ],
)
def test_a_packed_set_with_altered_metadata_is_refused(
    name: str, key: str, value: object, tmp_path: Path
) -> None:
    folder, out = as_pictures(tmp_path / "set"), tmp_path / "out"
    out.mkdir()
    packed = pack_dataset(DatasetSpec(path=str(folder)), None, out)
    assert loaded(folder, data_dir=out).num_classes == 2
    altered(packed / name, key, value)
    with pytest.raises(DataError, match="this packed data set is damaged; pack it again"):
        loaded(folder, data_dir=out)


def test_a_cache_entry_with_altered_metadata_is_rebuilt(tmp_path: Path) -> None:
    folder = as_pictures(tmp_path / "set")
    whole = loaded(folder)
    (meta,) = cache_dir().glob("set-*/meta.json")
    altered(meta, "num_classes", 12)
    found = loaded(folder)
    assert (found.num_classes, found.digest) == (2, whole.digest)
    notes = json.loads(meta.read_text())
    meta.write_text(json.dumps({name: notes[name] for name in notes if name != "sha256"}))
    assert loaded(folder).num_classes == 2  # as written by earlier versions
