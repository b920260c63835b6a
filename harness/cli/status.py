"""`lrlc status`: a study's rows, failures and damage, who runs it, and a search's best suggestions."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrlc.harness.cli.options import RESULTS, AsJson, ResultsDir, StudyName
from lrlc.harness.errors import UserError
from lrlc.harness.text import aligned, counted, last_line, print_json, show

if TYPE_CHECKING:
    from lrlc.results.store import Store
    from lrlc.studies import Search

SECONDS_BETWEEN_LOOKS = 5.0


def status(
    study: StudyName,
    seconds: Annotated[
        float | None,
        typer.Argument(metavar="[SECONDS]", min=0.1, help="How often --watch looks; 5 if not said."),
    ] = None,
    results: ResultsDir = RESULTS,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until nothing is missing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a study's rows by status, its failures, damaged parts, who runs it and a search's best suggestions.

    With --watch [SECONDS] it goes on until nothing is missing, then shows them.
    """
    from lrlc.harness.cli.named_store import existing_store
    from lrlc.harness.run.lease import running_driver
    from lrlc.results.damage import FOLDER
    from lrlc.results.schema import BROKEN

    if seconds is not None and not watch:
        raise UserError(f"{seconds:g}: a number of seconds goes with --watch")
    if watch:
        _watch(study, results, seconds or SECONDS_BETWEEN_LOOKS)
    store = existing_store(study, results)
    driver = running_driver(store.root)
    rows = store.trials()
    planned = store.staged_plan()
    missing = len(planned.trial_ids - set(rows["trial_id"])) if planned is not None else None
    unplanned = store.unplanned()
    is_failure = rows["status"].isin([str(ending) for ending in BROKEN]) & ~rows["trial_id"].isin(unplanned)
    failures = rows.loc[is_failure, ["trial_id", "status", "error"]]
    damaged = store.damaged()
    aside = [str(path) for path in store.set_aside()]
    asked = store.study()
    best = _best(store, asked.study.search) if asked is not None and asked.study.search else None
    if as_json:
        failed = failures.to_dict("records")
        found: dict[str, Any] = {
            "rows": store.counts(),
            "missing": missing,
            "failures": failed,
            "unplanned": sorted(unplanned),
            "damaged": [str(each.path) for each in damaged],
            "set_aside": aside,
            "driver": driver.as_dict() if driver else None,
        }
        print_json(found if best is None else {**found, "best": best})
        return
    listed = ", ".join(f"{count} {ending}" for ending, count in store.counts().items())
    show(f"{store.root}: {listed or 'no rows'}" + (f", {missing} missing" if missing is not None else ""))
    if planned is not None and planned.is_of_pilots:
        show("  these are pilots; the grid's trials are planned when they have ended")
    show(f"  running: {driver}" if driver else "  no driver is running")
    if unplanned:
        show(f"  {counted(len(unplanned), 'row')} of trials that no plan asks for any more")
    for row in failures.itertuples():
        ending = str(row.status).replace("_", " ")
        show(f"  {ending} {row.trial_id}: {last_line(str(row.error))}")
    for each in damaged:
        show(f"  damaged: {each}; the next `lrlc run {study}` moves it to {FOLDER}/ and goes on without it")
    for path in aside:
        show(f"  set aside, was damaged: {path}")
    if best is not None:
        _print_best(best)


def _watch(study: str, results: str, seconds: float) -> None:
    """Show the study's progress until nothing is missing; one that has no tables yet is waited for."""
    from rich.console import Console

    from lrlc.harness.cli.named_store import named_store
    from lrlc.harness.cli.watch import watch

    try:
        watch(named_store(study, results), seconds, Console())
    except KeyboardInterrupt:
        raise typer.Exit from None


def _best(store: "Store", search: "Search") -> list[dict[str, Any]]:
    from lrlc.results.pareto import as_records, best

    return as_records(best(store.planned_trials(), search), search)


def _print_best(best: list[dict[str, Any]]) -> None:
    if not best:
        show("search: no suggestion with all its seeds finished keeps the constraints yet")
        return
    show("search: the best suggestion" if len(best) == 1 else "search: no other suggestion beats these")
    lines = [[name.replace("_", " ") for name in best[0]]]
    lines += [[_shown(value) for value in record.values()] for record in best]
    for line in aligned(lines):
        show(f"  {line}")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return (
        f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )
