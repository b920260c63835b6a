"""Output for people: printing lines, counts, aligned columns and durations.

Everything that a command writes goes through here (ruff refuses print elsewhere) or through a display that does the
same, so that no control character or password reaches a terminal.
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


def pace(per_minute: float) -> str:
    """'2.0/min', or '7.1/h' below one a minute."""
    return f"{per_minute:.1f}/min" if per_minute >= 1 else f"{60 * per_minute:.1f}/h"


def rounded(value: float) -> str:
    """Two digits, or all before the point: '0.034', '1.2', '140'."""
    return f"{value:.2g}" if value < 99.5 else f"{value:,.0f}"


def print_json(value: object) -> None:
    """Print JSON for programs; NaN becomes null, as JSON has no NaN."""
    print(json.dumps(_known(value), indent=2, allow_nan=False), flush=True)


def _known(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _known(each) for name, each in value.items()}
    return [_known(each) for each in value] if isinstance(value, list | tuple) else value


class DecodingLines:
    """Occasional progress lines while a large data set is decoded, which happens once."""

    def __init__(self, title: str) -> None:
        self._title, self._last_line = title, time.monotonic()

    def __call__(self, split: str, done: int, total: int) -> None:
        if time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            say(f"decoding {self._title}, once on this machine: {split} {done:,} of {total:,}")


class NowAndThen:
    """Progress lines for work that may take long: none if it is quick, and otherwise at most one every few seconds."""

    def __init__(self, seconds: float = SECONDS_BETWEEN_LINES) -> None:
        self._seconds, self._last_line = seconds, time.monotonic()

    @contextmanager
    def about(self, line: str) -> Iterator[None]:
        """Print the line if the work inside has not ended when the next line is due."""

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
            timer.join()  # the interpreter must not exit while the thread still runs


def last_line(text: str) -> str:
    """The last line of a traceback, which has the error."""
    return next(reversed(text.strip().splitlines()), "")


def say(line: str) -> None:
    """Print a line for people on standard error, as standard output is for results."""
    print(masked(printable(line)), file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Print a result on standard output; it may contain text from trials and other people."""
    print(masked(printable(text)), flush=True)


def pass_on(text: str, to: TextIO | None = None) -> None:
    """Pass on a piece of somebody else's log, as it arrives, to standard output or another stream."""
    (to or sys.stdout).write(masked(printable(text)))
    (to or sys.stdout).flush()
