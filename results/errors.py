"""Errors for wrong use or places that cannot be written, with one line for the user."""

from lrlc.studies.lines import one_line


class StoreError(ValueError):
    """What could not be read or written, where, and what to do; the message is one line."""

    def __init__(self, line: str) -> None:
        super().__init__(one_line(line))


class NoFileError(StoreError):
    """A folder, pipe, device or link loop where a file should be; this is damage, not a refused access."""
