"""Functions by the names that studies use, each registered with a decorator in any file."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from lrlc.harness.errors import UserError
from lrlc.layers.registry import source_of
from lrlc.studies.errors import nearest
from lrlc.studies.fields import check_new_name

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Registered(Generic[Function]):
    """A registered function; `source` is the file that registers it."""

    name: str
    build: Function
    source: str
    capturable: bool = False
    """Whether a CUDA graph may include it: it never waits for the GPU, and Python makes no decisions at each step."""
    settings: Any = None
    """The decorator's other argument."""


class Registry(Mapping[str, Registered[Function]]):
    """The registered functions of one sort, by name; `what` names the sort in messages."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._entries: dict[str, Registered[Function]] = {}

    def __getitem__(self, name: str) -> Registered[Function]:
        if name not in self._entries:
            raise UserError(f"unknown {self._what} {name!r}; {nearest(name, self._entries)}")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def register(
        self, name: str, *, capturable: bool = False, settings: Any = None
    ) -> Callable[[Function], Function]:
        """A decorator that registers under this name; UserError for no name, or one that another file has taken."""
        try:
            check_new_name(self._what, name, "+")  # joins augmentations
        except ValueError as error:
            raise UserError(str(error)) from None

        def decorate(build: Function) -> Function:
            entry = Registered(name, build, source_of(build), capturable, settings)
            taken = self._entries.get(name)
            # A notebook cell gets a different name each time it runs, none of which is a file.
            if taken is not None and taken.source != entry.source and Path(taken.source).is_file():
                raise UserError(
                    f"the {self._what} {name!r} of {entry.source} is already registered by {taken.source}"
                )
            self._entries[name] = entry
            return build

        return decorate
