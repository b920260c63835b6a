"""This machine's cache folder, with decoded data, compiled kernels and measured choices of kernels."""

import os
from pathlib import Path


class NoCacheFolderError(OSError):
    """No variable names a cache folder and the user has no home folder; the message is one line for the user."""


def cache_dir() -> Path:
    """LRLC_CACHE, or lrlc-bench in the user's cache folder (XDG_CACHE_HOME, else ~/.cache); it need not exist.

    Always absolute. Raises NoCacheFolderError.
    """
    given = os.environ.get("LRLC_CACHE")
    place = given or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "lrlc-bench")
    home = os.path.expanduser(place)
    if home == place and (place == "~" or place.startswith("~/")):
        raise NoCacheFolderError(
            "no home folder is known (HOME is not set); set LRLC_CACHE to a writable folder"
        )
    return Path(home).absolute()
