"""The commands about this installation: `lrlc list | doctor`."""

import typer

from lrlc.harness.cli.options import AsJson, DataDir
from lrlc.harness.text import print_json, show


def list_names(as_json: AsJson = False) -> None:
    """List shipped studies, layer kinds, networks and data sets."""
    from lrlc.harness.plan.catalogue import catalogue
    from lrlc.layers.libraries import LIBRARIES
    from lrlc.studies import shipped_studies, study_title

    known = catalogue()
    studies = {name: study_title(path) for name, path in shipped_studies().items()}
    if as_json:
        print_json(
            {
                "studies": studies,
                "kinds": sorted(known.kinds),
                "options": {
                    kind: {name: dict(option.schema) for name, option in taken.items()}
                    for kind, taken in known.options.items()
                },
                "networks": sorted(known.networks),
                "datasets": sorted(known.datasets),
            }
        )
        return
    show("studies")
    for name, title in studies.items():
        show(f"  {name:28}{title}")
    show("layer kinds, each with its options (layer.NAME in a study)")
    for kind, ranked in known.kinds.items():
        show(
            f"  {f'{kind} (ranked)' if ranked else kind:30}{', '.join(known.options.get(kind, ()))}".rstrip()
        )
    own = ", ".join(f"{n} ({p} placements)" for n, p in known.networks.items())
    show(
        f"networks\n  {own}\n  of libraries by their names there: {', '.join(f'{name}/...' for name in LIBRARIES)}"
    )
    show("data sets\n  " + ", ".join(sorted(known.datasets)))


def doctor(data: DataDir = None, as_json: AsJson = False) -> None:
    """Check this machine: packages, devices, Ray, data, cache and disk."""
    from lrlc.harness.cli.doctor import examine

    findings = examine(data)
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            show(f"{'ok  ' if finding.ok else 'look'} {finding.what}: {finding.found}")
    if any(finding.blocking for finding in findings):
        raise typer.Exit(1)
