"""Ctrl-C and SIGTERM while a study runs: the first ends it after a commit, the second ends it at once."""

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
    """The run was asked to stop; `exit_code` is the shell's, 128 and the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.exit_code = 128 + signum


class Interrupts:
    """SIGINT and SIGTERM, which end a run by raising Stopped where its driver waits.

    The driver is only ever left there, where it holds no result that is neither handled nor committed. A remote
    wait ends within its timeout; one that trains in this process (`in_process`) is left at once.
    """

    def __init__(self, *, in_process: bool) -> None:
        self._in_process = in_process
        self._signum: int | None = None
        self._asked_at = 0.0
        self._waiting = False

    @contextlib.contextmanager
    def may_stop(self) -> Iterator[None]:
        """Surrounds a wait; raises Stopped once a signal has come."""
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
                _write("stopped at once; rows committed so far are kept")
                os._exit(128 + signum)  # Ray's processes on this machine end with their driver
            return
        self._signum, self._asked_at = signum, now
        again = "; Ctrl-C again stops at once" if signum == signal.SIGINT else ""
        _write(f"stopping: what has finished is committed, what runs is stopped{again}")
        if self._in_process and self._waiting:
            raise Stopped(signum)


@contextlib.contextmanager
def stoppable(*, in_process: bool) -> Iterator[Callable[[], contextlib.AbstractContextManager[None]]]:
    """What surrounds each wait of a driver that SIGINT and SIGTERM stop; the former handlers are back afterwards.

    After a signal they are not: a second one still ends at once what is left to do, such as Ray's own end.
    A signal that was ignored before, as SIGINT is in a shell's background, stays so.
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
    """Straight to standard error: a signal may have come in the middle of a buffered write."""
    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # a live bar hides it
    with contextlib.suppress(OSError):
        os.write(2, f"{show_cursor}{line}\n".encode())
