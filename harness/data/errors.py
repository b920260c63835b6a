"""What is wrong with a data set, in one line for the user."""

from harness.errors import UserError


class DataError(UserError):
    """Which data set or file, what is wrong with it and what to do."""
