"""Reads a pickle of plain values and byte arrays, and nothing else.

A pickle names functions to call. Allowing numpy's own is not enough: `numpy.ndarray(shape, object, buffer)` makes
objects of any bytes. So the three names in a pickled array are mapped to the inert classes below.
"""

import pickle
import pickletools
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray


def load_arrays(content: bytes) -> dict[Any, Any]:
    """The dictionary in `content`, with uint8 arrays as numpy arrays; str of Python 2 stays bytes.

    Raises pickle.UnpicklingError for anything that is not plain values and uint8 arrays.
    """
    try:
        _check_sizes(content)
        found = _Unpickler(BytesIO(content), encoding="bytes").load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # damaged pickles can raise anything
        raise pickle.UnpicklingError(f"damaged: {type(error).__name__}") from error
    if not isinstance(found, dict):
        raise pickle.UnpicklingError(f"it holds {type(found).__name__} instead of a dictionary")
    return {key: value.array if isinstance(value, _PickledArray) else value for key, value in found.items()}


def _check_sizes(content: bytes) -> None:
    """Refuse opcodes that ask for more than the file holds, as the unpickler would reserve up to 19 GB for a memo."""
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > len(content):
            raise pickle.UnpicklingError(f"damaged: a memo of {argument} entries")


class _PickledType:
    """Replaces numpy.dtype, keeping only the name of the element type."""

    def __init__(self, code: object, *_: object) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None: ...


class _PickledArray:
    """Replaces numpy.ndarray; `array` is built from its state after our own checks."""

    array: NDArray[np.uint8] | None = None

    def __setstate__(self, state: object) -> None:
        match state:
            case (
                int(),
                tuple() as shape,
                _PickledType(code="u1" | b"u1"),
                bool() | int() as fortran,
                bytes() as data,
            ):
                order = "F" if fortran else "C"
                self.array = np.frombuffer(data, np.uint8).reshape(shape, order=order)  # type: ignore[call-overload]
            case _:
                raise pickle.UnpicklingError("an array that is not of uint8")


def _reconstruct(*_: object) -> _PickledArray:
    return _PickledArray()


def _latin1(text: object, encoding: object) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError("bytes that are not of latin1 text")
    return text.encode("latin1")  # Python 3 writes bytes this way in protocol 2


class _Callable:
    """A function that a pickle can call but not change (its BUILD would set a plain function's attributes)."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it changes a function")


_NAMES: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Callable(_reconstruct),
    ("numpy._core.multiarray", "_reconstruct"): _Callable(_reconstruct),
    ("numpy", "ndarray"): _PickledArray,
    ("numpy", "dtype"): _PickledType,
    ("_codecs", "encode"): _Callable(_latin1),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only arrays are read")
        return _NAMES[module, name]
