"""A user's own folder: clear rules choose what is read, `lrlc data check` shows it, and the rest is refused by name."""

import io
import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.data_samples import Array, as_mnist_idx, encoded, write_idx
from support.sessions import opened_study

from lrlc.harness.data import DataError, check, load_dataset
from lrlc.harness.data.mixing import unlike_the_rest
from lrlc.harness.errors import first_line
from lrlc.harness.run.plan_summary import summarise_plan
from lrlc.harness.text import counted
from lrlc.studies import DatasetSpec, StudyError
from lrlc.studies.titles import Title

PIXELS: Array = np.random.default_rng(0).integers(0, 256, (60, 6, 5, 3), dtype=np.uint8)
CLASSES: Array = np.arange(60) % 4
SPLITS = {"train": slice(0, 40), "test": slice(40, 60)}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LRLC_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def column(images: Sequence[Array | bytes]) -> pa.Array:
    held = [image if isinstance(image, bytes) else encoded(image) for image in images]
    return pa.array([{"bytes": each, "path": None} for each in held])


def shard(path: str, **columns: Any) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), path)


def shards(folder: str, **columns: Any) -> None:
    """Forty images for training and twenty for testing, with these columns beside `image`; None leaves one out."""
    for split, rows in SPLITS.items():
        given = {"image": column(PIXELS[rows]), "label": CLASSES[rows]}
        given |= {name: None if values is None else values[rows] for name, values in columns.items()}
        shard(f"{folder}/{split}-0.parquet", **{name: v for name, v in given.items() if v is not None})


def pictures(folder: str, classes: Sequence[str] = ("a", "b"), **saved: Any) -> None:
    for split, rows in SPLITS.items():
        for number, name in enumerate(classes):
            Path(folder, split, name).mkdir(parents=True)
            for row, image in enumerate(PIXELS[rows][number :: len(classes)]):
                Image.fromarray(image).save(Path(folder, split, name, f"{row}.png"), **saved)


def load(path: str, **settings: Any) -> Any:
    return load_dataset(DatasetSpec(path=path, **settings), None)


def refused(path: str, **settings: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(path, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


WORDS = np.array(["dog", "cat", "bird", "fish"])[CLASSES]


@pytest.mark.parametrize("values", [WORDS, CLASSES.astype(float), pa.array(WORDS).dictionary_encode()])
def test_a_label_that_is_not_an_integer_is_a_class_only_if_named(values: Any) -> None:
    shards("my/set", label=values, image_id=np.arange(60))
    line = refused("./my/set")
    for word in ("column 'label' holds", "`label: label`", "image_id"):
        assert word in line
    found = load("./my/set", label="label")
    expected = np.unique(np.asarray(values), return_inverse=True)[1]
    np.testing.assert_array_equal(found.test.labels, expected[40:])
    assert "labels in 'label', each value a class" in check("./my/set:label", None)


def test_values_missing_in_train_and_fractional_classes_are_refused() -> None:
    words = WORDS.copy()
    words[45] = "wolf"
    shards("my/set", label=words)
    assert "row 5: train has no class 'wolf'" in refused("./my/set", label="label")
    shards("my/set", label=[[1]] * 60)
    assert "holds list" in refused("./my/set")


def test_a_column_is_not_a_label_for_being_the_only_number() -> None:
    shards("my/set", label=None, width=CLASSES)
    assert "if 'width' is it, give `label: width`" in refused("./my/set")
    np.testing.assert_array_equal(load("./my/set", label="width").test.labels, CLASSES[40:])
    shards("my/set", label=None, target=CLASSES, fine_label=CLASSES % 2)
    assert "give `label`, one of" in refused("./my/set")
    shards("my/set", label=CLASSES % 2, target=CLASSES)
    assert load("./my/set").num_classes == 2


def test_the_usual_one_of_several_image_columns_is_read_or_a_choice_is_required() -> None:
    masks, thumbs = column([np.zeros((6, 5), np.uint8)] * 60), column(PIXELS[:, :3])
    shards("my/set", mask=masks)
    np.testing.assert_array_equal(load("./my/set").test.images, PIXELS[40:])
    assert "images in column 'image', labels in 'label'" in check("./my/set", None)
    shards("my/set", image=None, mask=masks, thumb=thumbs)
    assert "several columns hold images; give `image`, one of mask, thumb" in refused("./my/set")
    found = load("./my/set", image="thumb", label="label", size=(3, 5), translate=1)
    np.testing.assert_array_equal(found.test.images, PIXELS[40:, :3])
    assert found.title == "./my/set#thumb:label@3x5+t1"
    assert str(Title.parse(found.title)) == found.title
    assert "images in column 'thumb'" in check("./my/set#thumb", None)
    assert "no image column 'photo'; image columns: mask, thumb" in refused("./my/set", image="photo")
    with pytest.raises(ValueError, match="digits has only one kind of image"):
        DatasetSpec(name="digits", image="photo")


def test_shards_with_different_columns_are_not_mixed() -> None:
    shards("my/set")
    shard("my/set/train-1.parquet", image=column(PIXELS[:9]), target=CLASSES[:9])
    assert "train-1.parquet: images in column 'image', labels in 'target', but in" in refused("./my/set")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("fold_0/{}-0", "fold_1/{}-0"),
        ("{}_small-00000-of-00001", "{}_full-00000-of-00001"),
        ("0/{}/0000", "1/{}/0000"),
        ("{}-en", "{}-de"),
        ("small/{}-0", "{}-0"),
        ("{}/part-0-clean", "{}/part-0-noisy"),
    ],
)
def test_configurations_are_never_mixed_and_each_is_named_by_its_path(first: str, second: str) -> None:
    for pattern, part in ((first, slice(0, 60)), (second, slice(0, 20))):
        for split, rows in SPLITS.items():
            name = f"my/set/{pattern.format(split)}.parquet"
            shard(name, image=column(PIXELS[rows][part]), label=CLASSES[rows][part])
    line = refused("./my/set")
    assert "2 configurations, which are never mixed" in line
    assert first.format("test") in line
    found = load(line.rpartition("such as ")[2])
    assert len(found.train.labels) + len(found.validation.labels) in (20, 40)


def test_a_test_set_may_serve_several_configurations() -> None:
    for name, count in (("small", 20), ("full", 40)):
        shard(f"my/set/train_{name}-0.parquet", image=column(PIXELS[:count]), label=CLASSES[:count])
    shard("my/set/test-0.parquet", image=column(PIXELS[40:]), label=CLASSES[40:])
    assert "full (train_full-0.parquet), small (train_small-0.parquet)" in refused("./my/set")
    assert [len(load(f"./my/set/{name}").train.labels) for name in ("small", "full")] == [18, 36]
    assert "no such folder" in refused("./my/set/medium")


def test_shards_of_one_set_are_combined_with_any_numbering() -> None:
    names = ["train-0", "train.1", "train_part-00002", "train-00003-b42cda2f7c3e2d4a"]
    for name, rows in zip(names, np.array_split(np.arange(40), 4), strict=True):
        shard(f"my/set/data/{name}.parquet", image=column(PIXELS[rows]), label=CLASSES[rows])
    shard("my/set/data/test/part-00000-c000.snappy.parquet", image=column(PIXELS[40:]), label=CLASSES[40:])
    shard("my/set/extra.parquet", image=column(PIXELS[:1]), label=CLASSES[:1])
    found = load("./my/set")
    assert len(found.train.labels) + len(found.validation.labels) == 40
    assert "not read: extra.parquet" in check("./my/set", None)


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ("valid-0", None),
        ("training-0", "the train split appears twice"),
        ("train-00000-of-00002", "not of the same series of shards"),
        ("test-00001-of-00003", "not of the same series of shards"),
    ],
)
def test_a_second_series_of_shards_is_refused(beside: str, expected: str | None) -> None:
    shards("my/set")
    shard(f"my/set/{beside}.parquet", image=column(PIXELS[40:]), label=CLASSES[40:])
    if expected is None:
        assert len(load("./my/set").train.labels) == 40
    else:
        assert expected in refused("./my/set")


def test_linked_shards_are_found_and_none_counts_twice(tmp_path: Path) -> None:
    shards("disk/set")
    Path("my").mkdir()
    Path("my/data").symlink_to(tmp_path / "disk/set")
    (tmp_path / "disk/set/up").symlink_to(tmp_path / "my")
    assert load("./my").digest == load("./disk/set").digest
    Path("disk/set/train-1.parquet").symlink_to(tmp_path / "disk/set/train-0.parquet")
    assert "train-1.parquet: is a link to the same images as" in refused("./my")


def test_a_home_a_link_and_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards("my/set")
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("link").symlink_to(tmp_path / "my/set")
    assert load("~/my/set").digest == load("./link").digest == load("./my/set").digest
    assert "there is no user nobody-of-this-name" in refused("~nobody-of-this-name/set")
    assert "a path cannot contain a null character" in refused("my/\0")
    assert "too long for a path" in refused(f"./{'long' * 2000}")
    pictures("pics")
    os.mkfifo("pics/train/a/pipe.png")
    assert "pipe.png: is not a regular file" in refused("./pics")


def test_a_study_names_one_folder_by_one_path(tmp_path: Path) -> None:
    shards("my/set")
    Path("link").symlink_to(tmp_path / "my/set")
    Path("two.yaml").write_text(
        "name: two\ndatasets: [./my/set, ./link]\nnetwork: resnet18\ngrid: {kind: conv}\n"
    )
    with pytest.raises(
        StudyError, match=r"\./my/set and \./link hold the same images; name them by one path"
    ):
        summarise_plan(*opened_study("two.yaml", [], "runs"), None, probe=False)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda: Path("pics/train/c").mkdir(), "train/c: a class without a picture"),
        (lambda: Path("pics/train/a/0.png").rename("pics/train/a/0.tif"), "0.tif: .tif is not read"),
        (lambda: Path("pics/test/b").rename("pics/test/.b"), "test: no class folder 'b', which train has"),
        (lambda: Path("pics/test/b").rename("pics/test/c"), "train has no class 'c'"),
        (lambda: Path("pics/train/c").symlink_to(Path("pics/train/a").absolute()), "the same images as"),
        (lambda: Path("pics/train/a/0.png").rename("pics/train/a/0.jpe"), "0.jpe: .jpe is not read"),
        (lambda: Path("pics/train/a/0.png").rename("pics/train/a/0"), "a/0: no ending is not read"),
        (lambda: Path("pics/train/a/0.png").rename("pics/train/a/0.png "), "0.png : .png is not read"),
        (lambda: Path("pics/train/a/0.png").rename("pics/train/a/0.png.1"), ".1 is not read"),
        (lambda: Path("pics/train/a/0.jxl").write_bytes(b"?"), ".jxl is not read"),
        (lambda: pictures("pics/train/a/more"), "only pictures directly in"),
        (lambda: pictures("pics/train/@eaDir"), "only pictures directly in"),
        (lambda: Path("pics/test").rename("pics/valid"), "no test split"),
    ],
)
def test_a_class_with_unreadable_pictures_is_refused_by_name(change: Any, expected: str) -> None:
    pictures("pics")
    change()
    assert expected in refused("./pics")


def test_a_split_that_appears_twice_is_refused() -> None:
    pictures("pics")
    Path("pics/val/a").mkdir(parents=True)
    Path("pics/valid/a").mkdir(parents=True)
    assert "valid: beside val it is a second validation split" in refused("./pics")
    shards("pics")
    assert "second validation split" in refused("./pics")
    Path("pics/valid/a").rmdir()
    Path("pics/val/a").rmdir()
    assert "holds Parquet shards and train/<class>/ folders" in refused("./pics")


def test_check_names_the_classes_and_what_is_not_read() -> None:
    pictures("pics", ("cat", "dog"))
    Path("pics/train/cat/Thumbs.db").write_text("")
    said = check("./pics", None)
    assert "classes from 0 on: cat, dog" in said
    assert "not read: train/cat/Thumbs.db" in said


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    upright = Image.new("RGB", (24, 16))
    upright.paste((255, 255, 255), (0, 0, 12, 5))  # the top left is bright
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    (upright.transpose(turn) if turn is not None else upright).save(out, kind, exif=exif)
    plain = encoded(np.asarray(upright))
    shards("my/set", image=column([plain, out.getvalue()] * 30))
    for image in load("./my/set").test.images:
        assert image.shape == (16, 24, 3)
        assert image[:4, :11].mean() > 240
        assert image[7:].mean() < 15
    said = check("./my/set", None)
    assert ("30 images turned as EXIF says" in said) == (orientation > 1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_colours_under_transparent_pixels_are_not_read(mode: str) -> None:
    hidden = np.random.default_rng(1).integers(0, 256, (60, 6, 5, 4), dtype=np.uint8)
    hidden[..., 3] = 0
    hidden[:, 2:4, 2:4] = (90, 90, 90, 255)
    images = []
    for pixels in hidden:
        image = Image.fromarray(pixels).convert("LA" if mode == "LA" else "RGBA")
        if mode == "P":
            image = image.convert("RGB").quantize(8)
            image.info["transparency"] = image.getpixel((0, 0))
        out = io.BytesIO()
        image.save(out, "PNG")
        images.append(out.getvalue())
    shards("my/set", image=column(images))
    found = load("./my/set")
    assert found.image_shape[0] == (1 if mode == "LA" else 3)
    assert (found.test.images[:, 0, 0] == 255).all()
    if mode != "P":
        assert (found.test.images[:, 0] == 255).all()
        assert (found.test.images[:, 2:4, 2:4] == 90).all()
    assert "60 images with an alpha channel, laid on white" in check("./my/set", None)


@pytest.mark.parametrize("grey", [[0], [59], range(1, 60), range(60)])
def test_grey_among_colour_is_read_as_colour(grey: Sequence[int]) -> None:
    images = [image[..., 0] if row in grey else image for row, image in enumerate(PIXELS)]
    shards("my/set", image=column(images))
    found = load("./my/set")
    read = np.concatenate([found.validation.images, found.train.images, found.test.images])
    for row, image in enumerate(read):
        expected = PIXELS[row][..., :1] if row in grey else PIXELS[row]
        np.testing.assert_array_equal(image, np.broadcast_to(expected, image.shape))
    assert found.image_shape[0] == (1 if len(grey) == 60 else 3)
    said = check("./my/set", None)
    assert (f"{counted(len(grey), 'image')} grey, read as RGB" in said) == (len(grey) < 60)


def test_an_animation_and_an_image_kept_elsewhere_are_refused() -> None:
    out = io.BytesIO()
    frames = [Image.fromarray(image) for image in PIXELS[:3]]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    shards("my/set", image=column([out.getvalue()] * 60))
    assert "row 0: 3 images in one, an animation" in refused("./my/set")
    shards("my/set", image=pa.array([{"bytes": None, "path": "img/7.png"}] * 60))
    assert "names the file 'img/7.png' but does not hold it" in refused("./my/set")


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        (CLASSES[:40] + 1, CLASSES[40:] + 1, "train has no image of class 0, but of classes up to 4"),
        (CLASSES[:40] * 2, CLASSES[40:] * 2, "train has no image of class 1"),
        (CLASSES[:40] + 2**40, CLASSES[40:], "train has no image of class 0"),
        (CLASSES[:40] % 3, CLASSES[40:], "test has images of class 3, which train lacks"),
    ],
)
def test_every_class_is_in_train(train: Array, test: Array, expected: str) -> None:
    shards("my/set", label=np.concatenate([train, test]))
    assert expected in refused("./my/set")


def test_one_class_alone_is_refused() -> None:
    shards("my/set", label=CLASSES * 0)
    assert "all images of train are of class 0; learning takes two classes" in refused("./my/set")


def test_files_that_count_their_classes_otherwise_are_refused() -> None:
    shards("my/set")
    names = {"train": list("abcd"), "test": list("badc")}
    for split, told in names.items():
        path = f"my/set/{split}-0.parquet"
        features = {"info": {"features": {"label": {"names": told, "_type": "ClassLabel"}}}}
        table = pq.read_table(path).replace_schema_metadata({"huggingface": json.dumps(features)})
        pq.write_table(table, path)
    assert "column 'label' counts its classes otherwise than in" in refused("./my/set")


def test_images_in_inks_are_told_by_check() -> None:
    inks = io.BytesIO()
    Image.fromarray(PIXELS[0]).convert("CMYK").save(inks, "JPEG")
    shards("my/set", image=column([inks.getvalue(), *PIXELS[1:]]))
    assert "1 image in inks (CMYK), read as RGB without their profile" in check("./my/set", None)


def test_a_test_set_that_lacks_a_class_is_refused() -> None:
    for split, count in (("train", 400), ("test", 100)):
        labels = np.arange(count) % (2 if split == "train" else 1)
        shard(f"my/set/{split}.parquet", image=column([PIXELS[0]] * count), label=labels)
    assert "test has no image of class 1, of which train has many" in refused("./my/set")


def blocks(order: Sequence[int], each: int) -> Array:
    return np.repeat(order, each)


@pytest.mark.parametrize(
    "labels",
    [
        blocks([0, 1], 20),
        blocks([1, 0], 20),
        blocks([2, 0, 3, 1], 10),
        np.r_[1, blocks([2, 0, 3, 1], 50)],
        np.random.default_rng(0).permutation(blocks(range(10), 50)) + np.repeat([0, 10], 250),
    ],
)
def test_held_out_images_must_resemble_the_rest(labels: Array) -> None:
    taken = len(labels) // 10
    assert unlike_the_rest(labels, taken) is not None
    assert unlike_the_rest(labels, len(labels)) is None
    assert unlike_the_rest(np.random.default_rng(0).permutation(labels), taken) is None


def test_shuffled_rows_are_accepted_for_any_seed() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        labels = rng.permutation(blocks(range(int(rng.integers(2, 6))), int(rng.integers(8, 40))))
        assert unlike_the_rest(labels, max(1, len(labels) // 10)) is None
    frames = np.repeat(rng.integers(0, 10, 500), 2)  # two pictures of each object are adjacent
    assert unlike_the_rest(frames, 100) is None


def test_blocks_of_classes_are_refused_if_the_first_are_held_out() -> None:
    shards("my/set", label=np.r_[blocks([2, 0, 3, 1], 10), CLASSES[40:]])
    assert "the rows of train are sorted by label, so the first 4 would be of a few" in refused("./my/set")


def test_check_counts_test_images_that_are_also_in_train() -> None:
    images = PIXELS.copy()
    images[40:45] = images[[0, 1, 10, 20, 30]]
    shards("my/set", image=column(images))
    assert "5 of 20 test images are also in train or validation" in check("./my/set", None)
    shards("my/set")
    assert "stand in" not in check("./my/set", None)


def bomb(height: int, width: int) -> bytes:
    """A PNG of so many black pixels in 1 bit each, packed a thousand times over."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        sum_of_both = zlib.crc32(kind + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + kind + content + sum_of_both

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x01\0\0\0\0"
    packed = zlib.compress(bytes((width // 8 + 1) * height), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((20_000, 20_000), r"no readable image"),
        ((9_000, 9_000), "an image of 9000x9000 pixels; at most 67,108,864 are read"),
        ((6_000, 6_000), "would unpack to 1.3 GiB from"),
    ],
)
def test_images_that_unpack_to_gigabytes_are_refused_in_a_line(size: tuple[int, int], expected: str) -> None:
    shards("my/set", image=column([bomb(*size)] * 60))
    assert sum(path.stat().st_size for path in Path("my/set").iterdir()) < 100_000
    assert expected in refused("./my/set")


def test_one_huge_image_among_small_ones_is_not_unpacked() -> None:
    shards("my/set", image=column([PIXELS[0], *[bomb(8_000, 8_000)] * 59]))
    assert "row 1: an image of 8000x8000 pixels among images of 6x5" in refused("./my/set")


def test_more_rows_than_a_file_can_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrlc.harness.data.limits.FREE_BYTES", 1 << 20)
    shards("my/set", label=None, target=np.zeros(60, np.int64))
    shard("my/set/train-0.parquet", label=np.zeros(1_000_000, np.int64))
    assert "train-0.parquet would unpack to" in refused("./my/set")


def test_an_idx_file_that_unpacks_to_gigabytes_is_refused_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    as_mnist_idx(Path("data/mnist"), zipped=True)
    monkeypatch.setattr("lrlc.harness.data.idx.MOST_IDX_BYTES", 1 << 20)
    write_idx(Path("data/mnist/train-images-idx3-ubyte"), np.zeros((2000, 28, 28), np.uint8), zipped=True)
    with pytest.raises(DataError, match=r"train-images.*\.gz: holds more than 1 MiB") as caught:
        load_dataset(DatasetSpec(name="mnist"), Path("data"))
    assert str(caught.value) == first_line(caught.value)
