"""Random kills: the tables have every trial once, equal to an undisturbed run except for time and place."""

import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import TINY_STUDY
from support.commands import RunningCommand
from support.processes import busy_workers, rows, start, with_patient

from lrlc.results.schema import SCHEMAS
from lrlc.results.store import Store

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

TIME_AND_PLACE = {
    "started_at", "ended_at", "train_seconds", "total_seconds", "images_per_second", "host",
    "attempts", "resumed_epochs", "git_commit", "git_dirty",
}  # fmt: skip
"""Columns that may differ between two runs, including the number of attempts, which kills change."""


@dataclass
class Chaos:
    """A run on a cluster of nodes on this machine, and ways to disturb it."""

    cluster: Any
    study: Path
    environment: dict[str, str]
    words: list[str]
    chance: random.Random
    workers_a_node: int
    driver: RunningCommand = field(init=False)
    nodes: list[Any] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.nodes = [self._new_node() for _ in range(2)]
        self._start()

    @property
    def root(self) -> Path:
        return self.study.parent / "runs" / "tiny"

    def _new_node(self) -> Any:
        return self.cluster.add_node(num_cpus=self.workers_a_node)

    def _start(self) -> None:
        self.driver = start(self.study, self.environment, "--address", self.cluster.address, *self.words)

    def run(self, ways: list[str], between: tuple[float, float]) -> None:
        """Disturb the run in these ways, one after the other, then let it end."""
        for way in ways:
            time.sleep(self.chance.uniform(*between))
            assert self.driver.poll() is None, f"ended before {way}; done so far {self.done}"
            if getattr(self, way)():
                self.done[way] += 1
            if self.driver.poll() is not None:
                self._start()
        _, said = self.driver.communicate()
        assert self.driver.returncode == 0, said

    def kill_worker(self) -> bool:
        return self._signal_worker(signal.SIGKILL)

    def stop_worker(self) -> bool:
        return self._signal_worker(signal.SIGSTOP, signal.SIGCONT)

    def lose_node(self) -> bool:
        lost = self.nodes.pop(self.chance.randrange(len(self.nodes)))
        self.cluster.remove_node(lost, allow_graceful=False)
        self.nodes.append(self._new_node())
        return True

    def kill_driver(self) -> bool:
        self.driver.kill()
        self.driver.communicate()
        return True

    def stop_driver(self) -> bool:
        self.driver.send_signal(signal.SIGSTOP)
        time.sleep(self.chance.uniform(0.5, 3))
        self.driver.send_signal(signal.SIGCONT)
        return True

    def kill_writer(self) -> bool:
        """Kill the driver while a part has its hidden name, before its commit."""
        left_by_others = self._hidden()
        while self.driver.poll() is None:
            if self._hidden() - left_by_others:
                return self.kill_driver()
        raise AssertionError("the run ended without a commit")

    def _hidden(self) -> set[str]:
        parts = self.root / "trials"
        return {name for name in os.listdir(parts) if name.startswith(".")} if parts.is_dir() else set()

    def _signal_worker(self, *signals: signal.Signals) -> bool:
        """Send these signals to a worker; False if it was already gone."""
        while not (busy := busy_workers(self.environment)):
            assert self.driver.poll() is None, "the run ended, and no worker was seen"
            time.sleep(0.05)
        pid = self.chance.choice(busy)
        for sent in signals:
            try:
                os.kill(pid, sent)
            except ProcessLookupError:  # its node was gone first
                return False
            time.sleep(self.chance.uniform(0.2, 1))
        return True


WAYS = ["kill_worker", "stop_worker", "lose_node", "stop_driver", "kill_writer"]
"""Killing the writer also kills the driver, in mid-commit; the long version also kills it elsewhere."""


def words(seeds: int) -> list[str]:
    return [f"seeds={seeds}", "train.epochs=3", "resources.checkpoint_minutes=0", "resources.max_attempts=10"]


def undisturbed(study: Path, environment: dict[str, str], words: list[str]) -> Path:
    """The tables of the same study, trained one trial after the other in a single process."""
    run = start(study, environment, "--serial", "--results", "calm", *words)
    _, said = run.communicate()
    assert run.returncode == 0, said
    return study.parent / "calm" / "tiny"


def survive(chaos: Chaos, ways: list[str], calm: Path) -> None:
    chaos.run(ways, between=(0.5, 3))
    assert chaos.done.total() >= 0.8 * len(ways), chaos.done
    kept = [name for name in SCHEMAS["trials"].names if name not in TIME_AND_PLACE | {"trial_id"}]
    pd.testing.assert_frame_equal(rows(chaos.root)[kept], rows(calm)[kept])
    assert sum(Store(chaos.root).counts().values()) == len(rows(calm))
    for table in ("curves", "weights", "correct"):
        pd.testing.assert_frame_equal(ordered(chaos.root, table), ordered(calm, table))
    assert not Store(chaos.root).damaged()
    assert not Store(chaos.root).checkpoints()


def ordered(root: Path, table: str) -> pd.DataFrame:
    frame: pd.DataFrame = getattr(Store(root), table)()
    measured = frame.drop(columns=["seconds"], errors="ignore")
    keys = [name for name in ("trial_id", "epoch", "layer", "bank", "image") if name in measured]
    return measured.sort_values(keys).reset_index(drop=True)


def lasting(study: Path) -> Path:
    """The study with a convolution that takes seconds, so that it does not end before it is disturbed."""
    with_patient(study)
    study.write_text(study.read_text().replace("kind: conv", "kind: patient"))
    return study


@pytest.mark.proof
def test_a_run_survives_each_kind_of_kill(
    cluster: Any, tiny_study: Path, environment: dict[str, str]
) -> None:
    study = lasting(tiny_study)
    calm = undisturbed(study, environment, words(seeds=7))
    survive(
        Chaos(cluster, study, environment, words(seeds=7), random.Random(0), workers_a_node=1), WAYS, calm
    )


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    study = tmp_path_factory.mktemp("calm") / "tiny.yaml"
    study.write_text(TINY_STUDY)
    return undisturbed(lasting(study), environment, words(seeds=70))


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(int(os.environ.get("LRLC_CHAOS_RUNS", "1"))))
def test_a_long_run_survives_many_kills(
    seed: int, cluster: Any, tiny_study: Path, environment: dict[str, str], calm: Path
) -> None:
    chance = random.Random(seed)
    ways = 5 * [*WAYS, "kill_driver"]
    chance.shuffle(ways)
    chaos = Chaos(cluster, lasting(tiny_study), environment, words(seeds=70), chance, workers_a_node=2)
    survive(chaos, ways, calm)
