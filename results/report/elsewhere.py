"""What other studies of the results folder add to a study's report: longer training, and better settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lrlc.results.claims import TALK, Finding, Judged, judge_together
from lrlc.results.claims.better_settings import BetterSetting, better_settings
from lrlc.results.claims.longer import is_too_short
from lrlc.results.report.text import estimate
from lrlc.results.store import Store


@dataclass(frozen=True)
class Elsewhere:
    """Findings of other studies about this one."""

    longer: tuple[Finding, ...] = ()
    """This study's findings that longer training elsewhere replaces."""
    better: tuple[BetterSetting, ...] = ()

    @staticmethod
    def of(
        store: Store,
        profile: str | None,
        judged: Sequence[Judged],
        read_others: Callable[[], Sequence[Store]],
    ) -> "Elsewhere":
        """What other studies, as last run, add; `judged` are the claims of this one.

        The others are read only if this one is tuned or has a comparison that was trained for too few epochs.
        """
        if not store.tuning(profile) and not _names_of_short(judged):
            return ALONE
        others = read_others()
        return Elsewhere(
            tuple(_longer(store, profile, judged, others)), tuple(better_settings(store, profile, others))
        )


ALONE = Elsewhere()
"""The report of a study without others."""


def longer_training(elsewhere: Elsewhere) -> list[str]:
    """'CIFAR-10 16×16; LRLC minus conv: supported, +1.12 (+0.76 to +1.48) points, 48 epochs in longer_16px'."""
    return [
        f"{each.where}; {each.comparison}: {each.longer.verdict}, "
        f"{estimate(each.longer.effect, '+z.2f', each.unit).text} {each.unit}, {each.longer}"
        for each in elsewhere.longer
        if each.longer is not None
    ]


def _longer(
    store: Store, profile: str | None, judged: Sequence[Judged], others: Sequence[Store]
) -> list[Finding]:
    """As `lrlc claims` judges them together, corrected over the same tests."""
    names = _names_of_short(judged)
    if not names or not others:
        return []
    together = judge_together([store, *others], profile, only={*names, *(TALK if names <= {*TALK} else ())})
    own = {each.study for claim in judged for each in claim.findings}
    return [
        each
        for claim in together
        for each in claim.findings
        if each.study in own and each.longer is not None and each.longer.study not in own
    ]


def _names_of_short(judged: Sequence[Judged]) -> set[str]:
    """The claims with a comparison that was trained for too few epochs."""
    return {claim.name for claim in judged if any(map(is_too_short, claim.findings))}
