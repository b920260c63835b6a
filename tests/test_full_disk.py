"""A full disk: the run ends with one line, no committed row is lost, and the same command resumes."""

import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.commands import RunningCommand

from lrlc.results.store import Store

Lrlc = Callable[..., subprocess.CompletedProcess[str]]

MOST_BYTES = 24 * 1024
"""A file size that the journal of a search reaches, but no part of a table."""

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
    """Fill the disk except for `left` bytes."""
    with file.open("wb", buffering=0) as filler:
        try:
            while filler.write(bytes(4096)):
                pass
        except OSError:
            filler.truncate(filler.tell() - but)


def test_a_full_disk_ends_the_run_in_one_line_and_the_next_resumes(
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
    limited = RunningCommand(["run", "hunt.yaml", "--serial"], tmp_path, environment)
    resource.prlimit(limited.pid, resource.RLIMIT_FSIZE, (MOST_BYTES, MOST_BYTES))
    _, said = limited.communicate()
    assert limited.returncode == 2, said
    assert "Traceback" not in said
    assert "File too large" in said.splitlines()[-1]
    kept = Store(tmp_path / "runs/hunt").trials()["trial_id"]
    lrlc("run", "hunt.yaml", "--serial", "search.trials=30")
    rows = Store(tmp_path / "runs/hunt").trials()
    assert set(kept) <= set(rows["trial_id"])
    assert len(rows) >= 30
