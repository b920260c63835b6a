"""The command line: `lrlc plan | run | retry | status` a study, `plot | report | claims | compare | export` its tables,
`submit | jobs | logs | stop` on a cluster; `init | schema | data | list | doctor | bench`.

Commands import what they need when they run: plotting needs no torch, and only Ray's own commands need Ray.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrlc import __version__
from lrlc.harness.bench.cli import bench_app
from lrlc.harness.cli import jobs as jobs_cli
from lrlc.harness.cli import results as results_cli
from lrlc.harness.cli import study_files as study_files_cli
from lrlc.harness.cli.options import (
    RESULTS,
    AsJson,
    DataDir,
    MaxInFlight,
    Overrides,
    ProfileName,
    ResultsDir,
    StudyName,
    as_written,
)
from lrlc.harness.cli.outcome import explained, in_utf8
from lrlc.harness.errors import UserError
from lrlc.harness.text import aligned, counted, duration, last_line, print_json, say, show

if TYPE_CHECKING:
    from lrlc.harness.run.session import RunSession, Slots
    from lrlc.results.store import Store
    from lrlc.studies import Search

app = typer.Typer(
    name="lrlc",
    help="Is convolution the right inductive bias? Run, resume and plot ablation studies of layers that relax it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="List, check and fetch data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(bench_app, name="bench")


def _print_version(asked: bool) -> None:
    if asked:
        print(f"lrlc {__version__}")
        raise typer.Exit


Serial = Annotated[bool, typer.Option("--serial", help="In this process, one at a time, without Ray.")]
Processes = Annotated[
    int | None, typer.Option(min=1, help="In as many processes of this machine, without Ray.")
]
Address = Annotated[
    str, typer.Option(help="A Ray cluster; 'local' starts one here, 'auto' joins the one it runs in.")
]

Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
]

SECONDS_BETWEEN_LOOKS = 5.0


@app.callback()
def before_commands(version: Version = False) -> None:
    """Options of `lrlc` itself."""


@app.command()
def plan(
    study: StudyName,
    overrides: Overrides = None,
    profile: ProfileName = None,
    results: ResultsDir = RESULTS,
    data: DataDir = None,
    probe: Annotated[bool, typer.Option(help="Time a few batches where no past row tells.")] = True,
    as_json: AsJson = False,
) -> None:
    """Show what a run would train, what is done, and how long the rest will take."""
    from lrlc.harness.run.session import plan_study

    summary = plan_study(study, overrides or [], profile, results, data, probe=probe)
    if as_json:
        print_json(summary.as_dict())
        return
    show(
        f"{summary.study}: {summary.grid_trials} trials in the grid, {summary.done} done, {summary.missing} missing"
    )
    if summary.pilots:
        show(f"tuning: {counted(summary.pilots, 'pilot')} before the grid, {summary.pilots_missing} missing")
    if summary.untuned:
        show(
            f"{counted(summary.untuned, 'trial')} of the grid, shown untuned, will take what the pilots choose"
        )
    if summary.length_trials:
        trials = counted(summary.length_trials, "trial")
        show(f"length check: {trials} with fewer epochs, {summary.length_missing} missing")
    if summary.lent:
        show(f"{counted(summary.lent, 'trial')} of those done will be taken from other studies' tables")
    if summary.search_suggestions:
        show(f"search: {summary.search_answered} of {summary.search_suggestions} suggestions have rows")
    for cell in summary.cells:
        show(f"  {cell}")
    if summary.forecast_seconds is not None:
        show(
            f"about {duration(summary.forecast_seconds)} left on one slot "
            f"({summary.from_rows} trials forecast from past rows, {summary.from_probes} from timed batches)"
        )


@app.command()
def run(
    study: StudyName,
    overrides: Overrides = None,
    profile: ProfileName = None,
    results: ResultsDir = RESULTS,
    data: DataDir = None,
    serial: Serial = False,
    processes: Processes = None,
    address: Address = "local",
    max_in_flight: MaxInFlight = None,
    until_decided: Annotated[
        bool,
        typer.Option("--until-decided", help="Add seeds, at the study's looks, while claims are undecided."),
    ] = False,
    budget_hours: Annotated[
        float | None, typer.Option(min=0, help="With --until-decided: start no further look after this long.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train what is missing. Running a study again resumes it."""
    from lrlc.harness.run.phases import phases
    from lrlc.harness.run.session import open_run
    from lrlc.harness.run.until_decided import looks_at

    if budget_hours is not None and not until_decided:
        raise UserError("--budget-hours goes with --until-decided")
    session = open_run(study, overrides or [], profile, results, data)
    sessions = looks_at(session, budget_hours) if until_decided else phases(session)
    _run(sessions, slots=_slots(serial, processes, address, max_in_flight), as_json=as_json)


@app.command()
def retry(
    study: StudyName,
    overrides: Overrides = None,
    profile: ProfileName = None,
    results: ResultsDir = RESULTS,
    data: DataDir = None,
    serial: Serial = False,
    processes: Processes = None,
    address: Address = "local",
    max_in_flight: MaxInFlight = None,
    failed: Annotated[bool, typer.Option("--failed", help="Those that an error stopped.")] = False,
    timed_out: Annotated[bool, typer.Option("--timed-out", help="Those that met their time limit.")] = False,
    out_of_memory: Annotated[bool, typer.Option("--out-of-memory", help="Those without enough.")] = False,
    as_json: AsJson = False,
) -> None:
    """Like run, and train again the grid's trials that failed: all of them, or those that are named."""
    from lrlc.harness.run.phases import phases
    from lrlc.harness.run.session import open_run
    from lrlc.results.schema import BROKEN, TrialStatus

    named = {
        TrialStatus.FAILED: failed,
        TrialStatus.TIMED_OUT: timed_out,
        TrialStatus.OUT_OF_MEMORY: out_of_memory,
    }
    again = [status for status, asked in named.items() if asked] or BROKEN
    session = open_run(study, overrides or [], profile, results, data, retry=again)
    _run(phases(session), slots=_slots(serial, processes, address, max_in_flight), as_json=as_json)


def _slots(serial: bool, processes: int | None, address: str, max_in_flight: int | None) -> "Slots":
    from lrlc.harness.run.session import Slots

    if serial and processes:
        raise UserError("give either --serial or --processes")
    if (serial or processes) and address != "local":
        raise UserError(f"--address {address} is a Ray cluster's; leave out --serial and --processes")
    return Slots(serial, processes, address, max_in_flight)


def _run(
    sessions: "Iterator[RunSession]",
    *,
    slots: "Slots",
    as_json: bool,
) -> None:
    """Run each to its end or to Ctrl-C or SIGTERM (exit code 130 or 143), then say what the table holds.

    The exit code is 1 where a trial of the plan has failed.
    """
    from lrlc.harness.cli.interrupts import Stopped, stoppable
    from lrlc.results.store import DEFAULT_PROFILE

    stopped: Stopped | None = None
    for session in sessions:
        executor = session.executor(slots)
        say(session.headline())
        try:
            with stoppable(executor, in_process=slots.serial) as guarded:
                session.run(guarded)
        except Stopped as stop:
            stopped = stop
            break
    counts = session.store.counts()
    if as_json:
        print_json({"study": session.study.name, "results": str(session.store.root), "rows": counts})
    else:
        listed = ", ".join(f"{count} {status}" for status, count in counts.items())
        show(f"{session.store.root}: {listed or 'no rows'}")
    if stopped:
        say("stopped; finished trials are kept, the same command goes on")
        raise typer.Exit(stopped.exit_code)
    if failed := len(session.store.broken_trials(session.profile or DEFAULT_PROFILE)):
        those = "those of the grid" if session.study.search else "them"
        say(f"{counted(failed, 'trial')} failed: `lrlc status` shows why, `lrlc retry` trains {those} again")
        raise typer.Exit(1)


@app.command()
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


@app.command(name="list")
def list_names(as_json: AsJson = False) -> None:
    """List shipped studies, layer kinds, networks and data sets."""
    from lrlc.harness.plan.catalogue import catalogue
    from lrlc.studies import shipped_studies, study_title

    known = catalogue()
    studies = {name: study_title(path) for name, path in shipped_studies().items()}
    if as_json:
        print_json(
            {
                "studies": studies,
                "kinds": sorted(known.kinds),
                "networks": sorted(known.networks),
                "datasets": sorted(known.datasets),
            }
        )
        return
    show("studies")
    for name, title in studies.items():
        show(f"  {name:28}{title}")
    show("layer kinds\n  " + ", ".join(f"{k} (ranked)" if ranked else k for k, ranked in known.kinds.items()))
    show("networks\n  " + ", ".join(f"{n} ({p} placements)" for n, p in known.networks.items()))
    show("data sets\n  " + ", ".join(sorted(known.datasets)))


@app.command()
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


@data_app.command("list")
def data_list(data: DataDir = None, as_json: AsJson = False) -> None:
    """List the known data sets and which are at hand."""
    from lrlc.harness.data import describe_datasets

    found = describe_datasets(data)
    if as_json:
        print_json([entry.as_dict() for entry in found])
        return
    for entry in found:
        show(f"{entry.name:16}{entry.summary()}")


@data_app.command("check")
def data_check(name: Annotated[str, typer.Argument(metavar="NAME")], data: DataDir = None) -> None:
    """Decode a data set whole and report its counts, balance and digest."""
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
        typer.Option("--out", callback=as_written, help="The folder to write; name it with --data there."),
    ],
    overrides: Overrides = None,
    profile: ProfileName = None,
    data: DataDir = None,
) -> None:
    """Write a study's data sets, decoded, into a folder for a machine that has not their files."""
    from lrlc.harness.data import pack_dataset
    from lrlc.harness.plan.catalogue import open_study
    from lrlc.harness.plan.planning import studied_datasets

    for spec in studied_datasets(open_study(study, profile=profile, overrides=overrides or [])):
        show(str(pack_dataset(spec, data, out)))


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


study_files_cli.register(app)
results_cli.register(app)  # after the commands that train, as --help lists them
jobs_cli.register(app)


def main() -> None:
    """Run the command. What is the user's to mend is one line and exit code 2; our own fault keeps its traceback."""
    in_utf8()
    try:
        app()
    except Exception as error:
        if (line := explained(error)) is None:
            raise
        say(f"lrlc: {line}")
        sys.exit(2)


if __name__ == "__main__":
    main()
