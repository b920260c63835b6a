"""The phases of a run: the pilots of a study that tunes, then its grid with the settings they chose."""

from collections.abc import Generator, Iterator

from lrlc.harness.run.session import RunSession
from lrlc.harness.run.tuning import lines
from lrlc.harness.text import say


def phases(session: RunSession) -> Iterator[RunSession]:
    """The sessions of a run, each to be run before the next is asked for."""
    yield (yield from pilots_first(session))


def pilots_first(session: RunSession) -> Generator[RunSession, None, RunSession]:
    """Yield the session of the pilots if some have no row yet; returns the session of the grid."""
    if not session.is_of_pilots:
        return session
    if session.plan.missing or session.plan.lent:
        yield session
    tuned = session.tuned()
    for line in lines(tuned.choices):
        say(f"tuned: {line}")
    return tuned
