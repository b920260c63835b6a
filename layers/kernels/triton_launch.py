"""Launches of Triton kernels: run, or only recorded, so that they can be compiled for a GPU that is not present."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Launch:
    """`programs` instances of `kernel`; `constants` holds its compile-time arguments and the compiler's options."""

    kernel: Any
    programs: int
    arguments: tuple[Any, ...]
    constants: dict[str, Any]


_target: ContextVar[int] = ContextVar("target", default=90)
_record: ContextVar[list[Launch] | None] = ContextVar("record", default=None)


def launch(kernel: Any, programs: int, *arguments: Any, **constants: Any) -> None:
    """Run `kernel` on the device of its first argument, a tensor, or only record the launch inside `recorded()`."""
    if (record := _record.get()) is None:
        # Triton launches on the current device, wherever the tensors are.
        with torch.cuda.device_of(arguments[0]):  # type: ignore[no-untyped-call]
            kernel[(programs,)](*arguments, **constants)
    else:
        record.append(Launch(kernel, programs, arguments, constants))


def in_tf32(operation: Any = torch.backends.cudnn.conv) -> bool:  # type: ignore[attr-defined]
    """Whether torch computes `operation` in float32 by TF32, whichever way that was set.

    `torch.backends.cudnn.allow_tf32` raises where it was set by `fp32_precision` (torch 2.10 to 2.13).
    """
    return bool(operation.fp32_precision == "tf32")


def capability(x: Tensor) -> int:
    """The compute capability for kernels of `x`, times ten: 90 for 9.0."""
    if x.device.type != "cuda":
        return _target.get()
    major, minor = torch.cuda.get_device_capability(x.device)
    return 10 * major + minor


@contextmanager
def recorded(target: int) -> Iterator[list[Launch]]:
    """Record launches for that compute capability without running them; tensors may be on the meta device."""
    launches: list[Launch] = []
    tokens = _record.set(launches), _target.set(target)
    try:
        yield launches
    finally:
        _record.reset(tokens[0])
        _target.reset(tokens[1])
