"""`lrlc logs STUDY --trial ID`: the output of trials is kept, with any executor and any end of their worker."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.processes import write_chatty_study

import lrlc
from lrlc.harness.cli.trial_log import trial_log
from lrlc.harness.training.output import teed
from lrlc.results.logs import HEAD_CHARACTERS, TAIL_CHARACTERS, BoundedText

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_output_of_a_serial_trial_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = lrlc.run(str(write_chatty_study(tmp_path)), results=str(tmp_path), quiet=True)
    said = capsys.readouterr()
    assert (said.out, said.err.count("warned by a layer")) == ("said by a layer\n", 1)
    by_kind = study.trials.set_index("kind")["trial_id"]
    log = trial_log("talk", by_kind["chatty"][:8], str(tmp_path))
    lrlc.run(str(tmp_path / "talk.yaml"), "name=heir", results=str(tmp_path), quiet=True)
    assert trial_log("heir", by_kind["chatty"], str(tmp_path)) == log
    assert log.splitlines()[1:] == ["said by a layer", "warned by a layer"]
    assert log.startswith("== attempt 1, 20")
    assert log.splitlines()[0].endswith("UTC, finished ==")
    with pytest.raises(lrlc.UserError, match="this trial printed nothing; `lrlc show"):
        trial_log("talk", by_kind["conv"], str(tmp_path))
    with pytest.raises(lrlc.UserError, match=f"has such an id; 1 trial printed output: {by_kind['chatty']}"):
        trial_log("talk", "xyz", str(tmp_path))


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    text = BoundedText()
    for number in range(20_000):
        text.add(f"{number}\n")
    kept = str(text)
    assert len(kept) < HEAD_CHARACTERS + TAIL_CHARACTERS + 50
    assert kept.startswith("0\n1\n2\n")
    assert kept.endswith("19998\n19999\n")
    beyond = sum(len(f"{number}\n") for number in range(20_000)) - HEAD_CHARACTERS - TAIL_CHARACTERS
    assert f"\n[{beyond:,} characters left out]\n" in kept


def test_output_of_c_and_python_is_caught_in_order_and_read_bit_by_bit(tmp_path: Path) -> None:
    code = f"""
import os, sys
sys.path.insert(0, {str(Path.cwd())!r})
from pathlib import Path
from lrlc.harness.training.output import Output, OutputReader
output, reader = Output(Path("file")), OutputReader(Path("file"))
print("before")
with output.caught():
    print("one")
    os.system("echo two")
    os.write(2, b"three\\n")
assert reader.more() == "one\\ntwo\\nthree\\n", reader.more()
with output.caught():
    print("x" * 2_000_000)
assert len(reader.more()) == 1_000_000
with output.caught():
    print("four")
assert reader.more() == "four\\n"
print("after")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("before\nafter\n", "")


def test_teed_output_is_also_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with teed() as printed:
        print("one")
        print("two", file=sys.stderr)
    assert printed == ["one\ntwo\n"]
    assert capsys.readouterr() == ("one\n", "two\n")


@pytest.mark.parametrize(
    ("said", "with_node"),
    [
        ("The actor is dead because its worker process has died. Worker exit detail: the OOMing node", False),
        ("The actor died because its node has died. Node Id: 1f5129e7", True),
    ],
)
def test_a_killed_worker_counts_against_its_trial_and_a_lost_node_does_not(
    said: str, with_node: bool
) -> None:
    from ray.exceptions import RayError

    from lrlc.harness.run.ray_pool import _lost

    error = RayError(f"The actor died unexpectedly before finishing this task.\n\tpid: 1\n{said}")
    assert _lost(None, error).with_node is with_node  # type: ignore[arg-type]


def test_a_new_worker_on_ray_deletes_only_old_output_of_dead_ones(tmp_path: Path) -> None:
    from lrlc.harness.run.ray_worker import PREFIX, SECONDS_KEPT, delete_old_output

    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, longer_dead, alive = (tmp_path / f"{PREFIX}{pid}" for pid in (ended.pid, 1 << 30, os.getpid()))
    for path in (dead, longer_dead, alive):
        path.write_text("last words")
    for path in (longer_dead, alive):
        os.utime(path, (0, time.time() - SECONDS_KEPT - 60))
    delete_old_output(tmp_path)
    assert set(tmp_path.iterdir()) == {dead, alive}
