"""Between kinds: each against convolution, and against a wide convolution of as many parameters, claimed or not."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from results.claims import Finding, Verdict, findings, looks_of
from results.figures.naming import KIND_NAMES
from results.markup.content import Block, Bullets, Cell, Section, Text
from results.report.verdicts import evidence, how_to_read, notes_of
from results.schema import TrialStatus
from results.statistics import binomial_sd

REFERENCE, MATCHED = "conv", "wide_conv"
OURS_TO_MATCH = ("lrlc", "lrlc_input_dependent")
HOW_TO_READ = (
    "Every kind against convolution, and low-rank layers against a wide convolution of as many parameters, seed by "
    "seed, whether the study claims anything of them or not. Of several cells of a kind the first three seeds choose "
    "one on validation, and do not report it. Better or worse: the exact sign-flip test says so, corrected over all "
    "lines of this table (Holm). Practically equal: shown to differ by less than the test set's own noise (two "
    "one-sided t tests), the margin here. Undecided: neither; what would settle it stands below."
)


def section(study: Mapping[str, Any], rows: pd.DataFrame) -> list[Section]:
    """One section; none where no kind shares a data set with a convolution, of one seed, or where a search chose."""
    if study.get("search") or len(study.get("seeds") or []) < 2 or rows.empty:
        return []
    asked = {
        "datasets": study.get("datasets") or [],
        "grid": study.get("grid") or [],
        "seeds": study["seeds"],
        "decision": {"alpha": _alpha(study), "looks": [_first_look(study)]},
        "claims": list(_claims(rows)),
    }
    found = findings(asked, rows, lambda ids: pd.DataFrame()) if asked["claims"] else []
    if not found:
        return []
    told = [each for _, each in found]
    table = evidence("Kind against kind", told, _outcome)
    open_ones = notes_of([each for each in told if each.verdict == Verdict.UNDECIDED])
    blocks: list[Block] = [Text(HOW_TO_READ), table, *([Bullets(open_ones)] if open_ones else [])]
    explained = [] if study.get("claims") else how_to_read([table])  # else the verdicts above have done it
    return [Section("Between kinds", [*blocks, *explained])]


def _claims(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A difference for each kind on each data set, its margin the test set's noise there."""
    finished = rows[rows["status"] == TrialStatus.FINISHED]
    for title, of_title in finished.groupby("dataset", sort=False):
        kinds = set(of_title["kind"])
        known = [kind for kind in KIND_NAMES if kind in kinds] + sorted(kinds - set(KIND_NAMES))
        usual = {"name": "", "says": "", "test": "difference", "direction": "higher", "matched": False}
        usual |= {"datasets": [str(title)], "margin": _noise(of_title)}
        for ours in known:
            if ours != REFERENCE and REFERENCE in kinds:
                yield {
                    **usual,
                    "ours": {"kind": ours, **_relaxed(of_title, ours)},
                    "theirs": {"kind": REFERENCE},
                }
            if ours in OURS_TO_MATCH and (places := _places_of(of_title, MATCHED)):
                yield {
                    **usual,
                    "ours": {"kind": ours, **places},
                    "theirs": {"kind": MATCHED},
                    "matched": True,
                }


def _relaxed(rows: pd.DataFrame, kind: str) -> dict[str, Any]:
    """A kind's ranks over 1, which is a convolution by another name; empty where it has no others."""
    ranks = sorted({int(rank) for rank in rows.loc[rows["kind"] == kind, "rank"].dropna() if rank > 1})
    return {"rank": ranks} if ranks else {}


def _places_of(rows: pd.DataFrame, kind: str) -> dict[str, Any]:
    """The ranks over 1 and the placements that a kind has been trained at; empty if it has none."""
    relaxed = _relaxed(rows, kind)
    return (
        {**relaxed, "placement": sorted(rows.loc[rows["kind"] == kind, "placement"].unique())}
        if relaxed
        else {}
    )


def _noise(finished: pd.DataFrame) -> float | None:
    images = finished["test_images"].dropna()
    if images.empty:
        return None
    return 100 * binomial_sd(float(finished["test_accuracy"].mean()), int(images.iloc[0])) or None


def _alpha(study: Mapping[str, Any]) -> float:
    return float((study.get("decision") or {}).get("alpha", 0.05))


def _first_look(study: Mapping[str, Any]) -> int:
    """The seeds that every cell has: later looks add some to undecided claims alone."""
    return looks_of(study)[0] if study.get("decision") else len(study["seeds"])


def _outcome(finding: Finding) -> Cell:
    """Supported and contradicted, in the words of a comparison."""
    if finding.verdict == Verdict.SUPPORTED:
        return Cell("better", mark="supported")
    if finding.verdict == Verdict.CONTRADICTED:
        return Cell("practically equal", mark="equal") if finding.note else Cell("worse", mark="contradicted")
    return Cell("undecided", mark="undecided")
