"""What is wrong with a data set, in one line for the user."""

from pathlib import Path

from lrlc.harness.errors import UserError


class DataError(UserError):
    """Which data set or file, what is wrong with it and what to do."""


def missing(folder: Path, looked_for: str) -> DataError:
    """The error for a folder, DATA/name, without files from which the data set can be read."""
    return DataError(
        f"{folder.name}: found neither {looked_for} in {folder}; "
        f"`lrlc data fetch {folder.name}` gets it or says what to put there"
    )
