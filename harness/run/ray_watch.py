"""A small process beside a driver on Ray: it has the last word where the driver dies without one, and ends its Ray.

A driver whose raylet or GCS dies is ended by Ray's C++ at once, with Ray's words as the last (Ray 2.60); one that is
killed leaves agents of the Ray that it started, which go on for up to a minute.
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
"""Ray's own words come first."""

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
"""To the watchers of this process."""


def watch(session: str = "") -> None:
    """Watch this process until it ends; `session` is the name of the Ray that it started, '' if it joined one."""
    arguments = [sys.executable, "-I", "-S", "-c", _PROGRAM, session, LAST_WORD, str(GRACE_SECONDS)]
    # In a session of its own: Ctrl-C is for the driver.
    watcher = subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    assert watcher.stdin is not None
    _pipes.append(watcher.stdin)
    atexit.register(_say_goodbye, watcher, watcher.stdin)


def end_silently() -> None:
    """Before this process exits at once and has said so itself: the watchers end its Ray without a word."""
    for pipe in _pipes:
        with contextlib.suppress(OSError, ValueError):
            os.write(pipe.fileno(), b"q")


def _say_goodbye(watcher: "subprocess.Popen[bytes]", to: IO[bytes]) -> None:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):  # it was killed, or stopped
        to.write(b".")
        to.close()
        watcher.wait(SECONDS_TO_END)
