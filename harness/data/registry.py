"""Data sets by name. A new one is one function and one decorator line, in any file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from harness.data.errors import DataError
from harness.data.source import Reader

Registered = TypeVar("Registered", bound=Reader)


@dataclass(frozen=True)
class NamedDataset:
    """A reader under its name; `source` is the file that registers it, `summary` its first line of doc."""

    name: str
    read: Reader
    source: str
    summary: str
    needs_folder: bool


DATASETS: dict[str, NamedDataset] = {}


def dataset(name: str, *, needs_folder: bool = True) -> Callable[[Registered], Registered]:
    """Register a reader `(folder, label) -> Source` as the data set `name`.

    `folder` is DATA/name, which must exist unless `needs_folder` is False (data that come with a package).
    """

    def register(read: Registered) -> Registered:
        code = getattr(read, "__code__", None)
        source = str(code.co_filename) if code is not None else "?"
        taken = DATASETS.get(name)
        if taken is not None and taken.source != source:
            raise DataError(f"the data set {name!r} of {source} is already registered by {taken.source}")
        summary = (read.__doc__ or "").strip().partition("\n")[0]
        DATASETS[name] = NamedDataset(name, read, source, summary, needs_folder)
        return read

    return register
