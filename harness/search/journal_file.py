"""Optuna's journal with a checksum in every line, so that lost, swapped or altered lines are noticed.

The journal is a view of the rows: if anything is wrong with it, it is moved aside and rebuilt from them. Written
against private attributes of Optuna 5.0; with any other version `optuna_setup` uses Optuna's own journal, which reads
this one.
"""

import json
import os
import re
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend

from lrlc.harness.text import say
from lrlc.results.errors import StoreError

_CHECKSUM = re.compile(rb',"crc32":(\d{1,10})\}\r?\n$')


class CheckedJournal(JournalFileBackend):
    """Optuna's journal, written without waiting for the disk and without a lock: the study's lease keeps others out.

    A line's checksum is of the whole file up to it. Optuna reads the file about twenty times per trial: its size shows
    whether anything was added. StoreError if the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._crc, self._size = 0, 0
        with _one_line("write", path):
            super().__init__(str(path))

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        with _one_line("read", self._file_path):
            if self._log_number_offset.get(log_number_from) != os.stat(self._file_path).st_size:
                yield from super().read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with _one_line("write", self._file_path), open(self._file_path, "a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size != self._size:  # our first line, or a tool has added some
                file.seek(0)
                self._crc = zlib.crc32(file.readall())
            lines, crc = _with_checksums(logs, self._crc)
            try:
                _write_whole(file, lines)
            except OSError:
                file.truncate(size)  # half a line would spoil the next
                raise
            self._crc, self._size = crc, size + len(lines)


def make_sound(journal: Path) -> None:
    """Remove the partial last line of a killed writer, and move a damaged journal aside."""
    with _one_line("read", journal):
        if journal.is_symlink() or (journal.exists() and not journal.is_file()):
            move_aside(journal, "not a regular file")
        elif journal.exists():
            _trim_torn_line(journal)
            if fault := _fault(journal):
                move_aside(journal, fault)


def move_aside(journal: Path, fault: str) -> None:
    """Rename the journal, and report this."""
    with _one_line("move", journal):
        taken = {path.name for path in journal.parent.iterdir()}
        names = (f"{journal.stem}.damaged{f'.{n}' if n else ''}" for n in range(len(taken) + 1))
        aside = journal.rename(journal.with_name(next(name for name in names if name not in taken)))
        say(
            f"search: {journal.name} was damaged ({fault}) and is now {aside.name}; it is rebuilt from the rows"
        )


def _fault(journal: Path) -> str | None:
    """What is wrong with the first altered line; None if all lines are as written."""
    crc = 0
    with journal.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            checksum = _CHECKSUM.search(line)
            if checksum and zlib.crc32(line[: checksum.start()], crc) != int(checksum[1]):
                return f"line {number} or one before it is not what was written"
            if not _is_object(line):
                return f"line {number} is not a JSON object"
            crc = zlib.crc32(line, crc)
    return None


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _with_checksums(logs: list[dict[str, Any]], crc: int) -> tuple[bytes, int]:
    """The lines, and the checksum of the file with them; `crc` is that of the file before."""
    lines = b""
    for log in logs:
        line = json.dumps(log, separators=(",", ":")).encode().removesuffix(b"}")
        crc = zlib.crc32(line, crc)
        end = b',"crc32":%d}\n' % crc
        crc = zlib.crc32(end, crc)
        lines += line + end
    return lines, crc


def _write_whole(file: Any, content: bytes) -> None:
    """A full disk accepts part of a write and refuses only the rest."""
    while content:
        content = content[file.write(content) :]


def _trim_torn_line(journal: Path) -> None:
    """Optuna would append to it and never read the file again."""
    with journal.open("rb") as file:
        content = file.read()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(journal, whole)


@contextmanager
def _one_line(doing: str, path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(
            f"cannot {doing} {path}: {reason}; committed rows are kept, the same command resumes"
        ) from error
