"""`lrlc claims`: the table of verdicts in a terminal."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from lrlc.harness.named_store import siblings
from lrlc.harness.text import aligned, counted
from lrlc.results.claims import TALK, Finding, Judged
from lrlc.results.claims.better_settings import better_settings
from lrlc.results.names import named_seeds, seeds_name
from lrlc.results.plans import Stage
from lrlc.results.statistics import Summary, digits, possible
from lrlc.results.store import Store

HEAD = ("", "", "effect (95% interval)", "new images too", "seeds", "p", "detectable", "test noise")


def as_json(judged: Sequence[Judged]) -> list[dict[str, object]]:
    return [{**asdict(claim), "by_dataset": claim.by_dataset} for claim in judged]


def by_dataset(judged: Sequence[Judged]) -> list[str]:
    """Lines with a verdict for each claim on each data set, and the scope of the correction."""
    rows = [
        (claim.name if at == 0 else "", where, verdict)
        for claim in judged
        for at, (where, verdict) in enumerate(claim.by_dataset.items())
    ]
    tests = [finding for claim in judged for finding in claim.findings]
    studies = ", ".join(dict.fromkeys(finding.study for finding in tests))
    over = f"all {len(tests):,} tests" if len(tests) > 1 else counted(len(tests), "test")
    lines = [f"Holm's correction over {over} of {studies}", "", *aligned(rows)]
    absent = [name for name in TALK if name not in {claim.name for claim in judged}]
    return [*lines, *([f"not claimed here: {', '.join(absent)}"] if absent else []), ""]


def shown(judged: Sequence[Judged]) -> list[str]:
    """Lines with a claim, its tests in columns, and the reasons for undecided ones."""
    columns = aligned([HEAD, *(_cells(finding, claim) for claim in judged for finding in claim.findings)])
    table = iter(columns[1:])
    lines = ["  " + columns[0]]
    for claim in judged:
        lines += ["", f"{claim.name} {claim.verdict.upper()}: {claim.says}"]
        compared = ""
        for finding in claim.findings:
            if (comparison := f"  {finding.statement}{_chosen(finding)}") != compared:
                lines.append(comparison)
            compared = comparison
            lines.append("  " + next(table))
            lines += [f"      {said}" for said in finding.remarks]
    return lines


def better_settings_of(judged: Sequence[Judged], stores: Iterable[Store], profile: str | None) -> list[str]:
    """Lines with the tuned settings of the judged studies that others are known to beat."""
    known = [
        better
        for _, store in _judged(judged, stores, profile)
        if store.tuning(profile)
        for better in better_settings(store, profile, siblings(store, profile))
    ]
    if not known:
        return []
    said = dict.fromkeys(f"  {each}" for each in known)
    return [
        "",
        "Settings chosen by pilots that another setting beats in full training (not corrected; no verdict changes):",
        *said,
    ]


def awaited_rows_of(judged: Sequence[Judged], stores: Iterable[Store], profile: str | None) -> list[str]:
    """A line for each judged study with planned trials that have no row yet."""
    lines = []
    for name, store in _judged(judged, stores, profile):
        planned = store.plan(profile, Stage.GRID) or set()
        if missing := len(planned - set(store.trials(["trial_id"])["trial_id"])):
            has = "has" if missing == 1 else "have"
            lines.append(
                f"{name}: {counted(missing, 'planned trial')} {has} no row yet, so choices of cells and verdicts may "
                "change"
            )
    return ["", *lines] if lines else []


def _judged(
    judged: Sequence[Judged], stores: Iterable[Store], profile: str | None
) -> Iterator[tuple[str, Store]]:
    """The name and store of each study that was judged."""
    studies = {finding.study for claim in judged for finding in claim.findings}
    for store in stores:
        record = store.study(profile)
        if record is not None and record.study.name in studies:
            yield record.study.name, store


def _chosen(finding: Finding) -> str:
    if not finding.chosen:
        return ""
    by = f"{named_seeds(finding.chose)} chose " if finding.chose else ""
    return f" ({by}{finding.chosen})"


def _cells(finding: Finding, claim: Judged) -> tuple[str, ...]:
    studies = {each.study for each in claim.findings if each.where == finding.where}
    return (
        f"  {finding.where}" + (f" ({finding.study})" if len(studies) > 1 else ""),
        finding.verdict,
        effect(finding.effect, finding.unit) if finding.effect else "",
        _interval(finding.over_images, finding.unit),
        f"{finding.seeds} ({seeds_name(finding.reporting)})" if finding.seeds else "",
        p_value(finding.p),
        "" if finding.smallest_visible is None else f"{finding.smallest_visible:.2f}",
        "" if finding.test_noise is None else f"{finding.test_noise:.2f}",
    )


def _interval(found: Summary | None, unit: str) -> str:
    if found is None or found.low != found.low:
        return ""
    cut = possible(found, unit)
    return f"{cut.low:+.2f} to {cut.high:+.2f}"


def effect(found: Summary, unit: str) -> str:
    """'+0.31 (+0.20 to +0.42) points'."""
    sign = "" if unit == "times" else "+"
    form = f"{sign}{digits(unit)}"
    cut = possible(found, unit)
    interval = f" ({cut.low:{form}} to {cut.high:{form}})" if found.low == found.low else ""
    return f"{found.mean:{form}}{interval} {unit}"


def p_value(p: float | None) -> str:
    if p is None:
        return ""
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")
