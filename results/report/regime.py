"""The regime: the conditions that each comparison's networks must meet before it counts, with their numbers."""

from collections.abc import Sequence

from lrlc.results.claims import Condition, Judged
from lrlc.results.claims.asked import Asked
from lrlc.results.claims.conditions import DIVERGED, IMAGES, LENGTH, LINEAR, POSITIONS
from lrlc.results.markup.content import Block, Cell, Column, Section, Table, Text
from lrlc.results.report.text import estimate, number, words
from lrlc.results.statistics import digits
from lrlc.studies.lines import counted

COLUMNS = (
    Column("condition"),
    Column("data set"),
    Column("layer or comparison", "long"),
    Column("measured", "numbers"),
    Column("needed", "numbers"),
    Column("unit"),
    Column("met"),
    Column("effects", "long"),
)
HOW_TO_READ = (
    "The claims are about trained networks. A comparison is decided only if, for both sides and on each data "
    "set, no seed diverged; mean test accuracy exceeds that of multinomial logistic regression on the same "
    "training pixels; with fewer epochs the effect of the same cells differs by less than the margin, or half "
    "the width of its interval if that is more (the difference is given with its own 95% interval over the seeds "
    "trained at both lengths); and combining weights have left the constant they start at (measured by the "
    "standard deviation of a bank's weight over positions, and for input-dependent weights also over images). "
    "Otherwise it is out of regime, whatever its numbers."
)
ANY = (
    "This study judges in any regime (regime: any): its verdicts may be about networks that are not fully "
    "trained, or that a linear classifier beats."
)
OFF = "Not required by this study: {}."
ASKED = {
    DIVERGED: "no_divergence",
    LINEAR: "linear",
    LENGTH: "length",
    POSITIONS: "weights_std",
    IMAGES: "weights_std",
}
SIGNS = {DIVERGED: "≤ ", LINEAR: "> ", LENGTH: "< "}


def sections(judged: Sequence[Judged], asked: Asked) -> list[Section]:
    """One section; none if nothing is claimed."""
    if not judged:
        return []
    if asked.regime.is_any:
        return [Section("Regime", [Text(ANY)])]
    found = dict.fromkeys(each for claim in judged for finding in claim.findings for each in finding.regime)
    off = [name for name, key in ASKED.items() if not getattr(asked.regime, key)]
    blocks: list[Block] = [Text(HOW_TO_READ)]
    if off:
        blocks.append(Text(OFF.format(", ".join(off))))
    if found:
        ordered = sorted(found, key=lambda each: (each.holds, list(ASKED).index(each.name)))
        lines = [_line(group) for group in _groups(ordered)]
        told = [at for at in range(len(COLUMNS)) if any(line[at].text for line in lines)]
        blocks.append(
            Table(
                "Conditions of the comparisons above, unmet ones first",
                [COLUMNS[at] for at in told],
                [[line[at] for at in told] for line in lines],
            )
        )
    return [Section("Regime", blocks)]


def _groups(conditions: Sequence[Condition]) -> list[list[Condition]]:
    """Unmet conditions, and all of length, one by one; other met ones by data set, where all need the same."""
    groups: dict[object, list[Condition]] = {}
    for each in conditions:
        alike = (
            (each.name, each.where, each.needed, each.unit) if each.holds and each.name != LENGTH else each
        )
        groups.setdefault(alike, []).append(each)
    return list(groups.values())


def _line(group: Sequence[Condition]) -> list[Cell]:
    condition = group[0]
    forms = {POSITIONS: ".3f", IMAGES: ".3f", DIVERGED: ".0f", LENGTH: digits(condition.unit)}
    form = forms.get(condition.name, ".2f")
    needed = number(condition.needed, form)
    sign = SIGNS.get(condition.name, "≥ ")
    return [
        words(condition.name),
        words(condition.where),
        words(condition.what if len(group) == 1 else counted(len(group), "layer")),
        _measured(group, form),
        Cell(sign + needed.text, needed.value) if needed.text else words("none"),
        words(condition.unit),
        Cell("yes", mark="supported") if condition.holds else Cell("no", mark="contradicted"),
        words(condition.detail if condition.name == LENGTH or not condition.holds else ""),
    ]


def _measured(group: Sequence[Condition], form: str) -> Cell:
    """'2.25 (0.41 to 4.09)', or '0.21 to 0.34' for several."""
    if len(group) == 1 and group[0].over_seeds:
        return estimate(group[0].over_seeds, f"z{form}", group[0].unit)
    numbers = [each.number for each in group if each.number is not None]
    if not numbers:
        return words("none")
    low, high = number(min(numbers), form), number(max(numbers), form)
    return low if low.text == high.text else Cell(f"{low.text} to {high.text}", low.value)
