"""Longer training of comparisons that were trained too short: its verdict counts in their place.

Whether a comparison is replaced depends on its length check alone, and the tests of all lengths take part in the
correction, so the error rates hold.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from lrlc.results.claims.conditions import LENGTH
from lrlc.results.claims.evidence import Evidence
from lrlc.results.claims.questions import Question
from lrlc.results.claims.verdicts import Finding, Longer
from lrlc.results.statistics import LAYER_SETTINGS, TRAINING_SETTINGS

ALIKE = (
    "network",
    *LAYER_SETTINGS,
    *(name for name in TRAINING_SETTINGS if name != "epochs"),
    "data_digest",
    "test_images",
)
"""What a comparison and a longer one of the same cells share: settings, and the images."""


@dataclass(frozen=True)
class Trained:
    """A test of a claim on the cells that it compared, and how long these were trained."""

    test: tuple[object, ...]
    """Equal for the same test of the same cells, however long they were trained."""
    epochs: int

    @staticmethod
    def of(question: Question, evidence: Evidence) -> "Trained | None":
        """None unless all compared cells were trained for the same number of epochs."""
        sides = list(_sides(evidence))
        epochs = {int(count) for rows in sides for count in rows["epochs"].unique()}
        if len(epochs) != 1:
            return None
        claim = question.claim
        settings = [rows[[*ALIKE]].astype("str").drop_duplicates() for rows in sides]
        cells = tuple(tuple(each.itertuples(index=False)) for each in settings)
        return Trained(
            (claim.name, claim.test, claim.expects, claim.tolerance, question.titles, cells), epochs.pop()
        )


def _sides(evidence: Evidence) -> Iterator[pd.DataFrame]:
    for each in evidence.compared:
        yield each.ours
        if each.theirs is not None:
            yield each.theirs


def with_longer(found: Sequence[Finding], on: Sequence[tuple[Question, Evidence]]) -> list[Finding]:
    """The findings; those trained too short name the longest training of the same cells, if there is one.

    Studies may describe the same cells in different words, so their findings all take the comparison of the first.
    """
    if not any(map(is_too_short, found)):
        return list(found)
    trained = [Trained.of(question, evidence) for question, evidence in on]
    lengths: dict[tuple[object, ...], list[tuple[int, Finding]]] = {}
    for one, length in zip(found, trained, strict=True):
        if length is not None and one.regime:
            lengths.setdefault(length.test, []).append((length.epochs, one))
    return [_with_longest(one, length, lengths) for one, length in zip(found, trained, strict=True)]


def _with_longest(
    finding: Finding,
    length: Trained | None,
    lengths: Mapping[tuple[object, ...], Sequence[tuple[int, Finding]]],
) -> Finding:
    if length is None or not finding.regime:
        return finding
    alike = lengths[length.test]
    if not finding.chosen:
        finding = replace(finding, comparison=next(each.comparison for _, each in alike if not each.chosen))
    epochs, longest = max(alike, key=lambda each: each[0])
    if epochs == length.epochs or not is_too_short(finding):
        return finding
    return replace(finding, longer=Longer(longest.study, epochs, longest.verdict, longest.effect))


def is_too_short(finding: Finding) -> bool:
    """Whether the length check puts it out of regime."""
    return any(each.name == LENGTH and not each.holds for each in finding.regime)
