"""A study's way from the command line to its rows: expanded once per command, with only the documented stops."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from lrlc import layers
from lrlc.harness.api.surroundings import torch_as_it_was
from lrlc.harness.cli.app import main
from lrlc.results.store import Store
from lrlc.studies import TrialConfig, expand, trial_id

ROOT = Path(__file__).resolve().parent.parent
STUDY = """
name: short
datasets: digits
train_images: 50
evaluation_images: 20
grid: {kind: [conv, lrlc], rank: 2, placement: [1, 3]}
train: {epochs: 1, batch_size: 50}
"""
MILESTONES = {each.__code__ for each in (TrialConfig.__init__, trial_id, layers.build_network, Store.commit)}
"""The milestones: a configuration is made, gets its id, its network is built, its row is committed."""
WATCHED = MILESTONES | {expand.__code__}


class Watched:
    """What `watch` saw: how often a grid was expanded, and the files on the call stack at each milestone."""

    def __init__(self) -> None:
        self.expansions = 0
        self.stops: dict[str, None] = {}
        self._is_over = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or code not in WATCHED:
            return
        self.expansions += code is expand.__code__
        if code in MILESTONES and not self._is_over:
            self.stops |= dict.fromkeys(reversed(list(_files(frame))))
            self._is_over = code is Store.commit.__code__


def _files(frame: FrameType | None) -> Iterator[str]:
    """Our files on the stack, innermost first, without the layers, which are beyond the end of the way."""
    while frame is not None:
        path = Path(frame.f_code.co_filename).resolve()
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in ("harness", "results", "studies"):
            yield str(path.relative_to(ROOT))
        frame = frame.f_back


@contextmanager
def watch() -> Iterator[Watched]:
    watched = Watched()
    before = sys.getprofile()
    sys.setprofile(watched)
    try:
        yield watched
    finally:
        sys.setprofile(before)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("short.yaml").write_text(STUDY)
    return Path("short.yaml")


def lrlc(monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[Watched, object]:
    """Run the command in this process; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["lrlc", *words])
    with torch_as_it_was(), watch() as watched, pytest.raises(SystemExit) as ended:
        main()
    return watched, ended.value.code


def test_a_study_is_expanded_once_per_command_and_passes_the_documented_files(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    listed = re.findall(r"^\d+\. `([\w/.]+)`", page.partition("## The path of a trial")[2], re.M)
    for words in (["plan"], ["run", "--serial"], ["retry", "--serial"]):
        watched, code = lrlc(monkeypatch, words[0], str(study), *words[1:])
        assert not code
        assert watched.expansions == 1, words
        if words[0] == "run":
            assert list(watched.stops) == listed
            assert len(listed) <= 12
    assert Store("runs/short").counts() == {"finished": 2}


def test_a_study_that_is_submitted_is_expanded_once(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expanded here, before it is sent; this one is refused, as its results would have no place."""
    pytest.importorskip("ray")
    monkeypatch.setenv("HOME", str(study.parent.absolute()))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.delenv(name, raising=False)
    watched, code = lrlc(monkeypatch, "submit", str(study), "--address", "http://cluster.example:8265")
    assert code == 2
    assert watched.expansions == 1
