"""Data sets by name. Adding one takes a function and a decorator, in any file."""

import hashlib
import linecache
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lrlc.harness.data.errors import DataError
from lrlc.harness.data.source import Reader
from lrlc.studies.errors import nearest
from lrlc.studies.fields import check_new_name

Registered = TypeVar("Registered", bound=Reader)


@dataclass(frozen=True)
class NamedDataset:
    """A registered reader; `source` is the file that registers it, `summary` the first line of its docstring."""

    name: str
    read: Reader
    source: str
    summary: str
    needs_folder: bool
    folder: str
    """Its folder below the data folder; data sets with the same files share one."""
    shows_people: bool
    """Whether its images show people: none is then copied into tables, which may be published."""
    version: str
    """Digest of a user's file, as editing it may change what it reads; empty for shipped readers."""


DATASETS: dict[str, NamedDataset] = {}


def dataset(
    name: str, *, needs_folder: bool = True, shows_people: bool = False, folder: str | None = None
) -> Callable[[Registered], Registered]:
    """Register a reader `(folder, label) -> Source` as the data set `name`.

    The reader gets DATA/name (DATA/`folder` if given), which must exist unless `needs_folder` is False (data that come
    with a package). With `shows_people` no image of it is saved beside the results, only their mean.
    """

    try:
        check_new_name("data set", name, "/#:@+")  # titles are made with these
    except ValueError as error:
        raise DataError(str(error)) from None

    def register(read: Registered) -> Registered:
        code = getattr(read, "__code__", None)
        source = str(code.co_filename) if code is not None else "?"
        taken = DATASETS.get(name)
        if taken is not None and taken.source != source:
            raise DataError(f"the data set {name!r} of {source} is already registered by {taken.source}")
        summary = (read.__doc__ or "").strip().partition("\n")[0]
        version = _version(source)
        DATASETS[name] = NamedDataset(
            name, read, source, summary, needs_folder, folder or name, shows_people, version
        )
        return read

    return register


def known(name: str) -> NamedDataset:
    """The data set `name`, or a DataError with those that exist."""
    if name not in DATASETS:
        raise DataError(f"unknown data set {name!r}; {nearest(name, DATASETS)}")
    return DATASETS[name]


def _version(source: str) -> str:
    if Path(source).parent == Path(__file__).parent:
        return ""  # shipped readers raise cache.READER_VERSION instead
    linecache.checkcache(source)
    # A plugin sent to another machine is not a file there, but linecache has its text.
    return hashlib.sha256("".join(linecache.getlines(source)).encode()).hexdigest()[:16]
