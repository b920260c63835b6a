"""The commands for machines without a network: `lrlc bundle | adopt`."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrlc.harness.cli.options import RESULTS, AsJson, DataDir, ProfileName, ResultsDir, as_written
from lrlc.harness.errors import UserError
from lrlc.harness.text import counted, print_json, say, show

if TYPE_CHECKING:
    from lrlc.results.adopting import Adopted

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}
SMALLEST_PART = 10**6


def bundle(
    studies: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY [KEY=VALUE]...",
            help="Study files or shipped studies' names, each followed by settings to change in it.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", callback=as_written, help="The folder to write; it must not exist yet.")
    ],
    profile: ProfileName = None,
    data: DataDir = None,
    platform: Annotated[
        str | None, typer.Option(help="linux-x86_64 or linux-aarch64; by default this machine's.")
    ] = None,
    python: Annotated[
        str | None, typer.Option(help="The Python version there, such as 3.12; by default this one's.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Cut into parts of at most this size, such as 60MB, for transfer.")
    ] = None,
    without_ray: Annotated[
        bool, typer.Option("--without-ray", help="Leave out Ray, which run.sh does not need.")
    ] = False,
    without_torch: Annotated[
        bool, typer.Option("--without-torch", help="Leave out torch, and use the one installed there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write studies with their data and dependencies into a folder that runs on a machine without a network."""
    from lrlc.harness.bundle.build import SCRIPT, size, write_bundle
    from lrlc.harness.bundle.bundled_studies import needed_extras, open_all
    from lrlc.harness.bundle.wheels import Target, this_machine

    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    target = Target(platform or this_machine(), python or here, not without_torch)
    part_bytes = _bytes(split) if split else None
    asked = open_all(studies, profile)
    extras = (*needed_extras(asked), *(() if without_ray else ("ray",)))
    target = replace(target, extras=extras)
    facts = write_bundle(out, asked, target, data, part_bytes)
    if as_json:
        names = [study.name for study in facts.studies]
        print_json({"bundle": str(out), "bytes": size(out), "studies": names, "parts": list(facts.parts)})
        return
    parts = f", in {counted(len(facts.parts), 'part')}" if facts.parts else ""
    show(f"{out}: {size(out) / 1e6:,.0f} MB{parts}; there: sh {SCRIPT} --help")


def adopt(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="A bundle that has run, or another results folder."),
    ],
    results: ResultsDir = RESULTS,
    as_json: AsJson = False,
) -> None:
    """Merge tables made elsewhere with those here; exit code 1 if some of them are damaged."""
    from lrlc.harness.bundle.adoption import adopt_folder
    from lrlc.harness.named_store import place_to_write

    found = list(adopt_folder(as_written(folder) or folder, place_to_write(results)))
    if as_json:
        print_json([_as_dict(each) for each in found])
    else:
        for each in found:
            _show(each)
    if any(each.damaged for each in found):
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the commands to `lrlc`."""
    for command in (bundle, adopt):
        app.command()(command)


def _show(adopted: "Adopted") -> None:
    known = f", {adopted.known} already known" if adopted.known else ""
    show(f"{adopted.target.root}: {counted(len(adopted.joined), 'trial')} added{known}")
    for each in adopted.damaged:
        say(f"damaged, not merged: {each}; copy it again, or train its trials here")
    for profile in adopted.kept_plans:
        say(f"profile {profile}: planned differently there; the plan here is kept")


def _as_dict(adopted: "Adopted") -> dict[str, object]:
    return {
        "study": adopted.target.root.name,
        "joined": sorted(adopted.joined),
        "known": adopted.known,
        "damaged": [str(each) for each in adopted.damaged],
        "kept_plans": list(adopted.kept_plans),
    }


def _bytes(size: str) -> int:
    """'60MB' as a number of bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]B)", size, re.IGNORECASE)
    count = int(float(found[1]) * UNITS[found[2].upper()]) if found else 0
    if count < SMALLEST_PART:
        raise UserError(f"--split {size}: expected a size of at least 1MB, such as 60MB or 1.5GB")
    return count
