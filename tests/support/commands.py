"""`lrlc` in processes forked from one that has imported torch and the commands, which takes seconds each time.

Each command still has a process, a folder, an environment and an exit code of its own. What it imports, and from
where, is for tests that start Python anew.
"""

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    # What the commands import when they are first needed takes most of a small run's time.
    [
        "torch._dynamo",
        "optuna",
        "pyarrow.parquet",
        "lrlc.harness.run.session",
        "lrlc.harness.cli.app",
        "lrlc.results.claims",
        "lrlc.results.figures.rank_vs_accuracy",
        "lrlc.results.report",
    ]
)


def run_command(
    words: Sequence[object], folder: Path, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Like `subprocess.run([sys.executable, "-m", "lrlc", *words], ...)` with its output as text."""
    arguments = ["lrlc", *map(str, words)]
    with tempfile.TemporaryDirectory() as outputs:
        out, err = Path(outputs) / "out", Path(outputs) / "err"
        process = SERVER.Process(target=_main, args=(arguments, folder, dict(environment), out, err))
        with patch.dict(os.environ, environment):  # the server, started once, reads OMP_NUM_THREADS
            process.start()
        process.join()
        assert process.exitcode is not None
        return subprocess.CompletedProcess(arguments, process.exitcode, out.read_text(), err.read_text())


def _main(arguments: list[str], folder: Path, environment: dict[str, str], out: Path, err: Path) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for path, stream in ((out, sys.stdout), (err, sys.stderr)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    sys.argv = arguments
    try:
        from lrlc.harness.cli.app import main

        main()
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves these out; Ray shuts its processes down in one
