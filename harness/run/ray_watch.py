"""A small process beside a driver on Ray, which prints a final line if the driver dies without one, and ends its Ray.

If its raylet or GCS dies, Ray's C++ code ends the driver immediately, with only Ray's own message (Ray 2.60); a driver
that is killed leaves agents of the Ray that it started, which run for up to another minute.
"""

import atexit
import contextlib
import os
import subprocess
import sys
from typing import IO

LAST_WORD = (
    "lrlc: the run died, killed or with Ray's processes; committed rows are kept, the same command resumes"
)
GRACE_SECONDS = 1.0
"""Wait this long so that Ray's own messages come first."""

SECONDS_TO_END = 5.0

_PROGRAM = """
import os, signal, sys, time
session, line, grace = sys.argv[1], sys.argv[2], float(sys.argv[3])
last = os.read(0, 1)
if last == b".":
    sys.exit()
time.sleep(grace)
def belongs(pid):
    try:
        return session in open(f"/proc/{pid}/cmdline", "rb").read().decode("utf-8", "replace")
    except OSError:
        return False
for pid in [int(name) for name in os.listdir("/proc") if name.isdecimal()] if session else ():
    if pid != os.getpid() and belongs(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
if not last:
    print(line, file=sys.stderr, flush=True)
"""

_pipes: list[IO[bytes]] = []
"""The pipes to the watchers of this process."""


def watch(session: str = "") -> None:
    """Watch this process until it ends; `session` is the name of the Ray session it started, '' if it joined one."""
    arguments = [sys.executable, "-I", "-S", "-c", _PROGRAM, session, LAST_WORD, str(GRACE_SECONDS)]
    # In its own session, so that Ctrl-C only reaches the driver.
    watcher = subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    assert watcher.stdin is not None
    _pipes.append(watcher.stdin)
    atexit.register(_say_goodbye, watcher, watcher.stdin)


def end_silently() -> None:
    """Make the watchers end Ray without printing; call this before an immediate exit that has been reported."""
    for pipe in _pipes:
        with contextlib.suppress(OSError, ValueError):
            os.write(pipe.fileno(), b"q")


def _say_goodbye(watcher: "subprocess.Popen[bytes]", to: IO[bytes]) -> None:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):  # the watcher was killed or stopped
        to.write(b".")
        to.close()
        watcher.wait(SECONDS_TO_END)
