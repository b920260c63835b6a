"""Lines for people: how they are said, counted, aligned and timed.

Everything that a command writes goes through here (ruff refuses print elsewhere) or through a display that does the
same: no control character reaches a terminal, and no password.
"""

import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Timer
from typing import TextIO

from lrlc.studies.lines import counted as counted
from lrlc.studies.lines import masked, printable

SECONDS_BETWEEN_LINES = 5.0


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, its columns as wide as their longest cells and two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def duration(seconds: float) -> str:
    """'45 s', '12 min', '3 h 20 min'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def print_json(value: object) -> None:
    """For a program to read; what is not a number is null, since JSON knows no NaN."""
    print(json.dumps(_known(value), indent=2, allow_nan=False), flush=True)


def _known(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _known(each) for name, each in value.items()}
    return [_known(each) for each in value] if isinstance(value, list | tuple) else value


class DecodingLines:
    """A line now and then while a large data set is decoded, the one time it is."""

    def __init__(self, title: str) -> None:
        self._title, self._last_line = title, time.monotonic()

    def __call__(self, split: str, done: int, total: int) -> None:
        if time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            say(f"decoding {self._title}, once on this machine: {split} {done:,} of {total:,}")


class NowAndThen:
    """Lines about what may take long: none where it is quick, and then at most one in some seconds."""

    def __init__(self, seconds: float = SECONDS_BETWEEN_LINES) -> None:
        self._seconds, self._last_line = seconds, time.monotonic()

    @contextmanager
    def about(self, line: str) -> Iterator[None]:
        """Say the line if what is done inside has not ended when the next one is due."""

        def tell() -> None:
            say(line)
            self._last_line = time.monotonic()

        timer = Timer(max(0.0, self._last_line + self._seconds - time.monotonic()), tell)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # the interpreter must not end while a thread of it still runs


def last_line(text: str) -> str:
    """Of a traceback, what went wrong."""
    return next(reversed(text.strip().splitlines()), "")


def say(line: str) -> None:
    """A line for people on standard error; standard output stays for results."""
    print(masked(printable(line)), file=sys.stderr, flush=True)


def show(text: str) -> None:
    """A result on standard output: it may hold what trials and other people wrote."""
    print(masked(printable(text)), flush=True)


def pass_on(text: str, to: TextIO | None = None) -> None:
    """A piece of a log that others wrote, as it comes, to standard output or another stream."""
    (to or sys.stdout).write(masked(printable(text)))
    (to or sys.stdout).flush()
