"""The program that `ray_watch` starts: it waits for the driver's end, kills what is left of its Ray and says so.

`python ray_watcher.py SESSION PACKAGE LINE`: SESSION is the name of Ray's session, '' for a cluster that the driver
joined; PACKAGE is the folder of Ray's package; LINE is printed if the driver said nothing. Standard library only.
"""

import contextlib
import os
import select
import signal
import sys
import time

GOODBYE, SAID = b".", b"q"
"""What the driver writes before it ends: it has finished, or it has reported its end and its Ray is to be killed."""

GRACE_SECONDS = 1.0
"""Wait this long so that Ray's own messages come first."""

SECONDS_TO_END = 2.0
"""How long to wait for a killed process to end."""


def main(session: str, package: str, line: str) -> None:
    last = os.read(0, 1)
    if last == GOODBYE:
        return
    time.sleep(GRACE_SECONDS)
    if session and os.path.isdir("/proc"):
        _kill(_processes_of(session, package))
    if last != SAID:
        os.write(2, f"{line}\n".encode())


def _kill(pids: list[int]) -> None:
    """Kill the processes and wait until they have ended."""
    handles = []
    for pid in pids:
        with contextlib.suppress(OSError):
            handles.append(os.pidfd_open(pid))
            signal.pidfd_send_signal(handles[-1], signal.SIGKILL)
    for handle in handles:
        select.select([handle], [], [], SECONDS_TO_END)


def _processes_of(session: str, package: str) -> list[int]:
    return [
        int(name) for name in os.listdir("/proc") if name.isdecimal() and _belongs(name, session, package)
    ]


def _belongs(pid: str, session: str, package: str) -> bool:
    """Whether the process is one of this Ray: agents and workers rename themselves, but keep its log files open."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = os.fsdecode(file.read())
        if not (command.startswith("ray::") or package in command) or int(pid) == os.getpid():
            return False
        return session in command or any(session in name for name in _open_files(pid))
    except OSError:  # the process has ended, or is another user's
        return False


def _open_files(pid: str) -> list[str]:
    names = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):  # closed in the meantime
            names.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return names


if __name__ == "__main__":
    main(*sys.argv[1:])
