"""A small process beside a driver on Ray, which prints a final line if the driver dies without one, and ends its Ray.

If its raylet or GCS dies, Ray's C++ code ends the driver, up to a minute later and with only Ray's own message (Ray
2.60); a driver that is killed leaves agents of the Ray that it started, which run for up to another minute.
"""

import atexit
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, NoReturn

from lrlc.harness.run.ray_watcher import GOODBYE, SAID

LAST_WORD = (
    "lrlc: the run died, killed or with Ray's processes; committed rows are kept, the same command resumes"
)

SECONDS_TO_END = 5.0

_pipes: list[IO[bytes]] = []
"""The pipes to the watchers of this process."""

_looks: list[Callable[[], str | None]] = []
"""Each returns the name of a dead process without which the Ray that this process started is dead, else None."""


def watch(
    session: str, package: Path, *, look: Callable[[], str | None], shut_down: Callable[[], object]
) -> None:
    """Watch this process until it ends; `session` is the name of the Ray session it started, '' if it joined one.

    `package` is the folder of Ray's package, `look` returns the name of a dead process of this Ray, and `shut_down`
    ends it.
    """
    program = Path(__file__).with_name("ray_watcher.py")
    arguments = [sys.executable, "-I", "-S", str(program), session, f"{package}/", LAST_WORD]
    # In its own session, so that Ctrl-C only reaches the driver.
    watcher = subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    assert watcher.stdin is not None
    _pipes.append(watcher.stdin)
    _looks.append(look)
    atexit.register(_end, watcher, watcher.stdin, shut_down)


def dead_process() -> str | None:
    """'raylet' or 'gcs_server' if that process of a Ray that this process started has died."""
    return next((name for look in _looks if (name := look())), None)


def end_silently() -> None:
    """Make the watchers end Ray without printing; call this before an immediate exit that has been reported."""
    for pipe in _pipes:
        with contextlib.suppress(OSError, ValueError):
            os.write(pipe.fileno(), SAID)


def leave(exit_code: int) -> NoReturn:
    """Exit; immediately if this process's Ray is dead, since Ray's shutdown would wait for it and exit with 1."""
    if dead_process() is None:
        sys.exit(exit_code)
    end_silently()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def _end(watcher: "subprocess.Popen[bytes]", to: IO[bytes], shut_down: Callable[[], object]) -> None:
    """Shut Ray down before telling the watcher: until then Ray's C++ code can still end this process."""
    shut_down()
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):  # the watcher was killed or stopped
        to.write(GOODBYE)
        to.close()
        watcher.wait(SECONDS_TO_END)
