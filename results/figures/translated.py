"""Gain over convolution as the images are translated, and the accuracy of convolution itself."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lrlc.results.claims.cells import Side, chosen
from lrlc.results.figures import style
from lrlc.results.figures.gains import REFERENCE, draw_kind, draw_means, gains_of, kind_handle, relaxed
from lrlc.results.figures.intervals import PERCENT, limits
from lrlc.results.figures.selection import NothingToDraw, Panel, Selection, panels
from lrlc.results.figures.words import label_places, legend_below
from lrlc.results.names import kinds_in_order
from lrlc.results.statistics import summarise
from lrlc.studies.claims import Cells
from lrlc.studies.titles import Title

CAPTION = (
    "Above: test accuracy minus that of a convolution trained with the same seed, against the largest shift of "
    "an image (evenly spaced, whatever the steps): mean and 95% t interval over seeds, with a faint dot for each "
    "seed. Where there are several ranks or placements, the first seeds choose one on validation and are left "
    "out of the result. Below: the convolution's own test accuracy."
)
APART = 0.11
"""Distance between the marks of two kinds, if two shifts are 1 apart."""


@dataclass(frozen=True)
class _Dial:
    """One data set at several shifts, in pixels: convolution's accuracies and each kind's gains, by shift and seed."""

    panel: Panel
    reference: Mapping[int, "pd.Series[float]"]
    gains: Mapping[str, Mapping[int, "pd.Series[float]"]]


def draw(selection: Selection) -> Figure:
    """A column per data set; raises NothingToDraw if no data set was translated by two amounts."""
    trials = selection.trials
    if not trials.empty:
        trials = trials.assign(dataset=_untranslated(trials))
    dials = [_dial(panel) for panel in panels(trials)]
    dials = [dial for dial in dials if dial.gains]
    if not dials:
        raise NothingToDraw("no data set has gains over convolution at two translations")
    figure, pairs = style.stacked(len(dials), heights=(2.175, 0.725))
    for number, (dial, (above, below)) in enumerate(zip(dials, pairs, strict=True)):
        below.sharex(above)
        _draw_gains(above, dial)
        _draw_reference(below, dial)
        style.title(above, dial.panel, _note(dial))
        if number % style.across(len(dials)) == 0:
            above.set_ylabel("gain over conv (points)")
            below.set_ylabel("conv (%)")
    kinds = kinds_in_order(kind for dial in dials for kind in dial.gains)
    legend_below(figure, [kind_handle(kind) for kind in kinds])
    return figure


def _untranslated(trials: pd.DataFrame) -> "pd.Series[str]":
    """The title of the data set without its shift."""
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
    groups = [gains for by_shift in dial.gains.values() for gains in by_shift.values()]
    ax.set_ylim(*limits(map(summarise, groups), np.concatenate([[0.0], *groups])))
    ax.set_xlim(-0.5, len(shifts) - 0.5)
    ax.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
    apart = min(APART, 0.8 / len(dial.gains))
    for number, (kind, by_shift) in enumerate(dial.gains.items()):
        aside = apart * (number - (len(dial.gains) - 1) / 2)
        places = [shifts.index(shift) + aside for shift in sorted(by_shift)]
        draw_kind(ax, kind, places, [gains for _, gains in sorted(by_shift.items())])
    label_places(ax, range(len(shifts)), [str(shift) for shift in shifts])
    ax.tick_params(axis="x", labelbottom=False)
    ax.yaxis.set_major_locator(MaxNLocator(6))


def _draw_reference(ax: Axes, dial: _Dial) -> None:
    shifts = sorted(dial.reference)
    found = [summarise(dial.reference[shift]).within(*PERCENT) for shift in shifts]
    ax.set_ylim(*limits(found, within=PERCENT))
    draw_means(ax, REFERENCE, range(len(shifts)), found)
    ax.set_xlabel("largest shift (pixels)")
    ax.yaxis.set_major_locator(MaxNLocator(3))


def _note(dial: _Dial) -> str:
    drawn = [gains for by_shift in dial.gains.values() for gains in by_shift.values()]
    reporting = {int(seed) for gains in drawn for seed in gains.index}
    return style.seeds_note(dial.panel.rows, [len(gains) for gains in drawn], reporting)
