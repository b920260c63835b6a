"""Gain over convolution as the images are translated, and what convolution itself then reaches."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lrlc.results.claims.cells import Side, chosen
from lrlc.results.figures import style
from lrlc.results.figures.gains import (
    REFERENCE,
    draw_kind,
    gains_of,
    kind_handle,
    kinds_in_order,
    limits,
    relaxed,
)
from lrlc.results.figures.pareto import MARKERS
from lrlc.results.figures.selection import NothingToDraw, Panel, Selection, panels
from lrlc.results.statistics import summarise
from lrlc.studies.claims import Cells
from lrlc.studies.titles import Title

CAPTION = (
    "Above: test accuracy over that of a convolution trained with the same seed, against the furthest that an image "
    "was shifted (spaced evenly, whatever the steps): mean and 95% t interval over seeds, a faint dot each. "
    "Of several ranks or placements the first seeds choose one on validation, and do not report it. "
    "Below: the convolution's own test accuracy."
)
APART = 0.11
"""Between the marks of two kinds, where two shifts are 1 apart."""


@dataclass(frozen=True)
class _Dial:
    """One data set at its shifts, in pixels: by shift the convolution's accuracies, and by kind the gains, by seed."""

    panel: Panel
    reference: Mapping[int, "pd.Series[float]"]
    gains: Mapping[str, Mapping[int, "pd.Series[float]"]]


def draw(selection: Selection) -> Figure:
    """A column per data set; raises NothingToDraw where no data set was translated by two amounts."""
    trials = selection.trials
    if not trials.empty:
        trials = trials.assign(dataset=_untranslated(trials))
    dials = [_dial(panel) for panel in panels(trials)]
    dials = [dial for dial in dials if dial.gains]
    if not dials:
        raise NothingToDraw("no data set has gains over convolution at two translations")
    figure, pairs = style.stacked(len(dials), heights=(2.175, 0.725), below=0.4)
    for number, (dial, (above, below)) in enumerate(zip(dials, pairs, strict=True)):
        below.sharex(above)
        _draw_gains(above, dial)
        _draw_reference(below, dial)
        style.title(above, dial.panel, _note(dial))
        if number % style.ACROSS == 0:
            above.set_ylabel("gain over conv (points)")
            below.set_ylabel("conv (%)")
    kinds = kinds_in_order([kind for dial in dials for kind in dial.gains])
    columns = min(len(kinds), min(len(dials), style.ACROSS) + 1)
    handles = style.row_major([kind_handle(kind) for kind in kinds], columns)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, handlelength=3)
    return figure


def _untranslated(trials: pd.DataFrame) -> "pd.Series[str]":
    """What the data set is called without its shift."""
    known = trials[["dataset", "translate"]].drop_duplicates("dataset")
    names = {
        name: str(replace(Title.parse(name), translate=0)) if shift else name
        for name, shift in zip(known["dataset"], known["translate"], strict=True)
    }
    return trials["dataset"].map(names)


def _dial(panel: Panel) -> _Dial:
    reference: dict[int, pd.Series[float]] = {}
    gains: dict[str, dict[int, pd.Series[float]]] = {}
    kinds = kinds_in_order([kind for kind in panel.rows["kind"] if kind != REFERENCE])
    for shift, rows in panel.rows.groupby("translate"):
        own = chosen(Side.of(rows, Cells(kind=REFERENCE)))
        if own.empty:
            continue
        reference[int(str(shift))] = own
        for kind in kinds:
            found = gains_of(rows, relaxed(panel.rows, kind))
            if len(found):
                gains.setdefault(kind, {})[int(str(shift))] = found
    return _Dial(panel, reference, {kind: found for kind, found in gains.items() if len(found) > 1})


def _draw_gains(ax: Axes, dial: _Dial) -> None:
    shifts = sorted(dial.reference)
    ax.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
    for number, (kind, by_shift) in enumerate(dial.gains.items()):
        aside = APART * (number - (len(dial.gains) - 1) / 2)
        places = [shifts.index(shift) + aside for shift in sorted(by_shift)]
        draw_kind(ax, kind, places, [gains for _, gains in sorted(by_shift.items())])
    groups = [gains for by_shift in dial.gains.values() for gains in by_shift.values()]
    ax.set_ylim(*limits(groups, always=[0.0]))
    ax.set_xlim(-0.4, len(shifts) - 0.6)
    ax.set_xticks(range(len(shifts)), [str(shift) for shift in shifts])
    ax.tick_params(axis="x", labelbottom=False)
    ax.yaxis.set_major_locator(MaxNLocator(6))


def _draw_reference(ax: Axes, dial: _Dial) -> None:
    shifts = sorted(dial.reference)
    found = [summarise(dial.reference[shift]) for shift in shifts]
    ax.errorbar(
        range(len(shifts)),
        [each.mean for each in found],
        yerr=[style.half_width(each) for each in found],
        color=style.kind_colour(REFERENCE),
        marker=MARKERS[REFERENCE],
        markersize=3,
        linewidth=0.8,
    )
    ax.set_xlabel("largest shift (pixels)")
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.margins(y=0.15)


def _note(dial: _Dial) -> str:
    drawn = [gains for by_shift in dial.gains.values() for gains in by_shift.values()]
    reporting = {int(seed) for gains in drawn for seed in gains.index}
    return style.seeds_note(dial.panel.rows, [len(gains) for gains in drawn], reporting)
