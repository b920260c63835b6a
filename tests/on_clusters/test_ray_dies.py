"""A process of the Ray that a run has started dies: the run ends with a line of ours, and the same command resumes."""

import os
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest
from support.commands import RunningCommand
from support.processes import command_of, descendants, rows, start, wait_for_rows, with_patient


def kill(name: str, run: RunningCommand) -> None:
    """Kill the process of the run's Ray with this name, and see the run end with all that it has started."""
    of_ray = descendants(run.pid)
    (dies,) = [pid for pid, command in of_ray.items() if command.partition("\0")[0].endswith(f"/{name}")]
    os.kill(dies, signal.SIGKILL)
    _, said = run.communicate()
    assert run.returncode == 2
    assert said.splitlines()[-1] == (
        f"lrlc: Ray's {name} on this machine died; committed rows are kept, the same command resumes"
    )
    assert not [command for pid in of_ray if (command := command_of(pid))]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_run_whose_ray_dies_says_so_and_loses_no_row(
    tiny_study: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    study, root = with_patient(tiny_study), tmp_path / "runs/tiny"
    words = ["grid={kind: patient}", "seeds=4"]
    with start(study, environment, "--max-in-flight", "1", *words) as run:
        wait_for_rows(root, 1, run)
        kill("gcs_server", run)
    kept = rows(root)
    with start(study, environment, "--max-in-flight", "1", *words) as run:
        while "trials done" not in (line := run.stderr.readline()):  # its workers are still to start
            assert line
        kill("raylet", run)
    with start(study, environment, "--serial", *words) as run:
        _, said = run.communicate()
    assert run.returncode == 0, said
    assert list(rows(root)["status"]) == ["finished"] * 4
    pd.testing.assert_frame_equal(rows(root).loc[kept.index], kept)
