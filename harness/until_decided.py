"""More seeds for what is undecided: `lrlc run --until-decided`, look by look, at numbers of seeds set beforehand."""

import time
from collections.abc import Iterator

import pandas as pd

from harness.commands import RunSession
from harness.errors import UserError
from harness.phases import pilots_first
from harness.progress import say
from harness.trial import Trial, blank_result
from results.claims import COLUMNS, Asked, Question, Verdict, findings, of_cells, seed_order


def looks_at(session: RunSession, budget_hours: float | None = None) -> Iterator[RunSession]:
    """The session of each look, to be run before the next is asked for; ends with the last look, the budget, or when
    every claim is decided. Pilots, if any, come before the first.

    The first look trains the whole grid, each later one only the cells of claims that are still undecided. Raises
    UserError where the study has nothing to decide, or no looks.
    """
    study = session.study
    if not study.claims or not study.decision.looks:
        raise UserError(
            "--until-decided: the study needs claims, and decision.looks: the numbers of seeds to judge them at"
        )
    began, asked = time.monotonic(), Asked.of(study.described())
    looks = asked.looks
    session = yield from pilots_first(session)
    trials = session.planner.grid(seed_order(study.seeds, looks[0]))
    for look, following in zip(looks, [*looks[1:], None], strict=True):
        say(f"look at {look} seeds: {len(trials)} trials in all")
        yield session.of_grid(trials)
        rows = session.store.planned_trials(session.profile, COLUMNS)
        found = findings(asked, rows, session.store.weights)
        still_open = [question for question, each in found if each.verdict == Verdict.UNDECIDED]
        say(f"{len(found) - len(still_open)} of {len(found)} tests of claims decided")
        if not still_open or following is None:
            return
        if budget_hours is not None and time.monotonic() - began > 3600 * budget_hours:
            say(f"the budget of {budget_hours:g} h is spent; the same command goes on")
            return
        more = session.planner.grid(seed_order(study.seeds, following)[look:])
        trials = tuple({trial.id: trial for trial in [*trials, *concerned(more, still_open)]}.values())


def concerned(trials: tuple[Trial, ...], questions: list[Question]) -> list[Trial]:
    """Those of the trials that one of the questions looks at."""
    settings = [vars(blank_result(trial)) for trial in trials]
    rows = pd.DataFrame(settings, columns=["dataset", "kind", "rank", "placement", "options"])
    wanted = pd.Series(False, index=rows.index)
    for question in questions:
        of_titles = rows[rows["dataset"].isin(question.titles)]
        for cells in question.claim.sides.values():
            wanted[of_cells(of_titles, cells).index] = True
    return [trial for trial, is_wanted in zip(trials, wanted, strict=True) if is_wanted]
