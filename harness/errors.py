"""Errors that are the user's to mend: one clear line, exit code 2, no traceback."""

from lrlc.studies.lines import one_line


class UserError(ValueError):
    """What was given, what was expected and what to do, on one line."""

    def __init__(self, line: str) -> None:
        super().__init__(one_line(line))


def first_line(error: BaseException) -> str:
    """What a library's error says, on one line."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
