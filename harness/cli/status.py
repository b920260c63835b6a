"""`lrlc status`: a study's rows, failures and damage, its running driver, and a search's best suggestions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrlc.harness.cli.options import RESULTS, AsJson, ResultsDir, StudyName
from lrlc.harness.errors import UserError
from lrlc.harness.text import aligned, counted, last_line, print_json, show
from lrlc.harness.usage import finite
from lrlc.results.names import options_name, value_name

if TYPE_CHECKING:
    from lrlc.harness.api.status import StudyStatus
    from lrlc.results.store import Store
    from lrlc.studies import Search

SECONDS_BETWEEN_LOOKS = 5.0


def status(
    study: StudyName,
    seconds: Annotated[
        float | None,
        typer.Argument(
            metavar="[SECONDS]",
            min=0.1,
            callback=finite,
            help="Seconds between updates of --watch; 5 by default.",
        ),
    ] = None,
    results: ResultsDir = RESULTS,
    watch: Annotated[bool, typer.Option("--watch", help="Keep updating until nothing is missing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a study's rows by status, failures, damaged parts, its running driver and a search's best suggestions.

    With --watch [SECONDS], follow the progress until nothing is missing, then show them.
    """
    from lrlc.harness.api.status import status_of
    from lrlc.harness.named_store import existing_store

    if seconds is not None and not watch:
        raise UserError(f"{seconds:g}: a number of seconds goes with --watch")
    if watch:
        _watch(study, results, seconds or SECONDS_BETWEEN_LOOKS)
    store = existing_store(study, results)
    found = status_of(store)
    if as_json:
        print_json(found.as_dict())
    else:
        _show(study, store, found)


def _show(study: str, store: "Store", found: "StudyStatus") -> None:
    from lrlc.results.damage import FOLDER as DAMAGED

    listed = ", ".join(f"{count} {ending}" for ending, count in found.rows.items())
    missing = "" if found.missing is None else f", {found.missing} missing"
    show(f"{store.root}: {listed or 'no rows'}{missing}")
    if found.is_of_pilots:
        show("  these are pilots; the grid's trials are planned once they have ended")
    show(f"  running: {found.driver}" if found.driver else "  no driver is running")
    if found.stale:
        show(f"  {counted(len(found.stale), 'row')} of trials that are no longer in any plan")
    for failure in found.failures:
        ending = failure.status.replace("_", " ")
        show(f"  {ending} {failure.trial_id}: {last_line(str(failure.error))}")
    for each in found.damaged:
        show(
            f"  damaged: {each}; the next `lrlc run {study}` moves it to {DAMAGED}/ and continues without it"
        )
    for path in found.set_aside:
        show(f"  damaged, set aside: {path}")
    if found.best is not None and (record := store.study()) is not None and record.study.search is not None:
        _print_best(found.best, record.study.search)


def _watch(study: str, results: str, seconds: float) -> None:
    """Show the study's progress until nothing is missing; waits for a study that has no tables yet."""
    from rich.console import Console

    from lrlc.harness.cli.watch import watch
    from lrlc.harness.named_store import named_store

    try:
        watch(named_store(study, results), seconds, Console())
    except KeyboardInterrupt:
        raise typer.Exit from None


def _print_best(best: Sequence[dict[str, Any]], search: "Search") -> None:
    if not best:
        kept = " and satisfies the constraints" if search.constraints else ""
        show(f"search: no complete suggestion has a finite {', '.join(search.metrics)}{kept} yet")
        return
    show("search: the best suggestion" if len(best) == 1 else "search: no other suggestion beats these")
    lines = [[name.replace("_", " ") for name in best[0]]]
    lines += [[_shown(name, value) for name, value in record.items()] for record in best]
    for line in aligned(lines):
        show(f"  {line}")


def _shown(name: str, value: Any) -> str:
    if name == "options":
        return options_name(value) or "default"
    if value is None or isinstance(value, tuple | list):
        return "" if value is None else value_name(name, value)
    return (
        f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )
