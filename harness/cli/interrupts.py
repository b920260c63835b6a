"""Ctrl-C and SIGTERM while a study runs: the first one ends it after a commit, the second one immediately."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from lrlc.harness.run import ray_watch

SIGNALS = (signal.SIGINT, signal.SIGTERM)

ECHO_SECONDS = 0.1
"""`timeout` and some wrappers send one signal twice; a person's second Ctrl-C comes later than this."""


class Stopped(KeyboardInterrupt):
    """The run was asked to stop; `exit_code` follows the shell's convention, 128 plus the signal number."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.exit_code = 128 + signum


class Interrupts:
    """SIGINT and SIGTERM, which end a run by raising Stopped where its driver waits.

    The driver only stops there, where it holds no result that is neither handled nor committed. A remote
    wait ends within its timeout; one that trains in this process (`in_process`) ends immediately.
    """

    def __init__(self, *, in_process: bool) -> None:
        self._in_process = in_process
        self._signum: int | None = None
        self._asked_at = 0.0
        self._waiting = False

    @contextlib.contextmanager
    def may_stop(self) -> Iterator[None]:
        """Context for a wait; raises Stopped once a signal has arrived."""
        self._waiting = True
        try:
            if self._signum is not None:
                raise Stopped(self._signum)
            yield
        finally:
            self._waiting = False

    @property
    def asked_to_stop(self) -> bool:
        return self._signum is not None

    def on_signal(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._signum is not None:
            if now - self._asked_at > ECHO_SECONDS:
                ray_watch.end_silently()
                _write("stopped immediately; rows committed so far are kept")
                os._exit(128 + signum)  # Ray's processes on this machine end with their driver
            return
        self._signum, self._asked_at = signum, now
        again = "; Ctrl-C again stops immediately" if signum == signal.SIGINT else ""
        _write(f"stopping: finished trials are committed, running ones are stopped{again}")
        if self._in_process and self._waiting:
            raise Stopped(signum)


@contextlib.contextmanager
def stoppable(*, in_process: bool) -> Iterator[Callable[[], contextlib.AbstractContextManager[None]]]:
    """The context for each wait of a driver that SIGINT and SIGTERM stop; restores the former handlers afterwards.

    After a signal they are not restored: a second one still ends the remaining work, such as stopping Ray, immediately.
    A signal that was ignored before, such as SIGINT in a shell's background job, stays ignored.
    """
    interrupts = Interrupts(in_process=in_process)
    if threading.current_thread() is not threading.main_thread():
        yield contextlib.nullcontext
        return
    former = {name: signal.getsignal(name) for name in SIGNALS}
    for name, handler in former.items():
        if handler is not signal.SIG_IGN:
            signal.signal(name, interrupts.on_signal)
    try:
        yield interrupts.may_stop
    finally:
        if not interrupts.asked_to_stop:
            for name, handler in former.items():
                signal.signal(name, handler)


def _write(line: str) -> None:
    """Write directly to standard error: the signal may have interrupted a buffered write."""
    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # a live progress bar hides it
    with contextlib.suppress(OSError):
        os.write(2, f"{show_cursor}{line}\n".encode())
