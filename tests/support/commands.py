"""`lrlc` in processes forked from one that has imported torch and the commands, which takes seconds each time.

Each command still has a process, a folder, an environment, signals and an exit code of its own. What it imports, and
from where, is for tests that start Python anew.
"""

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import IO, Self
from unittest.mock import patch

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    # Imports on first use take most of a small run's time.
    [
        "torch._inductor",  # and with it torch._dynamo
        "optuna",
        "pyarrow.parquet",
        "sklearn.linear_model",
        "matplotlib.backends.backend_agg",
        "matplotlib.backends.backend_svg",
        "lrlc.harness.run.plan_summary",
        "lrlc.harness.run.slots",
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
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = _fork(words, folder, environment, out.fileno(), err.fileno())
        process.join()
        assert process.exitcode is not None
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(["lrlc", *words], process.exitcode, out.read(), err.read())


class RunningCommand:
    """A started command: the part of `subprocess.Popen` that tests use, with both outputs piped as text."""

    def __init__(self, words: Sequence[object], folder: Path, environment: Mapping[str, str]) -> None:
        (out, stdout), (err, stderr) = os.pipe(), os.pipe()
        self._process = _fork(words, folder, environment, stdout, stderr)
        os.close(stdout)
        os.close(stderr)
        self.stdout: IO[str] = open(out)  # noqa: SIM115 - closed by `communicate`
        self.stderr: IO[str] = open(err)  # noqa: SIM115

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code once the command has ended; -9 if it was killed."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, sent: signal.Signals) -> None:
        if self.returncode is None:
            os.kill(self.pid, sent)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self) -> tuple[str, str]:
        """Wait for the command to end; the rest of its standard output and error."""
        with self.stdout, self.stderr, ThreadPoolExecutor(1) as pool:
            out = pool.submit(self.stdout.read)
            err = self.stderr.read()
            self._process.join()
            return out.result(), err

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Kill it if it still runs."""
        self.kill()
        if not self.stderr.closed:
            self.communicate()


def _fork(
    words: Sequence[object], folder: Path, environment: Mapping[str, str], out: int, err: int
) -> ForkServerProcess:
    """Start `lrlc WORDS...` with its outputs in these open files."""
    arguments = ["lrlc", *map(str, words)]
    streams = [
        Connection(os.dup(each), readable=False) for each in (out, err)
    ]  # pickling these passes them on
    process = SERVER.Process(target=_main, args=(arguments, folder, dict(environment), *streams))
    with patch.dict(os.environ, environment):  # the server, started once, reads OMP_NUM_THREADS
        process.start()
    for stream in streams:
        stream.close()
    return process


def _main(
    arguments: list[str], folder: Path, environment: dict[str, str], out: Connection, err: Connection
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for file, number in ((out, 1), (err, 2)):
        os.dup2(file.fileno(), number)
        file.close()
    # The server's own streams may be of any files, seekable or not.
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = arguments
    try:
        from lrlc.harness.cli.app import main

        main()
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves these out; Ray shuts its processes down in one
