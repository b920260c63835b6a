"""Files in an S3 bucket: an object appears complete when its upload ends, and immediately in listings.

S3 has no rename and pyarrow no conditional put, so an existing name would be overwritten; names of parts are therefore
unique. Output is buffered first, so that a writer's error never completes a partial upload.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

import pyarrow as pa
from pyarrow import fs

from lrlc.results.errors import StoreError
from lrlc.results.places import Write

SPOOL_BYTES = 64 * 2**20
"""Output larger than this goes to a temporary file before its upload."""

CHUNK_BYTES = 4 * 2**20
READS = 3
BROKEN_OFF = "Failed to flush response stream"
"""The AWS SDK's message for a transfer whose object has changed."""

_AWS_ERROR = re.compile(
    r"AWS Error (\w+)(?: \(.*?\))? during \w+ operation: (.*?)(?: \(Request ID.*)?$", re.DOTALL
)
_ADVICE = {
    "NO_SUCH_BUCKET": "there is no such bucket",
    "NETWORK_CONNECTION": "the endpoint cannot be reached",
    "ACCESS_DENIED": "access denied; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "INVALID_ACCESS_KEY_ID": "unknown access key; check AWS_ACCESS_KEY_ID",
    "SIGNATURE_DOES_NOT_MATCH": "wrong secret key; check AWS_SECRET_ACCESS_KEY",
}


@dataclass(frozen=True)
class ObjectStore:
    """A bucket as a place for results (see results.places.Files); a path is bucket/key."""

    arrow: fs.FileSystem
    parallel_reads: int = 16

    def shown(self, path: str) -> str:
        return f"s3://{path}"

    def names(self, folder: str) -> list[str]:
        with self._told(folder, "read"):
            try:
                found = self.arrow.get_file_info(fs.FileSelector(folder))
            except FileNotFoundError:
                return []
        return [entry.base_name for entry in found]

    def has(self, folder: str) -> bool:
        with self._told(folder, "read"):
            try:
                return bool(self.arrow.get_file_info(fs.FileSelector(folder)))
            except FileNotFoundError:
                return False

    def read(self, path: str) -> bytes:
        """Retries if the object was replaced or deleted meanwhile, which interrupts a transfer."""
        with self._told(path, "read"):
            for _ in range(READS - 1):
                try:
                    return self._read_once(path)
                except OSError as error:
                    if BROKEN_OFF not in str(error):
                        raise
            return self._read_once(path)

    def _read_once(self, path: str) -> bytes:
        with self.arrow.open_input_stream(path) as file:
            return cast(bytes, file.read())

    def write(self, path: str, write: Write, *, replace: bool) -> None:
        """Always replaces; files that must not be replaced have unique names."""
        with self._told(path, "write"), tempfile.SpooledTemporaryFile(SPOOL_BYTES) as gathered:
            write(cast(BinaryIO, gathered))
            gathered.seek(0)
            with ThreadPoolExecutor(
                1
            ) as thread:  # where Ctrl-C cannot end an upload half-way as if it were complete
                thread.submit(self._upload, gathered, path).result()

    def remove(self, path: str) -> None:
        with self._told(path, "delete"), suppress(FileNotFoundError):
            self.arrow.delete_file(path)

    def move(self, path: str, to: str) -> None:
        with self._told(path, "move"), suppress(FileNotFoundError):
            self.arrow.move(path, to)

    def modified_at(self, path: str) -> float | None:
        with self._told(path, "read"):
            found = self.arrow.get_file_info(path)
        return found.mtime.timestamp() if found.mtime else None

    def signature(self, path: str) -> object | None:
        """The name: an object is written only once under a given name, and the bucket protects its content."""
        return path

    def remove_abandoned(self, folder: str, older_than_seconds: float, now: float) -> None:
        """Nothing to do: the bucket's lifecycle rules delete unfinished uploads."""

    def refusal(self, error: Exception) -> str | None:
        return _refusal(error)

    def _upload(self, gathered: IO[bytes], path: str) -> None:
        with self.arrow.open_output_stream(path) as upload:
            shutil.copyfileobj(gathered, upload, CHUNK_BYTES)

    @contextmanager
    def _told(self, path: str, doing: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException) as error:
            reason = _refusal(error) or " ".join(str(error).split())
            raise StoreError(f"cannot {doing} {self.shown(path)}: {reason}") from error


def open_s3(uri: str) -> tuple[ObjectStore, str]:
    """The bucket in `s3://bucket/prefix?option=value`, with pyarrow's options, and the path in it."""
    one_put = "" if "allow_delayed_open=" in uri else ("&" if "?" in uri else "?") + "allow_delayed_open=true"
    try:  # with late opening, a small object takes one request instead of three
        filesystem, path = fs.FileSystem.from_uri(uri + one_put)
    except (pa.ArrowException, OSError) as error:
        reason = _refusal(error) or " ".join(str(error).split())
        raise StoreError(f"{_without_secrets(uri)}: {reason}") from error
    if not path:
        raise StoreError(f"{uri}: names no bucket; expected s3://bucket/prefix")
    return ObjectStore(filesystem), path.rstrip("/")


def _without_secrets(uri: str) -> str:
    return re.sub("//[^/]*@", "//", uri.partition("?")[0])


def _refusal(error: Exception) -> str | None:
    """S3's error in one line; None if the error is not from S3."""
    told = _AWS_ERROR.search(str(error))
    if told is None:
        return None
    code, message = told[1], " ".join(told[2].split())
    return f"{_ADVICE[code]} ({message})" if code in _ADVICE else f"{message} ({code})"
