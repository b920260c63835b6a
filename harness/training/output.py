"""The output of a trial: its standard output and error in a file of bounded size, which outlives its worker."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

MOST_IN_FILE = 1_000_000
"""Upper bound on the bytes of a trial's file, which is emptied after reading once it is longer."""


class Output:
    """Redirects everything this process writes, also from C, to the file at `path` within `caught`.

    A killed worker leaves what it wrote until then, as its streams are written line by line.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND, 0o600)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(line_buffering=True)

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        former = [os.dup(1), os.dup(2)]
        _flush()
        os.dup2(self._file, 1)
        os.dup2(self._file, 2)
        try:
            yield
        finally:
            _flush()
            for number, saved in zip((1, 2), former, strict=True):
                os.dup2(saved, number)
                os.close(saved)


class OutputReader:
    """Reads what `Output` has caught since the last call, from any process of the machine.

    `takes_away` removes what has been read from the file, for a reader that runs while nothing is written.
    """

    def __init__(self, path: Path, *, takes_away: bool = False) -> None:
        self._path, self._most, self._read = path, 0 if takes_away else MOST_IN_FILE, 0

    def more(self) -> str:
        """The text since the last call, up to its last MOST_IN_FILE bytes."""
        try:
            with self._path.open("r+b") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(min(self._read, size), size - MOST_IN_FILE))
                content, self._read = file.read(), size
                if size > self._most:  # its writer appends, and so continues at the new end
                    file.truncate(0)
                    self._read = 0
        except OSError:
            return ""
        return content.decode(errors="replace")


class _Copy(io.TextIOBase):
    """A stream that passes on what is written to it, and also copies it."""

    def __init__(self, shown: TextIO, copy: io.StringIO) -> None:
        self._shown, self._copy = shown, copy

    def write(self, text: str) -> int:
        self._copy.write(text)
        return self._shown.write(text)

    def flush(self) -> None:
        self._shown.flush()

    def isatty(self) -> bool:
        return self._shown.isatty()


@contextlib.contextmanager
def teed() -> Iterator[list[str]]:
    """Copies what Python prints in this process, which is still shown; afterwards the list holds the text."""
    printed: list[str] = []
    shared = io.StringIO()
    out, err = _Copy(sys.stdout, shared), _Copy(sys.stderr, shared)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield printed
        finally:
            printed.append(shared.getvalue())


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
