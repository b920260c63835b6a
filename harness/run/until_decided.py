"""`lrlc run --until-decided`: more seeds for undecided claims, look by look, at numbers of seeds fixed in advance."""

import time
from collections.abc import Iterator, Sequence

import pandas as pd

from lrlc.harness.errors import UserError
from lrlc.harness.run.phases import pilots_first
from lrlc.harness.run.session import RunSession
from lrlc.harness.text import counted, say
from lrlc.harness.trial import Trial, blank_result
from lrlc.results.claims import Asked, Question, Tables, Verdict, findings, of_cells, seed_order


def looks_at(session: RunSession, budget_hours: float | None = None) -> Iterator[RunSession]:
    """The session of each look, to be run before the next is asked for; ends with the last look, the budget, or when
    every claim is decided. Pilots, if any, come before the first.

    The first look trains the whole grid, each later one only the cells of claims that are still undecided. Raises
    UserError if the study has no claims or no looks.
    """
    study = session.study
    if not study.claims or not study.decision.looks:
        raise UserError(
            "--until-decided: the study needs claims, and decision.looks, the numbers of seeds at which to judge them"
        )
    began, asked = time.monotonic(), Asked.of(study)
    looks = asked.looks
    session = yield from pilots_first(session)
    trials = session.planner.grid(seed_order(study.seeds, looks[0]))
    for look, following in zip(looks, [*looks[1:], None], strict=True):
        say(f"look at {counted(look, 'seed')}: {counted(len(trials), 'trial')} in all")
        yield session.of_grid(trials)
        found = findings([(asked, Tables.of(session.store, session.profile))])
        still_open = [question for question, each in found if each.verdict == Verdict.UNDECIDED]
        say(_progress([each.verdict for _, each in found]))
        if not still_open or following is None:
            return
        if budget_hours is not None and time.monotonic() - began > 3600 * budget_hours:
            say(f"the budget of {budget_hours:g} h is spent; the same command resumes")
            return
        more = session.planner.grid(seed_order(study.seeds, following)[look:])
        trials = tuple({trial.id: trial for trial in [*trials, *concerned(more, still_open)]}.values())


def _progress(verdicts: Sequence[Verdict]) -> str:
    """'3 of 7 tests of claims decided, 2 out of regime: more seeds do not help these'."""
    out = verdicts.count(Verdict.OUT_OF_REGIME)
    decided = len(verdicts) - out - verdicts.count(Verdict.UNDECIDED)
    told = f"{decided} of {counted(len(verdicts), 'test')} of claims decided"
    return f"{told}, {out} out of regime: more seeds do not help these" if out else told


def concerned(trials: tuple[Trial, ...], questions: list[Question]) -> list[Trial]:
    """The trials that at least one of the questions uses."""
    settings = [vars(blank_result(trial)) for trial in trials]
    rows = pd.DataFrame(settings, columns=["dataset", "kind", "rank", "placement", "options"])
    wanted = pd.Series(False, index=rows.index)
    for question in questions:
        of_titles = rows[rows["dataset"].isin(question.titles)]
        for cells in question.claim.sides.values():
            wanted[of_cells(of_titles, cells).index] = True
    return [trial for trial, is_wanted in zip(trials, wanted, strict=True) if is_wanted]
