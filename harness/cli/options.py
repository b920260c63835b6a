"""Arguments and options that several commands share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from lrlc.harness.errors import UserError
from lrlc.results import RESULTS as RESULTS  # re-exported for the commands, beside its option
from lrlc.studies.paths import absolute, expanded


def on_this_machine(path: Path | None) -> Path | None:
    """Callback for a folder that remote workers or later commands must find: expands `~` and makes it absolute."""
    return path if path is None else absolute(path)


def as_written(path: Path | None) -> Path | None:
    """Callback for an option that only this command reads: expands `~` and otherwise keeps the user's spelling."""
    return path if path is None else expanded(path)


def folder_to_write(written: str) -> Path:
    """Parser of a folder for a command's output: expands `~`; UserError if it cannot be a folder."""
    if not written.strip():
        raise UserError("expected a folder")
    folder = expanded(written)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise UserError(f"{there} is not a folder")
    return folder


StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or a shipped study's name.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Settings to change, such as train.epochs=2."),
]
ProfileName = Annotated[str | None, typer.Option("--profile", help="A profile of the study, such as smoke.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
LogTargets = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        metavar="TRACKER:WHERE",
        help="Log to tensorboard:FOLDER, mlflow:URI or wandb:PROJECT too; repeatable.",
    ),
]
MaxInFlight = Annotated[
    int | None, typer.Option("--max-in-flight", min=1, help="Upper bound on simultaneous trials.")
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data", envvar="LRLC_DATA", callback=on_this_machine, help="The folder of data sets."),
]
ResultsDir = Annotated[
    str, typer.Option("--results", help="Where the tables live: a folder, file://... or s3://bucket/prefix.")
]
OutDir = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="PATH",
        parser=folder_to_write,
        help="Where to write; by default beside the tables, or in runs/STUDY if these are not local.",
    ),
]


@dataclass(frozen=True)
class StudyOptions:
    """The study that a command plans or trains, and where its tables and data are."""

    study: StudyName
    overrides: Overrides = None
    profile: ProfileName = None
    results: ResultsDir = RESULTS
    data: DataDir = None


@dataclass(frozen=True)
class SlotOptions:
    """Where trials run, and how many at once."""

    serial: Annotated[bool, typer.Option("--serial", help="In this process, one at a time, without Ray.")] = (
        False
    )
    processes: Annotated[
        int | None, typer.Option(min=1, help="In this many processes on this machine, without Ray.")
    ] = None
    address: Annotated[
        str, typer.Option(help="A Ray cluster; 'local' starts one here, 'auto' joins the one it runs in.")
    ] = "local"
    max_in_flight: MaxInFlight = None
