"""Kills and crowds: whatever dies whenever, the table holds each committed row once and no half part.

The writers are forked from a fresh process that has used no thread yet; they really die by SIGKILL.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.results_samples import result

from lrlc.results.schema import COMPANIONS
from lrlc.results.store import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ROWS_OF_A_TRIAL = {table: len(getattr(result(), each.field)) for table, each in COMPANIONS.items()}

FEWER: dict[str, Any] = {"correct": (), "spectra": (), "shifts": (), "equivariance": ()}
"""A result with fewer companion tables, each of which would add steps at which to kill."""

KILL_COMMITS = """
import os, random, signal, sys, time
from pathlib import Path
from support.results_samples import result
from lrlc.results.store import Store
store, rounds = Store(Path(sys.argv[1])), int(sys.argv[2])
moments = random.Random(0)
for round in range(rounds):
    child = os.fork()
    if not child:
        for commit in range(10**6):
            ids = [f"{round}-{commit}-{row}" for row in range(3)]
            store.commit([result(trial_id) for trial_id in ids])
            os.write(1, (" ".join(ids) + "\\n").encode())
    time.sleep(moments.uniform(0.0, 0.4))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""

KILL_AT_STEP = """
import os, shutil, signal, sys
from pathlib import Path
from lrlc.results.store import Store
STEPS = {"open", "os.link", "os.rename", "os.remove"}
whole, work = Path(sys.argv[1]), Path(sys.argv[2])
for step in range(10**6):
    copy = work / f"killed-{step:03}"
    shutil.copytree(whole, copy)
    child = os.fork()
    if not child:
        steps = 0
        def count(event, arguments):
            global steps
            if event in STEPS and str(copy) in str(arguments[0]):
                if steps == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                steps += 1
        sys.addaudithook(count)
        Store(copy).compact()
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
"""

WRITE_AND_COMPACT = """
import sys
from pathlib import Path
from support.results_samples import result
from lrlc.results.store import Store
store = Store(Path(sys.argv[1]))
for commit in range(40):
    store.commit([result(f"{commit:02}-{row}") for row in range(2)])
    if commit % 2:
        store.compact()
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    here = Path(__file__).parent
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{here}:{here.parent}"},
    )


def assert_whole(store: Store) -> set[str]:
    """Every trial appears once, with all its rows in the other tables; returns the ids."""
    rows = Counter(store.trials(["trial_id"])["trial_id"])
    assert set(rows.values()) <= {1}
    for table, count in ROWS_OF_A_TRIAL.items():
        if (store.root / table).is_folder():
            assert Counter(getattr(store, table)(set(rows))["trial_id"]) == dict.fromkeys(rows, count)
    return set(rows)


def test_writers_killed_at_random_moments_leave_every_acknowledged_row_once(tmp_path: Path) -> None:
    store, rounds = Store(tmp_path / "s"), 12
    killer = start(KILL_COMMITS, store.root, rounds)
    readings = 0
    while killer.poll() is None:
        assert_whole(store)
        readings += 1
    assert killer.returncode == 0
    assert killer.stdout is not None
    acknowledged = set(killer.stdout.read().split())
    killer.stdout.close()
    found = assert_whole(store)
    assert acknowledged <= found
    unacknowledged = Counter(trial_id.rpartition("-")[0] for trial_id in found - acknowledged)
    assert set(unacknowledged.values()) <= {
        3
    }  # committed, but killed before acknowledging it: still complete
    assert len(unacknowledged) <= rounds
    assert store.damaged() == []
    assert len(acknowledged) > rounds / 2
    assert readings > 1
    store.compact()
    assert assert_whole(store) == found


@pytest.mark.parametrize("earlier", ["never compacted", "an earlier compaction was killed too"])
@pytest.mark.proof
def test_compaction_killed_at_any_step_neither_loses_nor_duplicates_a_row(
    tmp_path: Path, earlier: str
) -> None:
    whole = Store(tmp_path / "whole")
    for name in "abc":
        whole.commit([result(f"{name}{row}", **FEWER) for row in range(2)])
    if earlier != "never compacted":
        replaced = {path: path.read_bytes() for path in (tmp_path / "whole").rglob("*.parquet")}
        whole.compact()
        for path, content in replaced.items():  # as if it was killed before it could delete
            path.write_bytes(content)
        whole.commit([result("d", **FEWER)])
    expected = assert_whole(whole)
    killer = start(KILL_AT_STEP, whole.root, tmp_path)
    assert killer.wait() == 0
    assert killer.stdout is not None
    killer.stdout.close()
    copies = sorted(tmp_path.glob("killed-*"))
    assert len(copies) > 12
    for copy in copies:
        assert assert_whole(Store(copy)) == expected
        Store(copy).compact()
        assert assert_whole(Store(copy)) == expected
        assert len(list((copy / "trials").glob("*.parquet"))) == 1


def test_readers_see_complete_parts_while_rows_are_committed_and_merged(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    writer = start(WRITE_AND_COMPACT, store.root)
    seen: set[str] = set()
    while writer.poll() is None:
        found = assert_whole(store)
        assert seen <= found  # committed rows never disappear
        assert set(Counter(trial_id[:2] for trial_id in found).values()) <= {2}
        assert store.damaged() == []
        seen = found
    assert writer.returncode == 0
    assert writer.stdout is not None
    writer.stdout.close()
    assert len(assert_whole(store)) == 80


def test_leftovers_of_a_killed_writer_are_deleted_a_day_later(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    for name in "ab":
        store.commit([result(name)])
    orphan, hidden = (
        tmp_path / "s" / "curves" / "0-orphan.parquet",
        tmp_path / "s" / "trials" / ".x.parquet.0.writing",
    )
    for path in (orphan, hidden):
        path.write_bytes(b"half")
    store.compact()
    assert orphan.exists()
    assert hidden.exists()  # a commit may be at it just now
    for path in (orphan, hidden):
        os.utime(path, (0, 0))
    store.compact()
    assert not orphan.exists()
    assert not hidden.exists()
    assert assert_whole(store) == {"a", "b"}
