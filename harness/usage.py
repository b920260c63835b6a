"""A command line that no command takes, in one line: what is wrong with it, and where to read what is right."""

import math

import typer


def finite(value: float | None) -> float | None:
    """For every option and argument that is a number with a point: neither infinite nor NaN."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no finite number")
    return value


def fault(error: typer.TyperException) -> str | None:
    """The line; None for a command that was called alone, for which its help has been shown."""
    said = " ".join(error.format_message().split()).rstrip(".")
    if not said:
        return None
    context = getattr(error, "ctx", None)
    command = "lrlc" if context is None else context.command_path
    return f"{said[0].lower()}{said[1:]}; `{command} --help` says what it takes"
