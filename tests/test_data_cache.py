"""The cache: one decode per machine, complete or not at all, with damage detected, and no stale images."""

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.data_samples import LABELS, MNIST, as_mnist_idx, as_mnist_parquet, encoded, write_parquet

from lrlc.harness import plugins
from lrlc.harness.data import DataError, check, load_dataset
from lrlc.studies import DatasetSpec

SPEC = DatasetSpec(name="mnist")

LOAD_WHEN_TOLD = """
import sys
from pathlib import Path
from lrlc.harness.data import load_dataset
from lrlc.studies import DatasetSpec
print("ready", flush=True)
sys.stdin.readline()
decoded = []
digest = load_dataset(DatasetSpec(name="mnist"), Path(sys.argv[1]), lambda *step: decoded.append(step)).digest
print(digest, len(decoded) > 0, flush=True)
"""

STOP_HALFWAY = """
import sys
from pathlib import Path
from lrlc.harness.data import load_dataset
from lrlc.studies import DatasetSpec
def stop(*step):
    print(*step, flush=True)
    sys.stdin.readline()
load_dataset(DatasetSpec(name="mnist"), Path(sys.argv[1]), stop)
"""


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LRLC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def start(code: str, data: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_processes_that_start_at_once_decode_once(tmp_path: Path, cache: Path) -> None:
    as_mnist_parquet(tmp_path / "mnist")
    processes = [start(LOAD_WHEN_TOLD, tmp_path) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    answers = [process.communicate("go\n")[0].split() for process in processes]
    digests, decoded = zip(*answers, strict=True)
    assert len(set(digests)) == 1
    assert sorted(decoded) == ["False", "True"]
    assert len(list(cache.glob("mnist-*"))) == 1


def test_a_process_killed_while_decoding_leaves_nothing_behind(tmp_path: Path, cache: Path) -> None:
    as_mnist_parquet(tmp_path / "mnist")
    with start(STOP_HALFWAY, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "train 150 150\n"
        process.kill()
    assert list(cache.glob(".*.part"))
    assert not list(cache.glob("mnist-*"))
    np.testing.assert_array_equal(load_dataset(SPEC, tmp_path).test.images[..., 0], MNIST[150:])
    assert not list(cache.glob(".*.part"))


@pytest.mark.parametrize("damage", ["cut", "header", "middle", "labels", "meta"])
def test_a_damaged_entry_is_rebuilt(damage: str, tmp_path: Path, cache: Path) -> None:
    as_mnist_idx(tmp_path / "mnist")
    digest = load_dataset(SPEC, tmp_path).digest
    (entry,) = cache.glob("mnist-*")
    file = entry / {"labels": "test_labels.npy", "meta": "meta.json"}.get(damage, "train_images.npy")
    content = bytearray(file.read_bytes())
    place = {"header": 0, "middle": len(content) // 2, "labels": len(content) - 8, "meta": 0}.get(damage, 0)
    content[place : place + 8] = b"\x07" * 8
    file.write_bytes(content[:500] if damage == "cut" else content)
    again = load_dataset(SPEC, tmp_path)
    assert again.digest == digest
    np.testing.assert_array_equal(again.validation.images[..., 0], MNIST[:12])
    np.testing.assert_array_equal(again.train.images[..., 0], MNIST[12:150])
    np.testing.assert_array_equal(again.test.labels, LABELS[150:])


def test_changed_files_are_decoded_again(tmp_path: Path) -> None:
    as_mnist_parquet(tmp_path / "mnist")
    first = load_dataset(SPEC, tmp_path).digest
    shard = tmp_path / "mnist/mnist/test-00000-of-00002.parquet"
    write_parquet(shard, [encoded(255 - image) for image in MNIST[:25]], label=LABELS[150:175])
    assert load_dataset(SPEC, tmp_path).digest != first


def test_limits_and_translation_share_one_entry(tmp_path: Path, cache: Path) -> None:
    as_mnist_idx(tmp_path / "mnist")
    whole = load_dataset(SPEC, tmp_path)
    part = load_dataset(DatasetSpec(name="mnist", train_images=10, translate=3), tmp_path)
    np.testing.assert_array_equal(part.train.images, whole.train.images[:10])
    assert part.digest == whole.digest
    assert part.title == "mnist+t3"
    assert len(list(cache.glob("mnist-*"))) == 1


def test_an_edited_plugin_does_not_get_its_earlier_images(tmp_path: Path) -> None:
    def brightness(value: int) -> int:
        text = (
            "import numpy as np\nfrom lrlc.harness.data import RawSplit, Source, dataset\n"
            "@dataset('flat', needs_folder=False)\ndef flat(folder, label):\n"
            f"    split = RawSplit.of(np.full((40, 4, 4), {value}, np.uint8), np.arange(40) % 2)\n"
            "    return Source([], lambda: {'train': split, 'test': split})\n"
        )
        plugins.install([plugins.Plugin(str(tmp_path / "flat.py"), text)])
        return int(load_dataset(DatasetSpec(name="flat"), None).train.images[0, 0, 0, 0])

    assert [brightness(value) for value in (1, 2, 1)] == [1, 2, 2]  # the third text is installed already


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    as_mnist_idx(tmp_path / "mnist")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))  # 150 images take 117,600 bytes
    try:
        with pytest.raises(
            DataError, match=r"mnist: cannot decode into .* free space there or set LRLC_CACHE"
        ):
            load_dataset(SPEC, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [path for path in cache.iterdir() if path.is_dir()]
    assert len(load_dataset(SPEC, tmp_path).test.labels) == 50


def test_check_counts_classes_and_repairs_damage_that_opening_misses(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = np.repeat(np.repeat(MNIST[:60], 10, 1), 10, 2)  # 280x280: more than opening an entry reads
    for split, rows in (("train", slice(0, 50)), ("test", slice(50, 60))):
        images = [encoded(image) for image in large[rows]]
        write_parquet(tmp_path / f"my/large/{split}.parquet", images, label=LABELS[rows])
    spec = DatasetSpec(path="my/large")
    digest = load_dataset(spec, tmp_path).digest
    report = check("my/large", tmp_path)
    assert f"my/large: Parquet, 280x280x1, 10 classes, digest {digest}" in report
    few, many = np.bincount(LABELS[5:50]).min(), np.bincount(LABELS[5:50]).max()
    assert f"train: 45 images, {few} to {many} per class" in report
    assert "damaged" not in report
    (array,) = cache.glob("large-*/train_images.npy")
    with array.open("r+b") as file:
        file.seek(100_000)
        file.write(b"\x07" * 1000)
    assert (load_dataset(spec, tmp_path).validation.images[..., 0] == large[:5]).all(), "made anew"
    monkeypatch.setattr("lrlc.harness.data.cache.WHOLE_BYTES", 0)
    (folder,) = cache.glob("large-*")
    shutil.rmtree(folder)
    load_dataset(spec, tmp_path)
    with array.open("r+b") as file:
        file.seek(100_000)
        file.write(b"\x07" * 1000)
    assert (load_dataset(spec, tmp_path).validation.images[1] == 7).any(), (
        "opening reads samples of a large one"
    )
    assert "was damaged and has been replaced" in check("my/large", tmp_path)
    np.testing.assert_array_equal(load_dataset(spec, tmp_path).validation.images[..., 0], large[:5])
