"""Errors for wrong use or places that cannot be written, with one line for the user."""

from lrlc.studies.lines import one_line


class StoreError(ValueError):
    """Results could not be read or written; the message says in one line what, where, and what to do."""

    def __init__(self, line: str) -> None:
        super().__init__(one_line(line))


class NoFileError(StoreError):
    """A folder, pipe, device or link loop where a file should be; this is damage, not a refused access."""
