"""User errors: one clear line, exit code 2, no traceback."""

from lrlc.studies.lines import one_line


class UserError(ValueError):
    """A user error; its message says in one line what was given, what was expected and what to do."""

    def __init__(self, line: str) -> None:
        super().__init__(one_line(line))


def first_line(error: BaseException) -> str:
    """A library's error message, on one line."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
