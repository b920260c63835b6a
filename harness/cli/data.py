"""`lrlc data list | check | fetch | pack`."""

from pathlib import Path
from typing import Annotated

import typer

from lrlc.harness.cli.options import AsJson, DataDir, Overrides, ProfileName, StudyName, as_written
from lrlc.harness.errors import UserError
from lrlc.harness.text import print_json, show

data_app = typer.Typer(help="List, check and fetch data sets.", no_args_is_help=True)


@data_app.command("list")
def data_list(data: DataDir = None, as_json: AsJson = False) -> None:
    """List the known data sets and which are available here."""
    from lrlc.harness.data import describe_datasets

    found = describe_datasets(data)
    if as_json:
        print_json([entry.as_dict() for entry in found])
        return
    for entry in found:
        show(f"{entry.name:16}{entry.summary()}")


@data_app.command("check")
def data_check(name: Annotated[str, typer.Argument(metavar="NAME")], data: DataDir = None) -> None:
    """Decode a whole data set and report its counts, balance and digest."""
    from lrlc.harness.data import check

    show(check(name, data))


@data_app.command("fetch")
def data_fetch(name: Annotated[str, typer.Argument(metavar="NAME")], data: DataDir = None) -> None:
    """Download a data set from its hub at a pinned revision."""
    from lrlc.harness.data.fetch import fetch

    if data is None:
        raise UserError("--data: name the folder to put it in, or set LRLC_DATA")
    show(str(fetch(name, data)))


@data_app.command("pack")
def data_pack(
    study: StudyName,
    out: Annotated[
        Path,
        typer.Option("--out", callback=as_written, help="The folder to write; pass it as --data there."),
    ],
    overrides: Overrides = None,
    profile: ProfileName = None,
    data: DataDir = None,
) -> None:
    """Write a study's data sets, decoded, into a folder for a machine without the original files."""
    from lrlc.harness.data import pack_dataset
    from lrlc.harness.plan.catalogue import open_study
    from lrlc.harness.plan.planning import studied_datasets

    for spec in studied_datasets(open_study(study, profile=profile, overrides=overrides or [])):
        show(str(pack_dataset(spec, data, out)))
