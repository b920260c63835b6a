"""The regime: the conditions that each comparison's networks must meet before it counts, with their numbers."""

from collections.abc import Sequence

from lrlc.results.claims import Condition, Judged
from lrlc.results.claims.asked import Asked
from lrlc.results.claims.conditions import IMAGES, LENGTH, LINEAR, POSITIONS
from lrlc.results.markup.content import Block, Cell, Column, Section, Table, Text
from lrlc.results.report.text import number, words

COLUMNS = (
    Column("condition"),
    Column("data set"),
    Column("of", "long"),
    Column("number", "numbers"),
    Column("needed", "numbers"),
    Column("unit"),
    Column("met"),
)
HOW_TO_READ = (
    "The claims are about trained networks. A comparison is decided only if, for both sides and on each data "
    "set, mean test accuracy exceeds that of multinomial logistic regression on the same training pixels; if "
    "with fewer epochs the effect of the same cells differs by less than the margin, or half the width of its "
    "interval if that is more; and if combining weights have left the constant they start at (measured by the "
    "standard deviation of a bank's weight over positions, and for input-dependent weights also over images). "
    "Otherwise it is out of regime, whatever its numbers."
)
ANY = (
    "This study judges in any regime (regime: any): its verdicts may be about networks that are not fully "
    "trained, or that a linear classifier beats."
)
OFF = "Not required by this study: {}."
ASKED = {LINEAR: "linear", LENGTH: "length", POSITIONS: "weights_std", IMAGES: "weights_std"}


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
        blocks.append(
            Table(
                "Conditions of the comparisons above, unmet ones first",
                COLUMNS,
                [_line(each) for each in ordered],
            )
        )
    return [Section("Regime", blocks)]


def _line(condition: Condition) -> list[Cell]:
    form = ".3f" if condition.name in (POSITIONS, IMAGES) else ".2f"
    needed = number(condition.needed, form)
    sign = "< " if condition.name == LENGTH else "> " if condition.name == LINEAR else "≥ "
    return [
        words(condition.name),
        words(condition.where),
        words(condition.what),
        number(condition.number, form) if condition.number is not None else words("none"),
        Cell(sign + needed.text, needed.value) if needed.text else words("none"),
        words(condition.unit),
        Cell("yes", mark="supported") if condition.holds else Cell("no", mark="contradicted"),
    ]
