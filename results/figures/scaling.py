"""Accuracy, and gain over convolution, against the number of training images or of epochs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from lrlc.results.claims.cells import Side, chosen
from lrlc.results.figures import style
from lrlc.results.figures.gains import REFERENCE, draw_kind, draw_means, gains_of, kind_handle, relaxed
from lrlc.results.figures.intervals import PERCENT, limits
from lrlc.results.figures.selection import MOST_PANELS, PANEL, NothingToDraw, Panel, Selection
from lrlc.results.figures.words import label_places, legend_below
from lrlc.results.names import kinds_in_order, setting_name, setting_value
from lrlc.results.schema import TrialStatus
from lrlc.results.statistics import LAYER_SETTINGS, TRAINING_SETTINGS, summarise

CAPTION = (
    "Above: test accuracy against the number of training images, or of epochs, on a log scale; logistic "
    "regression on the same training pixels is dashed, or written out if it is far away. Below: the gain over a "
    "convolution trained with the same seed. Means and 95% t intervals over seeds, with a faint dot for each "
    "gain; layer kinds are drawn slightly apart. Where there are several ranks or placements, the first seeds "
    "choose one on validation and are left out of the result."
)
TRIAL_COLUMNS = (
    *PANEL, *LAYER_SETTINGS, "status", "seed", "test_accuracy", "validation_accuracy", "test_images"
)  # fmt: skip
AXES = {"train_images": "training images", "epochs": "epochs"}
APART = 0.025
"""Distance between the marks of two kinds, as a share of the axis."""


@dataclass(frozen=True)
class _Dial:
    """One data set at several values of an axis: percent or points by seed, for each kind and value."""

    panel: Panel
    axis: str
    accuracies: Mapping[str, Mapping[int, "pd.Series[float]"]]
    gains: Mapping[str, Mapping[int, "pd.Series[float]"]]
    linear: Mapping[int, float]
    """The linear classifier's accuracy in percent, if it is known."""

    @property
    def values(self) -> list[int]:
        return sorted({value for by_value in self.accuracies.values() for value in by_value})


def draw(selection: Selection) -> Figure:
    """A column per data set and axis; raises NothingToDraw if neither axis has two values."""
    dials = [dial for dial in _dials(selection) if len(dial.values) > 1 and dial.gains]
    if not dials:
        raise NothingToDraw(
            "no data set has gains over convolution at two numbers of training images or epochs"
        )
    if len(dials) > MOST_PANELS:
        raise NothingToDraw(f"it needs {len(dials)} panels; the maximum is {MOST_PANELS}")
    figure, pairs = style.stacked(len(dials), heights=(1.8, 1.8))
    for number, (dial, (above, below)) in enumerate(zip(dials, pairs, strict=True)):
        below.sharex(above)
        _draw_accuracies(above, dial)
        _draw_gains(below, dial)
        style.title(above, dial.panel, _note(dial))
        if number % style.across(len(dials)) == 0:
            above.set_ylabel("test accuracy (%)")
            below.set_ylabel("gain over conv (points)")
    _legend(figure, dials)
    return figure


def _dials(selection: Selection) -> Iterator[_Dial]:
    trials = selection.trials
    if trials.empty:
        raise NothingToDraw("no trial has a row yet")
    finished = trials[trials["status"] == TrialStatus.FINISHED]
    for (dataset, _), rows in finished.groupby(["dataset", "network"], sort=False, observed=True):
        varying = [name for name in TRAINING_SETTINGS if rows[name].nunique(dropna=False) > 1]
        for axis in AXES:
            if axis in varying:
                for detail, part in _alike(rows, axis, varying):
                    yield _dial(selection, Panel(str(dataset), detail, part), axis)
                if _follow(rows, axis, varying):
                    break


def _alike(rows: pd.DataFrame, axis: str, varying: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Groups of rows that differ only in `axis` and in settings that follow from it (more epochs for fewer images)."""
    others = [name for name in varying if name != axis]
    if _follow(rows, axis, varying):
        ends = rows.sort_values(axis)[others].iloc[[0, -1]]
        yield (
            ", ".join(
                f"{_named(name, ends[name].iloc[0])} to {setting_value(name, ends[name].iloc[1])}"
                for name in others
            ),
            rows,
        )
        return
    for key, part in rows.groupby(others, dropna=False, sort=True):
        yield ", ".join(_named(name, value) for name, value in zip(others, key, strict=True)), part


def _named(name: str, value: object) -> str:
    """'images 3000', 'epochs 24', short enough for a panel's note."""
    return setting_name(name.removeprefix("train_"), value)


def _follow(rows: pd.DataFrame, axis: str, varying: Sequence[str]) -> bool:
    """Whether a value of `axis` determines all other varying settings."""
    return len(rows[list(varying)].drop_duplicates()) == rows[axis].nunique()


def _dial(selection: Selection, panel: Panel, axis: str) -> _Dial:
    accuracies: dict[str, dict[int, pd.Series[float]]] = {}
    gains: dict[str, dict[int, pd.Series[float]]] = {}
    linear: dict[int, float] = {}
    for key, rows in panel.rows.groupby(axis):
        value = round(float(str(key)))
        noted = selection.baseline(panel.dataset, rows)
        if noted is not None and noted.linear_accuracy is not None:
            linear[value] = 100 * noted.linear_accuracy
        for kind in panel.rows["kind"].unique():
            cells = relaxed(panel.rows, kind)
            if len(own := chosen(Side.of(rows, cells))):
                accuracies.setdefault(kind, {})[value] = own
            if kind != REFERENCE and len(found := gains_of(rows, cells)):
                gains.setdefault(kind, {})[value] = found
    return _Dial(panel, axis, accuracies, gains, linear)


def _draw_accuracies(ax: Axes, dial: _Dial) -> None:
    groups = [values for by_value in dial.accuracies.values() for values in by_value.values()]
    ax.set_ylim(*limits(map(summarise, groups), within=PERCENT))
    if dial.linear:
        _draw_linear(ax, dial)
    _draw_kinds(ax, dial, dial.accuracies, are_gains=False)
    ax.tick_params(axis="x", labelbottom=False)


def _draw_linear(ax: Axes, dial: _Dial) -> None:
    """Draw a line, or a note if the line is so far from the networks that it would squeeze them."""
    low, high = ax.get_ylim()
    room, margin = 0.5 * (high - low), 0.05 * (high - low)
    values, percents = zip(*sorted(dial.linear.items()), strict=True)
    least, most = min(percents), max(percents)
    if low - room <= least and most <= high + room:
        ax.plot(values, percents, color=style.INK, linestyle="--", linewidth=0.9, zorder=1)
        ax.set_ylim(max(0.0, min(low, least - margin)), min(100.0, max(high, most + margin)))
        return
    told = " to ".join(dict.fromkeys((f"{least:.1f}", f"{most:.1f}")))
    # Curves rise, so the corners at the top left and bottom right are free.
    if most > high:
        ax.text(0.02, 0.98, f"linear ↑ {told}", fontsize=6, va="top", transform=ax.transAxes)
    else:
        ax.text(0.99, 0.02, f"linear ↓ {told}", fontsize=6, ha="right", transform=ax.transAxes)


def _draw_gains(ax: Axes, dial: _Dial) -> None:
    groups = [values for by_value in dial.gains.values() for values in by_value.values()]
    ax.set_ylim(*limits(map(summarise, groups), np.concatenate([[0.0], *groups])))
    ax.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
    _draw_kinds(ax, dial, dial.gains, are_gains=True)
    ax.set_xscale("log")
    low, high = dial.values[0], dial.values[-1]
    margin = (high / low) ** 0.1
    ax.set_xlim(low / margin, high * margin)
    ax.xaxis.set_minor_locator(NullLocator())
    label_places(ax, dial.values, [f"{value:,}" for value in dial.values])
    ax.set_xlabel(AXES[dial.axis])


def _draw_kinds(
    ax: Axes, dial: _Dial, of_kinds: Mapping[str, Mapping[int, "pd.Series[float]"]], *, are_gains: bool
) -> None:
    kinds, span = kinds_in_order(of_kinds), np.log(dial.values[-1] / dial.values[0])
    apart = min(APART, 0.15 / len(kinds))
    for number, kind in enumerate(kinds):
        moved = np.exp(apart * span * (number - (len(kinds) - 1) / 2))
        by_value = sorted(of_kinds[kind].items())
        places, groups = [value * moved for value, _ in by_value], [one for _, one in by_value]
        if are_gains:
            draw_kind(ax, kind, places, groups)
        else:
            draw_means(ax, kind, places, [summarise(group).within(*PERCENT) for group in groups])
    ax.yaxis.set_major_locator(MaxNLocator(5))


def _note(dial: _Dial) -> str:
    drawn = [gains for by_value in dial.gains.values() for gains in by_value.values()]
    reporting = {int(seed) for gains in drawn for seed in gains.index}
    return style.seeds_note(dial.panel.rows, [len(gains) for gains in drawn], reporting)


def _legend(figure: Figure, dials: Sequence[_Dial]) -> None:
    handles = [
        kind_handle(kind) for kind in kinds_in_order({kind for dial in dials for kind in dial.accuracies})
    ]
    if any(dial.linear for dial in dials):
        label = "linear classifier"
        handles.append(Line2D([], [], color=style.INK, linestyle="--", linewidth=0.9, label=label))
    legend_below(figure, handles)
