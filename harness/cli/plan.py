"""`lrlc plan`: what a run would train, and how long it would take."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from lrlc.harness.cli.options import AsJson, StudyOptions
from lrlc.harness.errors import UserError
from lrlc.harness.text import counted, duration, print_json, rounded, show

if TYPE_CHECKING:
    from lrlc.harness.plan.machine import Machine
    from lrlc.harness.run.plan_summary import PlanSummary


def plan(
    asked: StudyOptions,
    probe: Annotated[
        bool, typer.Option(help="Time a few batches here if no earlier row gives a time.")
    ] = False,
    on: Annotated[
        str | None,
        typer.Option(metavar="8xH100", help="Forecast for this many devices, named by a part of their name."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a run would train, what is already done, and how long the rest will take."""
    from lrlc.harness.named_store import file_or_recorded, place_of_results
    from lrlc.harness.plan.catalogue import open_study
    from lrlc.harness.plan.machine import machine_at_hand, named_machine
    from lrlc.harness.run.plan_summary import summarise_plan
    from lrlc.results.store import Store

    if on and probe:
        raise UserError("--probe times batches on this machine; leave out --on")
    named = named_machine(on) if on else None
    opened = open_study(
        file_or_recorded(asked.study, asked.results, asked.profile),
        profile=asked.profile,
        overrides=asked.overrides or [],
    )
    machine = named or machine_at_hand(opened.study.resources)
    store = Store(place_of_results(asked.results) / opened.study.name)
    summary = summarise_plan(opened, store, asked.data, probe=probe, on=machine)
    if as_json:
        print_json(summary.as_dict())
    else:
        show(
            "\n".join(
                [*_counts(summary), *(f"  {cell}" for cell in summary.cells), *_outlook(summary, machine)]
            )
        )


def _counts(summary: "PlanSummary") -> Iterator[str]:
    if summary.grid_trials or not summary.search_suggestions:
        trials = counted(summary.grid_trials, "trial")
        yield f"{summary.study}: {trials} in the grid, {summary.done} done, {summary.missing} missing"
    if summary.failed:
        yield f"{counted(summary.failed, 'trial')} of those done failed; `lrlc retry` trains them again"
    if summary.pilots:
        yield f"tuning: {counted(summary.pilots, 'pilot')} before the grid, {summary.pilots_missing} missing"
    if summary.untuned:
        yield f"{counted(summary.untuned, 'trial')} of the grid, shown untuned, will get the pilots' settings"
    if summary.length_trials:
        trials = counted(summary.length_trials, "trial")
        yield f"length check: {trials} with fewer epochs, {summary.length_missing} missing"
    if summary.lent:
        yield f"{counted(summary.lent, 'trial')} of those done will be copied from other studies' tables"
    if summary.search_suggestions:
        name = "search" if summary.grid_trials else f"{summary.study}, search"
        yield f"{name}: {summary.search_answered} of {counted(summary.search_suggestions, 'suggestion')} have rows"


def _outlook(summary: "PlanSummary", machine: "Machine") -> Iterator[str]:
    if summary.wall_seconds:
        yield time_line(summary.wall_seconds, summary.machine, summary.slots, summary.gpu_hours)
        yield f"  from {_sources(summary)}"
    if summary.unknown:
        yield f"no earlier row gives a time for {counted(summary.unknown, 'trial')}{_hint(machine)}"
    if summary.wall_seconds or summary.unknown:
        yield f"disk: about {_size(summary.disk_bytes)}"
    yield from (f"claims: {line}" for line in summary.claims)


def _hint(machine: "Machine") -> str:
    """How to get a time for trials that no row covers."""
    if not machine.is_named:
        return "" if machine.is_gpu else "; `--probe` times a few batches"
    return (
        f"; rows of {machine.device} in a study below --results would, such as a few trials run on one "
        f"(`lrlc adopt` adds those of a bundle that has run), or `lrlc plan --probe` on a machine that has one"
    )


def time_line(seconds: float, machine: str, slots: int, gpu_hours: float | None = None) -> str:
    """'about 3 h on 8 x H100, 32 trials at once: 24 GPU hours'."""
    at_once = f", {counted(slots, 'trial')} at once" if gpu_hours is not None else ""
    hours = f": {rounded(gpu_hours)} GPU hours" if gpu_hours is not None else ""
    return f"about {duration(seconds)} on {machine}{at_once}{hours}"


def _sources(summary: "PlanSummary") -> str:
    told = {
        "past rows": summary.from_rows,
        "rows of other devices": summary.from_other_devices,
        "timed batches": summary.from_probes,
    }
    return ", ".join(f"{name} ({counted(count, 'trial')})" for name, count in told.items() if count)


def _size(count: int) -> str:
    """'340 KB', '1.2 GB'."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{rounded(count / size)} {unit}"
    return f"{count / 1e3:.0f} KB"
