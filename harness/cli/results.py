"""The commands for a study's tables: `lrlc plot | report | claims | compare | export`, without torch or Ray."""

from dataclasses import asdict
from typing import Annotated

import typer

from lrlc.harness.cli.options import RESULTS, AsJson, OutDir, ProfileName, ResultsDir, StudyName
from lrlc.harness.text import print_json, say, show
from lrlc.harness.usage import finite


def plot(
    study: StudyName,
    results: ResultsDir = RESULTS,
    profile: ProfileName = None,
    out: OutDir = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="png, svg or pdf; repeatable; png and svg by default."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Draw only this figure; repeatable.")
    ] = None,
    width: Annotated[
        str | None, typer.Option(metavar="column|text|INCHES", help="How wide figures are, for a paper.")
    ] = None,
    cells: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Only these cells: 'LRLC*' or kind=lrlc,rank=4; repeatable."),
    ] = None,
    names: Annotated[
        bool,
        typer.Option(
            "--list", help="Print the names of all figures, including those of the study's plugins."
        ),
    ] = False,
) -> None:
    """Draw all figures from the tables; given the study's file, also the figures of its plugins.

    The exit code is 1 if a plugin's figure fails.
    """
    from lrlc.harness.named_store import beside, load_plugins, named_store, store_with_rows
    from lrlc.results.figures import draw_all, figure_names

    if names:
        load_plugins(study, named_store(study, results), profile)
        show("\n".join(figure_names()))
        return
    store = store_with_rows(study, results)
    load_plugins(study, store, profile)
    drawn = draw_all(
        store,
        out or beside(store) / "figures",
        formats or ("png", "svg"),
        profile=profile,
        only=only or None,
        cells=cells or (),
        width=width,
    )
    for path in drawn.paths:
        show(str(path))
    for figure, reason in drawn.skipped.items():
        say(f"{figure}: not drawn, {reason}")
    if drawn.broken:
        raise typer.Exit(1)


def report(
    study: StudyName,
    results: ResultsDir = RESULTS,
    profile: ProfileName = None,
    out: OutDir = None,
    form: Annotated[str, typer.Option("--format", help="html, markdown or latex (tables)")] = "html",
) -> None:
    """Write the study's report: one HTML page, Markdown with its figures, or tables for a paper in LaTeX."""
    from lrlc.harness.named_store import beside, load_plugins, siblings, store_with_rows
    from lrlc.results.claims import judge
    from lrlc.results.report import Elsewhere, Format, write_report

    store, chosen = store_with_rows(study, results), Format.named(form)
    load_plugins(study, store, profile)
    out = (out or beside(store)) / chosen.file_name
    judged = judge(store, profile)
    elsewhere = Elsewhere()
    if chosen is not Format.LATEX:  # which has no text beside its tables
        elsewhere = Elsewhere.of(store, profile, judged, lambda: siblings(store, profile))
    show(str(write_report(store, out, profile=profile, form=chosen, verdicts=judged, elsewhere=elsewhere)))


def claims(
    studies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STUDY]...",
            help="Study files or names; without any, all under --results that claim the talk's statements.",
        ),
    ] = None,
    results: ResultsDir = RESULTS,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Judge the claims of studies as last run: supported, contradicted, undecided or out of regime, and why.

    Claims of several studies share one correction; a table of verdicts by data set comes first.
    """
    from lrlc.harness.cli import claims as claims_cli
    from lrlc.harness.named_store import recorded_stores, stores_of_each_study
    from lrlc.results.claims import TALK, judge_together

    named = recorded_stores(studies or (), results, profile)
    stores = named or stores_of_each_study(results, profile)
    judged = judge_together(stores, profile, only=() if named else TALK)
    if as_json:
        print_json(claims_cli.as_json(judged))
    elif not judged:
        show(f"{', '.join(studies or [results])}: no claims to judge; see docs/claims.md")
    else:
        verdicts = claims_cli.by_dataset(judged) if len(named) != 1 else []
        better = claims_cli.better_settings_of(judged, stores, profile)
        awaited = claims_cli.awaited_rows_of(judged, stores, profile)
        show("\n".join([*verdicts, *claims_cli.shown(judged), *better, *awaited]))


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A study's folder or name, or a CSV file.")],
    second: Annotated[
        str, typer.Argument(metavar="B", help="Another one, such as published numbers in a CSV file.")
    ],
    results: ResultsDir = RESULTS,
    margin: Annotated[
        float | None,
        typer.Option(min=0, callback=finite, help="Differences, in points, that do not matter in practice."),
    ] = None,
    any_regime: Annotated[
        bool, typer.Option("--any-regime", help="Also judge networks known to be out of regime.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare two result sets cell by cell: two commits, two machines, or yours and published numbers."""
    from lrlc.harness.cli import compare as compare_cli
    from lrlc.results.claims.compare import compare as compare_sets
    from lrlc.results.claims.compare import unknown

    sets = [compare_cli.result_set(named, results) for named in (first, second)]
    rows = [each.rows for each in sets]
    regimes = (unknown, unknown) if any_regime else (sets[0].regimes, sets[1].regimes)
    compared = compare_sets(*rows, margin=margin, regimes=regimes)
    if as_json:
        print_json([asdict(cell) for cell in compared])
    else:
        show("\n".join(compare_cli.shown(compared, *rows)))


def export(
    study: StudyName,
    to: Annotated[str, typer.Option(help="csv, parquet or duckdb")] = "csv",
    results: ResultsDir = RESULTS,
    out: OutDir = None,
) -> None:
    """Write the tables as plain files for other tools."""
    from lrlc.harness.named_store import beside, store_with_rows
    from lrlc.results.export import export_tables

    store = store_with_rows(study, results)
    for path in export_tables(store, out or beside(store) / "export", to):
        show(str(path))


def register(app: typer.Typer) -> None:
    """Add the commands to `lrlc`."""
    for command in (plot, report, claims, compare, export):
        app.command()(command)
