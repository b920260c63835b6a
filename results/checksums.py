"""The checksum in every Parquet file of the results, which covers its content and its intended place.

Parquet's own page checksums leave out footers and file names. This one detects a flipped bit anywhere, and a file in
another's place. Files of earlier versions have none.
"""

import hashlib
import io
import os
from collections.abc import Iterable, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

KEY = b"lrlc.sha256"
CHUNK_BYTES = 4 * 2**20
WRONG = "its checksum does not match its content and name"

BLANK = b"0" * 64
"""The placeholder for the checksum while it is computed."""
_MARK = KEY + b"\x18\x40"
"""The key as Thrift's compact protocol writes it, then the type and the length of its value."""
_END = b"PAR1"


def write_parquet(
    file: IO[bytes], place: str, schema: pa.Schema, groups: Iterable[pa.Table], **encoding: Any
) -> int:
    """Write the groups of rows with their checksum and return the number of rows; reads `file` again to compute it.

    `place` is the path below the study's folder, without a suffix: 'trials/<part>'.
    """
    rows = 0
    with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True, **encoding) as writer:
        for group in groups:
            writer.write_table(group.replace_schema_metadata(schema.metadata))
            rows += len(group)
        writer.add_key_value_metadata({KEY: BLANK})
    at = _find(file)
    if at is None:
        raise RuntimeError(f"pyarrow {pa.__version__} did not write {KEY.decode()} into the footer")
    checksum = checksum_of(file, at, place)
    file.seek(at)
    file.write(checksum)
    return rows


def parquet_table(content: bytes, place: str, *, read_dictionary: Sequence[str] = ()) -> pa.Table:
    """The table in a file that was read from `place`; ValueError if it is not what was written there.

    Only this thread reads it: one of pyarrow's threads would release `content` after the table is complete, and if the
    interpreter ends at that moment, the process aborts (pyarrow 26, Python 3.11).
    """
    if damage := fault(io.BytesIO(content), place):
        raise ValueError(damage)
    # Files of earlier versions may lack a column, and pyarrow raises a KeyError for one to read as a dictionary.
    there = set(read_dictionary).intersection(pq.read_schema(io.BytesIO(content)).names)
    with pq.ParquetFile(io.BytesIO(content), read_dictionary=sorted(there), pre_buffer=False) as file:
        return file.read(use_threads=False)


def is_as_written(file: IO[bytes] | pa.NativeFile, place: str) -> bool | None:
    """Whether a file read from `place` is what was written there; None if it has no checksum.

    ValueError if it is not a Parquet file.
    """
    at = _find(file)
    if at is None:
        return None
    file.seek(at)
    return file.read(len(BLANK)) == checksum_of(file, at, place)


def fault(file: IO[bytes] | pa.NativeFile, place: str) -> str | None:
    """What is wrong with the file, in a few words; None if it is unchanged or has no checksum."""
    return WRONG if is_as_written(file, place) is False else None


def has_checksum(file: IO[bytes] | pa.NativeFile) -> bool:
    """Whether the file has a checksum, right or wrong."""
    return _find(file) is not None


def _find(file: IO[bytes] | pa.NativeFile) -> int | None:
    """The offset of the checksum; None if there is none. ValueError if it is not a Parquet file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 8))
    length, end = int.from_bytes(file.read(4), "little"), file.read(4)
    if end != _END or length > size - 12:
        raise ValueError("no whole Parquet file")
    start = size - 8 - length
    file.seek(start)
    found = file.read(length).rfind(_MARK)
    return None if found < 0 else start + found + len(_MARK)


def checksum_of(file: IO[bytes] | pa.NativeFile, at: int, place: str) -> bytes:
    """SHA-256 of the place and of the file with the placeholder at `at`, in hexadecimal digits."""
    digest = hashlib.sha256(place.encode() + b"\n")
    file.seek(0)
    _add(digest, file, at)
    digest.update(BLANK)
    file.seek(at + len(BLANK))
    _add(digest, file, None)
    return digest.hexdigest().encode()


def _add(digest: "hashlib._Hash", file: IO[bytes] | pa.NativeFile, count: int | None) -> None:
    """Read `count` bytes, or all remaining ones, into the digest."""
    while count is None or count > 0:
        chunk = file.read(CHUNK_BYTES if count is None else min(count, CHUNK_BYTES))
        if not chunk:
            return
        digest.update(chunk)
        if count is not None:
            count -= len(chunk)
