"""A full disk: the run ends with one line, no committed row is lost, and the same command goes on."""

import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lrlc.results.store import Store

Lrlc = Callable[..., subprocess.CompletedProcess[str]]

HUNT = """
name: hunt
title: A search on real digits
train_images: 100
evaluation_images: 100
search:
  dataset: digits
  trials: 60
  sampler: random
  space:
    kind: [conv]
    placement: [[1]]
    train:
      learning_rate: {low: 0.01, high: 0.1}
train: {epochs: 1, batch_size: 100}
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system of our own can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(file: Path, but: int) -> None:
    """Take all the space of the disk but so many bytes."""
    with file.open("wb", buffering=0) as filler:
        try:
            while filler.write(bytes(4096)):
                pass
        except OSError:
            filler.truncate(filler.tell() - but)


def test_a_full_disk_ends_the_run_in_one_line_and_the_next_goes_on(
    lrlc: Lrlc, tiny_study: Path, small_disk: Path
) -> None:
    where = ("--serial", "--results", small_disk)
    lrlc("run", tiny_study, *where, "seeds=1")
    store, filler = Store(small_disk / "tiny"), small_disk / "filler"
    before = store.trials()
    assert len(before) == 3
    fill(filler, but=24_000)
    (line,) = [
        said for said in lrlc("run", tiny_study, *where, code=2).stderr.splitlines() if "lrlc:" in said
    ]
    assert "No space left on device" in line
    assert store.trials().equals(before)
    assert store.damaged() == []
    filler.unlink()
    lrlc("run", tiny_study, *where)
    assert store.counts() == {"finished": 6}


def test_a_full_disk_under_the_journal_of_a_search_is_one_line_too(
    lrlc: Lrlc, tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "hunt.yaml").write_text(HUNT)
    lrlc("run", "hunt.yaml", "--serial", "search.trials=1")
    command = shlex.join([sys.executable, "-m", "lrlc", "run", "hunt.yaml", "--serial"])
    limited = ["bash", "-c", f"ulimit -f 24; exec {command}"]  # KiB: the journal reaches it, no part does
    done = subprocess.run(limited, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]
    kept = Store(tmp_path / "runs/hunt").trials()["trial_id"]
    lrlc("run", "hunt.yaml", "--serial", "search.trials=30")
    rows = Store(tmp_path / "runs/hunt").trials()
    assert set(kept) <= set(rows["trial_id"])
    assert len(rows) >= 30
