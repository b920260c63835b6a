"""Errors about data sets, in one line for the user."""

from pathlib import Path

from lrlc.harness.errors import UserError


class DataError(UserError):
    """A fault in a data set; the message names the data set or file, what is wrong with it and what to do."""


def missing(folder: Path, looked_for: str) -> DataError:
    """The error for a folder, DATA/name, without the files of the data set."""
    return DataError(
        f"{folder.name}: found neither {looked_for} in {folder}; "
        f"`lrlc data fetch {folder.name}` gets it or says what to put there"
    )
