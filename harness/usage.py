"""One-line messages for a wrong command line: what is wrong, and where the correct usage is described."""

import math

import typer
from pydantic import ValidationError

from lrlc.studies.errors import expectation


def finite(value: float | None) -> float | None:
    """Check that a floating-point option or argument is neither infinite nor NaN."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value


def fault(error: typer.TyperException) -> str | None:
    """The message; None for a command called without arguments, whose help has already been shown."""
    if isinstance(error.__cause__, ValidationError) and isinstance(error, typer.BadParameter):
        error.message = expectation(error.__cause__)
    said = " ".join(error.format_message().split()).rstrip(".")
    if not said:
        return None
    context = getattr(error, "ctx", None)
    command = "lrlc" if context is None else context.command_path
    return f"{said[0].lower()}{said[1:]}; see `{command} --help`"
