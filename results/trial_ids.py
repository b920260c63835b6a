"""Comparing very many trial ids at once.

Those that lrlc makes are 16 lower-case hexadecimal digits, and so 64-bit numbers: a million of them are sorted in
0.03 s where Arrow hashes as many texts in 0.3 s. Other texts are compared as such.
"""

from binascii import Error, unhexlify

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

DIGITS = 16


def all_different(ids: pa.ChunkedArray) -> bool:
    """Whether no id stands twice."""
    numbers = _as_numbers(ids)
    if numbers is None:
        return bool(pc.count_distinct(ids).as_py() == len(ids))
    numbers.sort()
    return not (numbers[1:] == numbers[:-1]).any()


def among(ids: pa.ChunkedArray, known: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Which of the ids are known; None if all of them are."""
    numbers, known_numbers = _as_numbers(ids), _as_numbers(known)
    if numbers is not None and known_numbers is not None and len(known):
        numbers.sort()
        known_numbers.sort()
        places = np.searchsorted(known_numbers, numbers).clip(max=len(known) - 1)
        if (known_numbers[places] == numbers).all():
            return None
    return pc.is_in(ids, known.combine_chunks())


def _as_numbers(ids: pa.ChunkedArray) -> npt.NDArray[np.uint64] | None:
    """The ids as numbers, in an array of its own; None if one of them is not 16 hexadecimal digits."""
    try:
        text = ids.combine_chunks().cast(pa.binary(DIGITS)).buffers()[1].to_pybytes()[: DIGITS * len(ids)]
        numbers = np.frombuffer(bytearray(unhexlify(text)), np.uint64)
    except (pa.ArrowInvalid, Error):
        return None
    return numbers if text == text.lower() else None
