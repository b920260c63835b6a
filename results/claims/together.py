"""The claims of one study, or of several at once, with one correction over all their tests."""

from collections.abc import Collection, Iterable, Sequence

from lrlc.results.claims.asked import Asked
from lrlc.results.claims.decide import Case, decide
from lrlc.results.claims.questions import Question, questions
from lrlc.results.claims.tables import Tables
from lrlc.results.claims.verdicts import Finding, Judged, counted_findings, overall
from lrlc.results.store import Store

TALK = ("C1", "C2", "C3", "C4", "C5", "C6", "C7")
"""Names of the claims that are the talk's statements; docs/claims.md explains each of them."""


def judge(store: Store, profile: str | None = None) -> list[Judged]:
    """The claims of a profile's study (None: the one run last), in its order; empty if it makes none."""
    return claims_of(findings(_asked(store, profile)))


def judge_together(
    stores: Iterable[Store], profile: str | None = None, only: Collection[str] = ()
) -> list[Judged]:
    """The claims of several studies, by name, the talk's first; `only` selects some of them.

    Studies that train longer come later. Those without claims, or without this profile, are skipped.
    """
    studies = [asked for store in stores for asked in _asked(store, profile, only)]
    found = findings(sorted(studies, key=lambda study: max(study[1].rows["epochs"], default=0)))
    order = sorted(claims_of(found), key=lambda claim: claim.name)
    return sorted(order, key=lambda claim: claim.name not in TALK)


def judge_tables(asked: Asked, tables: Tables) -> list[Judged]:
    """A study's claims, from its tables."""
    return claims_of(findings([(asked, tables)]))


def _asked(store: Store, profile: str | None, only: Collection[str] = ()) -> list[tuple[Asked, Tables]]:
    record = store.study(profile)
    asked = Asked.of(record.study, only) if record is not None else None
    if record is None or asked is None or not asked.claims:
        return []
    return [(asked, Tables.of(store, profile, record.study.measured.metrics))]


def findings(studies: Sequence[tuple[Asked, Tables]]) -> list[tuple[Question, Finding]]:
    """Every question of these studies' claims with its finding, corrected together."""
    cases = [
        Case(question, asked, tables) for asked, tables in studies for question in questions(asked, tables)
    ]
    found = decide(cases, min((asked.decision.alpha for asked, _ in studies), default=0.05))
    return [(case.question, finding) for case, finding in zip(cases, found, strict=True)]


def claims_of(found: Iterable[tuple[Question, Finding]]) -> list[Judged]:
    """Findings by claim, in the order in which these are first asked."""
    by_name: dict[str, list[tuple[Question, Finding]]] = {}
    for question, finding in found:
        by_name.setdefault(question.claim.name, []).append((question, finding))
    return [
        Judged(
            name,
            says=next((question.claim.says for question, _ in of_name if question.claim.says), ""),
            verdict=overall([each.verdict for each in counted_findings(finding for _, finding in of_name)]),
            findings=tuple(_beside_each_other([finding for _, finding in of_name])),
        )
        for name, of_name in by_name.items()
    ]


def _beside_each_other(found: Sequence[Finding]) -> list[Finding]:
    """The findings in their order, but those of one comparison together, and in it those of one place."""
    comparisons = list(dict.fromkeys(finding.comparison for finding in found))
    places = list(dict.fromkeys(finding.where for finding in found))
    return sorted(
        found, key=lambda finding: (comparisons.index(finding.comparison), places.index(finding.where))
    )
