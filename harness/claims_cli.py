"""`lrlc claims`: the table of verdicts in a terminal."""

from collections.abc import Sequence
from dataclasses import asdict

from harness.progress import aligned
from results.claims import Finding, Judged, seeds_name
from results.statistics import Summary

HEAD = ("", "", "effect (95% interval)", "seeds", "p", "visible", "test noise")


def as_json(judged: Sequence[Judged]) -> list[dict[str, object]]:
    return [asdict(claim) for claim in judged]


def shown(judged: Sequence[Judged]) -> list[str]:
    """Lines: a claim, its tests in columns below, and what would settle those that are undecided."""
    columns = aligned([HEAD, *(_cells(finding) for claim in judged for finding in claim.findings)])
    table = iter(columns[1:])
    lines = ["  " + columns[0]]
    for claim in judged:
        lines += ["", f"{claim.name} {claim.verdict.upper()}: {claim.says}"]
        compared = ""
        for finding in claim.findings:
            if (comparison := f"  {finding.comparison}{_chosen(finding)}") != compared:
                lines.append(comparison)
            compared = comparison
            lines.append("  " + next(table))
            lines += [f"      {said}" for said in (finding.beside, finding.note) if said]
    return lines


def _chosen(finding: Finding) -> str:
    return f" (seeds {seeds_name(finding.chose)} chose {finding.chosen})" if finding.chosen else ""


def _cells(finding: Finding) -> tuple[str, ...]:
    return (
        f"  {finding.where}",
        finding.verdict,
        effect(finding.effect, finding.unit) if finding.effect else "",
        f"{finding.seeds} ({seeds_name(finding.reporting)})" if finding.seeds else "",
        p_value(finding.p),
        "" if finding.smallest_visible is None else f"{finding.smallest_visible:.2f}",
        "" if finding.test_noise is None else f"{finding.test_noise:.2f}",
    )


def effect(found: Summary, unit: str) -> str:
    """'+0.31 (+0.20 to +0.42) points'."""
    sign = "" if unit == "times" else "+"
    interval = f" ({found.low:{sign}.2f} to {found.high:{sign}.2f})" if found.low == found.low else ""
    return f"{found.mean:{sign}.2f}{interval} {unit}"


def p_value(p: float | None) -> str:
    if p is None:
        return ""
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")
