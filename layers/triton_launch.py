"""Launches of Triton kernels: run, or only recorded, so that they can be compiled for a GPU that is not here."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Launch:
    """`programs` instances of `kernel`; `constants` holds its compile-time arguments and the compiler's options."""

    kernel: Any
    programs: int
    arguments: tuple[Any, ...]
    constants: dict[str, Any]


_record: ContextVar[list[Launch] | None] = ContextVar("record", default=None)


def launch(kernel: Any, programs: int, *arguments: Any, **constants: Any) -> None:
    """Run `kernel`, or note the launch inside `recorded()`."""
    if (record := _record.get()) is None:
        kernel[(programs,)](*arguments, **constants)
    else:
        record.append(Launch(kernel, programs, arguments, constants))


@contextmanager
def recorded() -> Iterator[list[Launch]]:
    """The launches made inside, none of which runs: tensors may be on the meta device."""
    launches: list[Launch] = []
    token = _record.set(launches)
    try:
        yield launches
    finally:
        _record.reset(token)
