"""`lrlc run | retry`: train what is missing."""

import shlex
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from lrlc.harness.cli.options import RESULTS, AsJson, LogTargets, SlotOptions, StudyOptions
from lrlc.harness.errors import UserError
from lrlc.harness.text import counted, print_json, say, show
from lrlc.harness.usage import finite

if TYPE_CHECKING:
    from lrlc.harness.run.session import RunSession, Watcher
    from lrlc.harness.run.slots import Slots
    from lrlc.results.schema import TrialStatus

Verbose = Annotated[bool, typer.Option("--verbose", help="Print a line for every epoch of every trial.")]


def run(
    asked: StudyOptions,
    on: SlotOptions,
    until_decided: Annotated[
        bool,
        typer.Option("--until-decided", help="Add seeds, at the study's looks, while claims are undecided."),
    ] = False,
    budget_hours: Annotated[
        float | None,
        typer.Option(
            min=0, callback=finite, help="With --until-decided: start no new look after this many hours."
        ),
    ] = None,
    verbose: Verbose = False,
    log: LogTargets = None,
    as_json: AsJson = False,
) -> None:
    """Train what is missing. Running a study again resumes it."""
    from lrlc.harness.run.phases import phases

    if budget_hours is not None and not until_decided:
        raise UserError("--budget-hours goes with --until-decided")
    session, sessions = _open(asked), phases
    if until_decided:
        from lrlc.harness.run.until_decided import looks_at

        sessions = partial(looks_at, budget_hours=budget_hours)
    _run(sessions(session), asked.results, slots=_slots(on), watcher=_watcher(verbose, log), as_json=as_json)


def retry(
    asked: StudyOptions,
    on: SlotOptions,
    failed: Annotated[bool, typer.Option("--failed", help="Trials stopped by an error.")] = False,
    timed_out: Annotated[
        bool, typer.Option("--timed-out", help="Trials that reached their time limit.")
    ] = False,
    out_of_memory: Annotated[
        bool, typer.Option("--out-of-memory", help="Trials that ran out of memory.")
    ] = False,
    verbose: Verbose = False,
    log: LogTargets = None,
    as_json: AsJson = False,
) -> None:
    """Like run, but also retrain failed trials: all of them, or those with the statuses in the options."""
    from lrlc.harness.run.phases import phases
    from lrlc.results.schema import BROKEN, TrialStatus

    named = {
        TrialStatus.FAILED: failed,
        TrialStatus.TIMED_OUT: timed_out,
        TrialStatus.OUT_OF_MEMORY: out_of_memory,
    }
    again = [status for status, is_named in named.items() if is_named] or BROKEN
    _run(
        phases(_open(asked, again)),
        asked.results,
        slots=_slots(on),
        watcher=_watcher(verbose, log),
        as_json=as_json,
    )


def _open(asked: StudyOptions, retry: "Collection[TrialStatus]" = ()) -> "RunSession":
    from lrlc.harness.named_store import file_or_recorded, place_to_write
    from lrlc.harness.plan.catalogue import open_study
    from lrlc.harness.run.session import open_run
    from lrlc.results.store import Store

    named = file_or_recorded(asked.study, asked.results, asked.profile)
    opened = open_study(named, profile=asked.profile, overrides=asked.overrides or [])
    store = Store(place_to_write(asked.results) / opened.study.name)
    return open_run(opened, store, asked.data, retry=retry)


def _slots(on: SlotOptions) -> "Slots":
    from lrlc.harness.run.slots import Slots

    if on.serial and on.processes:
        raise UserError("give either --serial or --processes")
    if (on.serial or on.processes) and on.address != "local":
        raise UserError(f"--address {on.address} is a Ray cluster's; leave out --serial and --processes")
    return Slots(on.serial, on.processes, on.address, on.max_in_flight)


def _watcher(verbose: bool, log: Sequence[str] | None) -> "Watcher":
    """Shows the progress and logs it to the named trackers; UserError for an unusable tracker."""
    from lrlc.harness.loggers import logged, trackers
    from lrlc.harness.run.display import Display

    return logged(partial(Display, verbose=verbose), trackers(log or ()))


def _run(
    sessions: "Iterator[RunSession]", results: str, *, slots: "Slots", watcher: "Watcher", as_json: bool
) -> None:
    """Run each session until it ends or is stopped by Ctrl-C or SIGTERM (exit code 130 or 143), then print its counts.

    The exit code is 1 if a planned trial failed.
    """
    from lrlc.results.store import DEFAULT_PROFILE

    session, exit_code = _train(sessions, slots, watcher)
    counts = session.store.counts()
    if as_json:
        print_json({"study": session.study.name, "results": str(session.store.root), "rows": counts})
    else:
        listed = ", ".join(f"{count} {status}" for status, count in counts.items())
        show(f"{session.store.root}: {listed or 'no rows'}")
    if exit_code:
        say("stopped; finished trials are kept, the same command resumes")
        raise typer.Exit(exit_code)
    if failed := len(session.store.broken_trials(session.profile or DEFAULT_PROFILE)):
        say(f"{counted(failed, 'trial')} failed: `lrlc status` shows why, `lrlc retry` trains them again")
        raise typer.Exit(1)
    if counts and not as_json:
        say(_next_step(session.study.name, results))


def _next_step(study: str, results: str) -> str:
    named = study if results == RESULTS else f"{study} --results {shlex.quote(results)}"
    return f"next: `lrlc report {named}`, `lrlc plot {named}`"


def _train(sessions: "Iterator[RunSession]", slots: "Slots", watcher: "Watcher") -> "tuple[RunSession, int]":
    """Run the sessions; returns the last one started, and the exit code if a signal stopped it, else 0."""
    from lrlc.harness.cli.interrupts import Stopped, stoppable
    from lrlc.harness.run.plan_summary import outlook_lines
    from lrlc.harness.run.slots import make_executor

    for session in sessions:
        executor = make_executor(session, slots)
        say(session.headline())
        for line in outlook_lines(session, slots):
            say(line)
        try:
            with stoppable(in_process=slots.serial) as may_stop:
                session.run(executor, watcher, may_stop)
        except Stopped as stop:
            return session, stop.exit_code
    return session, 0
