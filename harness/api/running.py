"""Train a study's missing trials from Python, as `lrlc run` does: `lrlc.run`."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lrlc.harness.api.loaded import StudyResults
from lrlc.harness.api.surroundings import data_folder, torch_as_it_was
from lrlc.harness.errors import UserError
from lrlc.harness.loggers import logged, trackers
from lrlc.harness.named_store import place_to_write
from lrlc.harness.plan.catalogue import open_study
from lrlc.harness.run.display import Display
from lrlc.harness.run.fate import Fate
from lrlc.harness.run.phases import phases
from lrlc.harness.run.session import Watcher, open_run, unwatched
from lrlc.harness.run.slots import Slots, make_executor
from lrlc.results.schema import BROKEN
from lrlc.results.store import Store

Callback = Callable[[Fate], object]
"""Called with the events of each trial, those of `lrlc.events`, in the process that called `run`."""


def run(
    study: str | Path | Mapping[str, Any],
    *overrides: str,
    results: str | Path = "runs",
    data: str | Path | None = None,
    profile: str | None = None,
    processes: int | None = None,
    address: str | None = None,
    retry: bool = False,
    callbacks: Sequence[Callback] = (),
    log: Sequence[str] = (),
    quiet: bool = False,
) -> StudyResults:
    """Train the missing trials of a study, and return its results. Running it again resumes it.

    `study` is a file, a shipped study's name, or the content of a study file as a dictionary; `overrides` are like
    "train.epochs=2". Trials run one at a time in this process, in a number of `processes`, or on the Ray cluster at
    `address` ("local" starts one). `data` is the folder of data sets, by default LRLC_DATA. `retry` retrains failed
    trials. `log` names trackers, such as "tensorboard:runs/tb".

    A callback that raises ends the run after finished trials are committed, as does KeyboardInterrupt. Raises
    StudyError, UserError or DataError, before anything is written, for a wrong study, and StoreError while another
    driver runs it.
    """
    if processes is not None and address is not None:
        raise UserError("give either processes or address")
    if processes is not None and processes < 1:
        raise UserError(f"processes: expected a whole number of at least 1, got {processes}")
    opened = open_study(study, profile=profile, overrides=overrides)
    store = Store(place_to_write(str(results)) / opened.study.name)
    slots = Slots(
        serial=processes is None and address is None, processes=processes, address=address or "local"
    )
    watcher = logged(_watched(callbacks, unwatched if quiet else Display), trackers(log))
    with torch_as_it_was():
        session = open_run(opened, store, data_folder(data), retry=BROKEN if retry else ())
        for each in phases(session):
            each.run(make_executor(each, slots), watcher)
    return StudyResults(store, profile)


def _watched(callbacks: Sequence[Callback], shown: Watcher) -> Watcher:
    """Shows the progress, and calls every callback."""

    @contextlib.contextmanager
    def watcher(total: int, done: int) -> Iterator[Callable[[Fate], None]]:
        with shown(total, done) as show:

            def tell(fate: Fate) -> None:
                show(fate)
                for callback in callbacks:
                    callback(fate)

            yield tell

    return watcher
