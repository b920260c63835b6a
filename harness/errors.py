"""Errors that are the user's to mend: one clear line, exit code 2, no traceback."""


class UserError(ValueError):
    """What was given, what was expected and what to do, on one line."""


def first_line(error: BaseException) -> str:
    """What a library's error says, on one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
