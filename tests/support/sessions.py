"""Open, plan and run studies in the tests' own process, as the commands do."""

from collections.abc import Sequence
from pathlib import Path

from lrlc.harness.api.surroundings import torch_as_it_was
from lrlc.harness.plan.catalogue import OpenedStudy, open_study
from lrlc.harness.run.session import RunSession, Watcher, open_run, unwatched
from lrlc.harness.run.slots import Slots, make_executor
from lrlc.results.store import Store


def opened_study(
    study: Path | str, words: Sequence[str], results: Path | str, profile: str | None = None
) -> tuple[OpenedStudy, Store]:
    """The study with the overrides `words`, and its tables below `results`."""
    opened = open_study(str(study), profile=profile, overrides=words)
    return opened, Store(Path(results) / opened.study.name)


def planned_run(
    study: Path | str, words: Sequence[str], results: Path | str, profile: str | None = None
) -> RunSession:
    """The session that `lrlc run STUDY WORDS... --results RESULTS` would run."""
    return open_run(*opened_study(study, words, results, profile), None)


def run_serially(session: RunSession, watcher: Watcher = unwatched) -> None:
    """Run as `lrlc run --serial` does, by default without its display; torch's settings are restored."""
    with torch_as_it_was():
        session.run(make_executor(session, Slots(serial=True)), watcher)
