"""The alternatives of pilots: validation accuracy against the setting tried, by kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lrlc.results.figures import style
from lrlc.results.figures.intervals import keep_within_percent
from lrlc.results.figures.looks import Stroke, kind_look
from lrlc.results.figures.selection import MOST_PANELS, NothingToDraw, Panel, Selection
from lrlc.results.figures.words import label_places, legend_below, shortened
from lrlc.results.names import kind_name, kinds_in_order, options_name
from lrlc.results.tuning import Tried, Tuned, axis_name, details

CAPTION = (
    "Validation accuracy of the pilots against the setting that was tried: a dot is a seed, a line joins the "
    "means. The large mark is the choice, with which the grid is trained; an arrow beside it means that it is "
    "the lowest or highest value tried, so the best may lie beyond. Crosses at the bottom: a pilot diverged or "
    "failed. If several settings were tried together, the others are at their chosen values."
)
TRIAL_COLUMNS = ("trial_id",)
APART, SPREAD = 0.08, 0.5
"""Distances between two kinds' marks for one value, and between the outermost ones, if values are 1 apart."""
STROKES: Sequence[Stroke] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (4, 1, 1, 1)))
"""Line styles of groups of one kind."""


@dataclass(frozen=True)
class _Slice:
    """A group of cells along one axis: the values tried, with all else as chosen, in the order of the grid."""

    name: str
    stroke: Stroke
    tuned: Tuned
    tried: Mapping[object, Tried]


def draw(selection: Selection) -> Figure:
    """A panel per data set, network and axis; raises NothingToDraw if nothing was tuned."""
    if not selection.tuning and selection.trials.empty:
        raise NothingToDraw("no trial has a row yet")
    found = _panels(selection.tuning)
    figure, axes = style.grid(len(found), panel_height=2.3)
    networks = {each.network for each in selection.tuning}
    for number, (ax, ((dataset, network, axis), slices)) in enumerate(zip(axes, found.items(), strict=True)):
        _draw_panel(ax, slices, axis)
        panel = Panel(dataset, network if len(networks) > 1 else "", pd.DataFrame())
        style.title(ax, panel, _note(slices, axis))
        if number % style.fitting(len(found)) == 0:
            ax.set_ylabel("validation accuracy (%)")
    _legend(figure, [each for slices in found.values() for each in slices])
    return figure


def _panels(tuning: Sequence[Tuned]) -> dict[tuple[str, str, str], list[_Slice]]:
    if not tuning:
        raise NothingToDraw("the study tunes nothing, or its pilots have not ended")
    found: dict[tuple[str, str, str], list[_Slice]] = {}
    for each, detail in zip(tuning, details(tuning), strict=True):
        for axis in each.chosen.setting:
            slices = found.setdefault((each.dataset, each.network, axis), [])
            stroke = STROKES[sum(other.tuned.kind == each.kind for other in slices) % len(STROKES)]
            slices.append(_Slice(_name(each, detail), stroke, each, _along(each, axis)))
    if len(found) > MOST_PANELS:
        raise NothingToDraw(f"it needs {len(found)} panels; the maximum is {MOST_PANELS}")
    return found


def _along(tuned: Tuned, axis: str) -> dict[object, Tried]:
    others = {name: value for name, value in tuned.chosen.setting.items() if name != axis}
    return {each.setting[axis]: each for each in tuned.tried if others.items() <= each.setting.items()}


def _name(tuned: Tuned, detail: str) -> str:
    """'LRLC, fixed', with options and training settings in which groups of the kind differ."""
    return ", ".join(text for text in (kind_name(tuned.kind), options_name(tuned.options), detail) if text)


def _draw_panel(ax: Axes, slices: Sequence[_Slice], axis: str) -> None:
    places = _places([value for each in slices for value in each.tried])
    for number, each in enumerate(slices):
        aside = min(APART, SPREAD / len(slices)) * (number - (len(slices) - 1) / 2)
        x = {value: place + aside for value, place in places.items()}
        chosen = each.tuned.chosen.setting[axis]
        _draw_slice(ax, each, x, chosen)
        if axis in each.tuned.edges:
            _arrow(
                ax, x[chosen], 100 * each.tuned.chosen.mean, to_the_right=each.tuned.edges[axis] == "highest"
            )
    ax.set_xlim(-0.6, len(places) - 0.4)
    label_places(ax, range(len(places)), [shortened(_text(value), 0.8, 7) for value in places])
    ax.set_xlabel(axis_name(axis))
    ax.margins(y=0.12)
    keep_within_percent(ax)


def _places(values: Sequence[object]) -> dict[object, int]:
    """Each value's place on the axis, one step apart: numbers by size, words in the study's order."""
    known = list(dict.fromkeys(values))
    numbers = [value for value in known if isinstance(value, int | float) and not isinstance(value, bool)]
    ordered = sorted(numbers) if len(numbers) == len(known) else known
    return {value: place for place, value in enumerate(ordered)}


def _draw_slice(ax: Axes, of_kind: _Slice, x: Mapping[object, float], chosen: object) -> None:
    look = kind_look(of_kind.tuned.kind)
    colour = look.colour
    values = sorted(of_kind.tried, key=lambda value: x[value])
    means = [100 * of_kind.tried[value].mean for value in values]
    ax.plot(
        [x[value] for value in values], means, color=colour, linewidth=0.9, linestyle=of_kind.stroke, zorder=2
    )
    for value, mean in zip(values, means, strict=True):
        seeds = [100 * each for each in of_kind.tried[value].accuracies.values() if each is not None]
        ax.scatter([x[value]] * len(seeds), seeds, s=5, color=colour, alpha=0.45, linewidths=0, zorder=2)
        is_chosen = value == chosen
        ax.scatter(
            x[value],
            mean,
            s=30 if is_chosen else 11,
            marker=look.marker,
            facecolors=colour if is_chosen else "white",
            edgecolors=style.INK if is_chosen else colour,
            linewidths=0.6,
            zorder=4 if is_chosen else 3,
            clip_on=False,
        )
        if len(seeds) < len(of_kind.tried[value].accuracies):
            _cross(ax, x[value], colour)


def _arrow(ax: Axes, x: float, y: float, *, to_the_right: bool) -> None:
    """Draw an arrow beside a choice at the edge, towards values that were not tried."""
    text, aside, side = ("→", 4, "left") if to_the_right else ("←", -4, "right")
    ax.annotate(
        text,
        (x, y),
        (aside, 0),
        textcoords="offset points",
        ha=side,
        va="center",
        fontsize=7,
        color=style.INK,
    )


def _cross(ax: Axes, x: float, colour: str) -> None:
    foot = ax.get_xaxis_transform()
    ax.scatter(x, 0.02, s=10, marker="x", color=colour, linewidths=0.8, transform=foot, clip_on=False)


def _note(slices: Sequence[_Slice], axis: str) -> str:
    """'2 pilot seeds, 1 choice at the edge'."""
    seeds = max(len(each.tuned.chosen.accuracies) for each in slices)
    at_edge = sum(axis in each.tuned.edges for each in slices)
    edge = f", {at_edge} choice{'s' * (at_edge > 1)} at the edge" if at_edge else ""
    return f"{seeds} pilot seed{'s' * (seeds > 1)}{edge}"


def _legend(figure: Figure, slices: Sequence[_Slice]) -> None:
    order = {kind: place for place, kind in enumerate(kinds_in_order(each.tuned.kind for each in slices))}
    named = {each.name: each for each in slices}
    legend_below(
        figure,
        list(map(_handle, sorted(named.values(), key=lambda each: (order[each.tuned.kind], each.name)))),
    )


def _handle(of_kind: _Slice) -> Line2D:
    look = kind_look(of_kind.tuned.kind)
    return Line2D(
        [],
        [],
        color=look.colour,
        linestyle=of_kind.stroke,
        linewidth=0.9,
        marker=look.marker,
        markersize=4,
        label=of_kind.name,
    )


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
