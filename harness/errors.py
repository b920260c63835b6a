"""Errors that are the user's to mend: one clear line, exit code 2, no traceback."""


class UserError(ValueError):
    """What was given, what was expected and what to do, on one line."""
