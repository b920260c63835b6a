"""Code around every command: the encoding it runs in, and one-line messages for user errors."""

import errno
import io
import os
import sys

from lrlc.harness import plugins
from lrlc.harness.errors import UserError
from lrlc.results.errors import StoreError
from lrlc.studies import StudyError
from lrlc.studies.lines import one_line

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
REFUSED = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}


def open_closed_streams() -> None:
    """Open standard streams that are closed (`>&-`) on /dev/null, so that no other file takes their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            os.dup2(opened, number)
            if opened != number:
                os.close(opened)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", closefd=False))


def in_utf8() -> None:
    """Use UTF-8 for files, names and output in any locale; a character that the terminal lacks is shown as `?`.

    Python chooses the encoding of file names at startup, so it is restarted if the locale is not UTF-8.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if sys.getfilesystemencoding().lower() not in ("utf-8", "utf8") and os.environ.get("PYTHONUTF8") != "1":
        said = {"PYTHONUTF8": "1", "PYTHONIOENCODING": f"{encoding}:replace"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **said})
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def explained(error: Exception) -> str | None:
    """A user error in one line; None for a bug."""
    if isinstance(error, UserError | StoreError | StudyError) or _is_of_layers(error):
        return one_line(str(error))
    if isinstance(error, OSError):
        return _of_the_system(error)
    return plugins.blamed(error)


def _is_of_layers(error: Exception) -> bool:
    """Tests for a LayerError without importing the layers, and thus torch, for a command that needs neither."""
    layers = sys.modules.get("lrlc.layers")
    return layers is not None and isinstance(error, layers.LayerError)


def _of_the_system(error: OSError) -> str | None:
    """The message for a path that the system refuses, or for a full disk."""
    if error.errno in REFUSED and error.filename:
        return f"{error.filename}: {error.strerror}"
    if error.errno not in DISK_FULL:
        return plugins.blamed(error)
    where = f" at {error.filename}" if error.filename else ""
    return f"the disk is full{where} ({error.strerror}); committed trials are kept, the same command resumes"
