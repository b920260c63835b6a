"""The commands for writing study files: `lrlc init | schema`."""

import re
from pathlib import Path
from typing import Annotated

import typer

from lrlc.harness.errors import UserError
from lrlc.harness.text import print_json, show

TEMPLATE = Path(__file__).with_name("init.yaml")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def init(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The study's name; its file is NAME.yaml here.")
    ],
) -> None:
    """Write a commented study to start from, which runs on digits in under a minute."""
    from lrlc.studies import shipped_studies

    name = name.removesuffix(".yaml")
    if not NAME.fullmatch(name):
        raise UserError(
            f"{name!r}: expected a name of at most 100 letters, digits, '_', '-' and '.', such as my_study"
        )
    if name in shipped_studies():
        raise UserError(f"{name}: a shipped study has this name, and would share its results; choose another")
    path = Path(f"{name}.yaml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE.read_text("utf-8").replace("NAME", name))
    except FileExistsError:
        raise UserError(f"{path}: already exists; choose another name") from None
    show(f"{path}: `lrlc run {path}` trains it, `lrlc report {path}` writes its report")


def schema() -> None:
    """Print the JSON schema of study files, for completion and checks in editors."""
    from lrlc.harness.plan.catalogue import catalogue
    from lrlc.studies.json_schema import json_schema

    print_json(json_schema(catalogue()))


def register(app: typer.Typer) -> None:
    """Add the commands to `lrlc`."""
    for command in (init, schema):
        app.command()(command)
