"""A data folder that something has happened to: it is read whole, or what is wrong is one line, and nothing is silent.

What is read has the digest of before only if it is the images and labels of before; what is left out is named.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.data_samples import Array, encoded

from lrlc.harness.data import DataError, Dataset, check, load_dataset
from lrlc.harness.errors import first_line
from lrlc.studies import DatasetSpec

PIXELS: Array = np.random.default_rng(0).integers(0, 256, (48, 6, 5, 3), dtype=np.uint8)
CLASSES: Array = np.arange(48) % 2
PARTS = {"train-0": slice(0, 18), "train-1": slice(18, 36), "test-0": slice(36, 48)}
FRACTIONS = st.floats(0, 1, exclude_max=True)

Mutation = Callable[[Path, st.DataObject], object]


def as_shards(folder: Path) -> None:
    folder.mkdir()
    for name, rows in PARTS.items():
        images = pa.array([{"bytes": encoded(image), "path": None} for image in PIXELS[rows]])
        table = pa.table({"image": images, "label": CLASSES[rows], "width": np.full(len(images), 5)})
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=9)


def as_pictures(folder: Path) -> None:
    for name, rows in PARTS.items():
        for number in range(2):
            place = folder / name.partition("-")[0] / "ab"[number]
            place.mkdir(parents=True, exist_ok=True)
            for row in np.arange(48)[rows][CLASSES[rows] == number]:
                Image.fromarray(PIXELS[row]).save(place / f"{row}.png")


def any_file(folder: Path, data: st.DataObject) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return data.draw(st.sampled_from(files)) if files else folder / "gone"


def cut(folder: Path, data: st.DataObject) -> None:
    path = any_file(folder, data)
    content = path.read_bytes()
    path.write_bytes(content[: int(data.draw(FRACTIONS) * len(content))])


def flip(folder: Path, data: st.DataObject) -> None:
    path = any_file(folder, data)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4)) if content else 0):
        content[int(data.draw(FRACTIONS) * len(content))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)


def remove(folder: Path, data: st.DataObject) -> None:
    any_file(folder, data).unlink()


def rename(folder: Path, data: st.DataObject) -> None:
    path = any_file(folder, data)
    stems = ["train-0", "train_b-0", "test", "val-1", "dev", "train-00000-of-00002", "extra", ".hidden", "9"]
    ending = data.draw(
        st.sampled_from([path.suffix, path.suffix.upper(), ".tif", ".parquet", ".png", ".txt"])
    )
    path.rename(path.with_name(data.draw(st.sampled_from(stems)) + ending))


def copy(folder: Path, data: st.DataObject) -> None:
    path = any_file(folder, data)
    place = data.draw(
        st.sampled_from(["fold_1", "train", "train/a/more", "train/c", "test/b", "@eaDir", ".x", "val"])
    )
    (folder / place).mkdir(parents=True, exist_ok=True)
    if not (target := folder / place / path.name).exists():
        shutil.copy(path, target)


def link(folder: Path, data: st.DataObject) -> None:
    places = sorted(path for path in folder.rglob("*") if path.is_dir() and path != folder)
    place = data.draw(st.sampled_from([*places, folder]))
    away = folder.with_name(f"{folder.name}-{len(list(folder.parent.iterdir()))}")
    place.rename(away)
    place.symlink_to(away, target_is_directory=True)


def loop(folder: Path, data: st.DataObject) -> None:
    if not (up := any_file(folder, data).parent / "up").is_symlink():
        up.symlink_to(folder, target_is_directory=True)


def clutter(folder: Path, data: st.DataObject) -> None:
    (
        any_file(folder, data).parent / data.draw(st.sampled_from(["README", ".DS_Store", "Thumbs.db"]))
    ).write_text("x")


def spoil_columns(folder: Path, data: st.DataObject) -> None:
    """Any mutation of a table, in one shard or in all."""
    paths = sorted(folder.rglob("*.parquet"))
    change = data.draw(st.sampled_from(list(COLUMN_CHANGES)))
    for path in paths if data.draw(st.booleans()) else paths[:1]:
        try:
            table = pq.read_table(path)
        except (pa.ArrowException, OSError):
            continue
        pq.write_table(COLUMN_CHANGES[change](table), path)


COLUMN_CHANGES: dict[str, Callable[[pa.Table], pa.Table]] = {
    "text": lambda t: t.set_column(1, "label", pa.array([str(v) for v in t[1].to_pylist()])),
    "floats": lambda t: t.set_column(1, "label", pa.array([0.5] * len(t))),
    "nulls": lambda t: t.set_column(1, "label", pa.nulls(len(t), pa.int64())),
    "negative": lambda t: t.set_column(1, "label", pa.array(np.arange(len(t)) - 1)),
    "huge": lambda t: t.set_column(1, "label", pa.array(np.full(len(t), 2**64 - 1, np.uint64))),
    "gaps": lambda t: t.set_column(1, "label", pa.array(np.arange(len(t)) * 7)),
    "sorted": lambda t: t.set_column(1, "label", pa.array((np.arange(len(t)) < len(t) // 2).astype(np.int8))),
    "lists": lambda t: t.set_column(1, "label", pa.array([[1]] * len(t))),
    "twice": lambda t: t.append_column("label", t[1]),
    "renamed": lambda t: t.rename_columns(["photo", "Label", *t.column_names[2:]]),
    "unlabelled": lambda t: t.drop_columns([t.column_names[1]]),
    "masks": lambda t: t.add_column(0, "mask", t[0]),
    "empty": lambda t: t.slice(0, 0),
    "shuffled": lambda t: t.take(np.random.default_rng(0).permutation(len(t))),
    "no bytes": lambda t: t.set_column(0, "image", pa.array([{"bytes": None, "path": "x"}] * len(t))),
}


def spoil_picture(folder: Path, data: st.DataObject) -> None:
    pictures = sorted(path for path in folder.rglob("*.png") if path.is_file())
    if not pictures:
        return
    image = Image.fromarray(PIXELS[0])
    exif = Image.Exif()
    exif[0x0112] = data.draw(st.sampled_from([0, 3, 6, 9]))
    other = data.draw(st.sampled_from(["grey", "large", "deep", "clear", "turned", "palette"]))
    made = {
        "grey": image.convert("L"),
        "large": image.resize((9, 9)),
        "deep": Image.fromarray(np.full((6, 5), 40_000, np.uint16)),
        "clear": Image.merge("RGBA", (*image.split(), Image.new("L", image.size, 9))),
        "turned": image,
        "palette": image.quantize(4),
    }[other]
    made.save(data.draw(st.sampled_from(pictures)), **({"exif": exif} if other == "turned" else {}))


ANYWHERE: list[Mutation] = [cut, flip, remove, rename, copy, link, loop, clutter]


@contextmanager
def mutated(layout: Callable[[Path], None], mutations: list[Mutation], data: st.DataObject) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRLC_CACHE", f"{place}/cache")
        folder = Path(place, "set")
        layout(folder)
        for mutate in mutations:
            mutate(folder, data)
        yield folder


def outcome(folder: Path) -> tuple[Dataset, str] | None:
    """The data set and the output of `lrlc data check`; None if both refuse it in one line."""
    try:
        found = load_dataset(DatasetSpec(path=str(folder)), None)
    except DataError:
        with pytest.raises(DataError) as caught:
            check(str(folder), None)
        assert str(caught.value) == first_line(caught.value)
        return None
    return found, check(str(folder), None)


def content(found: Dataset) -> bytes:
    splits = (found.train, found.validation, found.test)
    return b"".join(np.asarray(array).tobytes() for split in splits for array in (split.images, split.labels))


def count(found: Dataset) -> int:
    return sum(len(split.labels) for split in (found.train, found.validation, found.test))


def before(layout: Callable[[Path], None]) -> tuple[str, bytes]:
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRLC_CACHE", f"{place}/cache")
        layout(Path(place, "set"))
        found = load_dataset(DatasetSpec(path=f"{place}/set"), None)
        return found.digest, content(found)


WHOLE = {layout: before(layout) for layout in (as_shards, as_pictures)}


def rows_in(folder: Path) -> int:
    files = [path for path in walked(folder) if path.suffix == ".parquet"]
    return sum(pq.read_metadata(path).num_rows for path in files)


def pictures_in(folder: Path) -> int:
    endings = {".png", ".tif"}
    return sum(path.suffix.lower() in endings for path in walked(folder))


def walked(folder: Path) -> list[Path]:
    """Files that are not hidden, including linked ones, each once."""
    found = {}
    stack, seen = [folder], set()
    while stack:
        place = stack.pop()
        if (real := place.resolve()) in seen:
            continue
        seen.add(real)
        for child in place.iterdir():
            if child.name.startswith("."):
                continue
            if child.is_dir():
                stack.append(child)
            else:
                found[child.resolve()] = child
    return list(found.values())


@settings(max_examples=60)
@given(
    mutations=st.lists(st.sampled_from([*ANYWHERE, spoil_columns]), min_size=1, max_size=3), data=st.data()
)
def test_mutated_shards_are_read_completely_or_refused(
    mutations: list[Mutation], data: st.DataObject
) -> None:
    with mutated(as_shards, mutations, data) as folder:
        if (made := outcome(folder)) is not None:
            found, said = made
            digest, whole = WHOLE[as_shards]
            assert (found.digest == digest) == (content(found) == whole)
            assert count(found) == rows_in(folder) or "not read: " in said


@settings(max_examples=60)
@given(
    mutations=st.lists(st.sampled_from([*ANYWHERE, spoil_picture]), min_size=1, max_size=3), data=st.data()
)
def test_mutated_pictures_are_read_completely_or_refused(
    mutations: list[Mutation], data: st.DataObject
) -> None:
    with mutated(as_pictures, mutations, data) as folder:
        if (made := outcome(folder)) is not None:
            found, said = made
            digest, whole = WHOLE[as_pictures]
            assert (found.digest == digest) == (content(found) == whole)
            assert count(found) == pictures_in(folder) or "not read: " in said


@pytest.mark.parametrize("layout", [as_shards, as_pictures])
@settings(max_examples=15)
@given(mutations=st.lists(st.sampled_from([link, clutter]), min_size=1, max_size=3), data=st.data())
def test_links_and_clutter_change_nothing(
    layout: Callable[[Path], None], mutations: list[Mutation], data: st.DataObject
) -> None:
    with mutated(layout, mutations, data) as folder:
        made = outcome(folder)
        assert made is not None
        assert made[0].digest == WHOLE[layout][0]
