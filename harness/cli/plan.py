"""`lrlc plan`: what a run would train, and how long that will take."""

from typing import Annotated

import typer

from lrlc.harness.cli.options import AsJson, StudyOptions
from lrlc.harness.text import counted, duration, print_json, show


def plan(
    asked: StudyOptions,
    probe: Annotated[bool, typer.Option(help="Time a few batches where no earlier row gives a time.")] = True,
    as_json: AsJson = False,
) -> None:
    """Show what a run would train, what is done, and how long the rest will take."""
    from lrlc.harness.named_store import place_of_results
    from lrlc.harness.plan.catalogue import open_study
    from lrlc.harness.run.plan_summary import summarise_plan
    from lrlc.results.store import Store

    opened = open_study(asked.study, profile=asked.profile, overrides=asked.overrides or [])
    store = Store(place_of_results(asked.results) / opened.study.name)
    summary = summarise_plan(opened, store, asked.data, probe=probe)
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
