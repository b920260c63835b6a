"""The settings that pilots chose for each kind, and choices at the edge of the values tried."""

import json
import math
from collections.abc import Sequence

from lrlc.results.claims.better_settings import BetterSetting
from lrlc.results.markup.content import Block, Bullets, Cell, Column, Section, Table, Text
from lrlc.results.names import dataset_name, kind_name, layers_name
from lrlc.results.report.text import number, words
from lrlc.results.tuning import Tuned, details, setting_name

COLUMNS = (
    Column("data set"),
    Column("network"),
    Column("layer"),
    Column("trained with"),
    Column("pilots' cell"),
    Column("chosen"),
    Column("validation accuracy, %", "numbers"),
    Column("next best"),
    Column("better by, points", "numbers"),
    Column("pilots", "numbers"),
    Column("did not finish", "numbers"),
    Column("at the edge"),
)
HOW_TO_READ = (
    "Pilots, with seeds that nothing else uses, tried each setting for each layer on each data set; the setting "
    "with the best mean validation accuracy was chosen, and every rank and placement of the layer is trained with "
    "it, whichever the pilots had. Layers are therefore compared at their own best settings, as far as these are "
    "among those tried, and pilots can tell: if they are shorter than the trials, they favour settings that learn fast."
)


def section(tuning: Sequence[Tuned], better: Sequence[BetterSetting] = ()) -> list[Section]:
    """The one section, or none if the study tunes nothing; `better` are settings known to beat the chosen ones."""
    if not tuning:
        return []
    lines = [_line(each, detail) for each, detail in zip(tuning, details(tuning), strict=True)]
    several = {each.network for each in tuning}
    told = [at for at in range(len(COLUMNS)) if any(line[at].text for line in lines)]
    if len(several) == 1:
        told.remove(1)
    table = Table(
        "What was chosen", [COLUMNS[at] for at in told], [[line[at] for at in told] for line in lines]
    )
    warnings = [*_warnings(tuning), *(f"{each}." for each in better)]
    blocks: list[Block] = [Text(HOW_TO_READ), table]
    return [Section("Tuning by kind", [*blocks, Bullets(warnings)] if warnings else blocks)]


def _line(tuned: Tuned, detail: str) -> list[Cell]:
    chosen = tuned.chosen
    options = "".join(f", {name} {value}" for name, value in json.loads(tuned.options).items())
    pilots = sum(len(each.accuracies) for each in tuned.tried)
    unfinished = pilots - sum(each.finished for each in tuned.tried)
    second = tuned.second
    return [
        words(dataset_name(tuned.dataset)),
        words(tuned.network),
        words(kind_name(tuned.kind) + options),
        words(detail),
        words(_cell(tuned)),
        words(setting_name(chosen.setting)),
        number(100 * chosen.mean, ".1f"),
        words("" if math.isnan(second.mean) else setting_name(second.setting)),
        number(100 * (chosen.mean - second.mean), "+z.1f"),
        number(pilots, "d"),
        number(unfinished, "d") if unfinished else words(""),
        _edges(tuned),
    ]


def _edges(tuned: Tuned) -> Cell:
    text = ", ".join(f"{edge} tried" for edge in tuned.edges.values())
    return Cell(text, mark="undecided") if text else Cell("")


def _cell(tuned: Tuned) -> str:
    """'rank 2, layer 3': what stands for the layer's ranks and placements; '' for a convolution."""
    rank = "" if tuned.rank is None else f"rank {tuned.rank}"
    return ", ".join(filter(None, [rank, layers_name(tuned.placement)]))


def _warnings(tuning: Sequence[Tuned]) -> list[str]:
    at_edge = sum(bool(each.edges) for each in tuning)
    blind = sum(not each.chosen.finished for each in tuning)
    found = []
    if at_edge:
        found.append(
            f"Choices at the lowest or highest value that was tried: {at_edge} of {len(tuning)}. The best may lie "
            "beyond: a run with further values in tune.grid trains only their pilots and what they change."
        )
    if blind:
        found.append(f"Choices without a pilot that finished: {blind} of {len(tuning)}.")
    return found
