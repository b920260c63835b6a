"""The commands about this installation: `lrlc list | doctor`."""

from collections.abc import Collection

import typer

from lrlc.harness.cli.options import AsJson, DataDir
from lrlc.harness.text import print_json, show
from lrlc.studies.fields import OFF
from lrlc.studies.training import CROSS_ENTROPY, NOUNS


def list_names(as_json: AsJson = False) -> None:
    """List shipped studies, layer kinds, networks, data sets, and names for `train`, such as optimizers."""
    from lrlc.harness.plan.catalogue import catalogue
    from lrlc.harness.plugins import load_installed
    from lrlc.layers.libraries import LIBRARIES
    from lrlc.studies import shipped_studies, study_title

    load_installed()
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
                "training": {key: list(_trains_with(key, names)) for key, names in known.training.items()},
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
        f"networks\n  {own}\n  from libraries, by their names there: {', '.join(f'{name}/...' for name in LIBRARIES)}"
    )
    show("data sets\n  " + ", ".join(sorted(known.datasets)))
    for key, names in known.training.items():
        show(f"{NOUNS.get(key, key)}s (train.{key})\n  {', '.join(_trains_with(key, names))}")


def _trains_with(key: str, names: Collection[str]) -> tuple[str, ...]:
    """The names allowed for a key of `train`, including the one for none."""
    without = {"augment": OFF, "recipe": CROSS_ENTROPY}
    return (*([without[key]] if key in without else []), *sorted(names))


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
