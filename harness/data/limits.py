"""Limits on the size of unpacked data, as a few kilobytes of zeros can unpack to gigabytes."""

from collections.abc import Iterable
from pathlib import Path

from lrlc.harness.data.errors import DataError

MOST_PIXELS = 1 << 26
"""Pixels of one image before it is cropped or shrunk (8192x8192). ImageNet's largest has 36 million."""

MOST_ENCODED_BYTES = 1 << 28
"""Bytes of one image file."""

MOST_IDX_BYTES = 1 << 29
"""Bytes of an unpacked IDX file: ten times MNIST's training images."""

FREE_BYTES, MOST_EXPANSION = 1 << 30, 1000
"""Upper bound on how many times larger than their files data over 1 GiB may be. PNGs of line drawings reach 100."""


def check_expansion(what: str, unpacked: int, files: Iterable[Path]) -> None:
    """DataError if `files` are far too small for `unpacked` bytes of images."""
    if unpacked <= FREE_BYTES:
        return
    stored = sum(map(_stored, files))
    if unpacked > stored * MOST_EXPANSION:
        raise DataError(
            f"{what} would unpack to {unpacked / 2**30:.1f} GiB from {stored:,} bytes of files; "
            f"data over 1 GiB may grow {MOST_EXPANSION:,} times at most"
        )


def _stored(path: Path) -> int:
    """Bytes of a file, or of all files directly in a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(child.stat().st_size for child in path.iterdir() if child.is_file())
