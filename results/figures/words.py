"""Fitting text: widths in inches, names shortened in the middle, tick labels without overlap, legends below."""

import re
from collections.abc import Sequence
from functools import lru_cache

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from lrlc.results.figures.glyphs import FONT, drawable

LEGEND_POINTS = 7.0
ROW_INCHES, HANDLE_LENGTH, HANDLE_PAD, COLUMN_GAP = 0.155, 2.6, 0.8, 1.8
"""A legend's row height in inches, and the widths of handles and gaps in font sizes."""
LONG_PATTERN = 10.0
"""Points; a handle of that length does not show such a pattern of dashes."""
EDGE_INCHES = 0.12
_JOINTS = re.compile("( · |, )")
CUT = "…"
"""Replaces omitted letters."""


@lru_cache(maxsize=4096)
def width_inches(text: str, points: float, *, bold: bool = False) -> float:
    """The drawn width of a line of text."""
    font = FontProperties(family=FONT, size=points, weight="bold" if bold else "normal")
    width, _, _ = text_to_path.get_text_width_height_descent(drawable(text), font, ismath=False)
    return float(width) / 72


def shortened(text: str, inches: float, points: float, *, bold: bool = False) -> str:
    """The text on one line of at most this width; a longer text keeps both ends, which distinguish names."""
    line = " ".join(text.split())
    if width_inches(line, points, bold=bold) <= inches:
        return line
    line = line.replace(CUT, "")  # if it was shortened before, cut it in the same place
    low, high = 1, len(line) - 1  # letters kept
    while low < high:
        middle = (low + high + 1) // 2
        fits = width_inches(_kept(line, middle), points, bold=bold) <= inches
        low, high = (middle, high) if fits else (low, middle - 1)
    return _kept(line, low)


def distinct(names: Sequence[str], inches: float, points: float) -> list[str]:
    """The names shortened; those that become equal are numbered, so that all names are distinct."""
    found: list[str] = []
    for name in names:
        short, number = shortened(name, inches, points), 1
        while short in found:
            number += 1
            mark = f" #{number}"
            short = shortened(name, inches - width_inches(mark, points), points) + mark
        found.append(short)
    return found


def _kept(text: str, letters: int) -> str:
    first = (letters + 1) // 2
    return f"{text[:first].rstrip()}{CUT}{text[len(text) - (letters - first) :].lstrip()}"


def wrapped(phrases: Sequence[tuple[str, str]], inches: float, points: float) -> str:
    """Phrases, each with the text that joins it to the previous one, on as few lines as possible."""
    lines: list[str] = []
    for joint, text in phrases:
        phrase = shortened(text, inches, points)
        longer = f"{lines[-1]}{joint}{phrase}" if lines else phrase
        if lines and width_inches(longer, points) <= inches:
            lines[-1] = longer
        else:
            lines.append(phrase)
    return "\n".join(lines)


def refitted(text: str, inches: float, points: float) -> str:
    """The text with lines that are too wide broken between phrases, as their middle is also informative."""
    lines: list[str] = []
    for line in text.split("\n"):
        pieces = _JOINTS.split(line)
        lines.append(wrapped(list(zip(["", *pieces[1::2]], pieces[::2], strict=True)), inches, points))
    return "\n".join(lines)


def panel_inches(ax: Axes) -> float:
    """The width of a panel, including its tick labels."""
    figure, spec = ax.figure, ax.get_subplotspec()
    assert isinstance(figure, Figure)
    columns = 1 if spec is None else spec.get_gridspec().ncols
    return float(figure.get_figwidth()) / columns


def label_places(ax: Axes, places: Sequence[float], labels: Sequence[str], *, points: float = 7.0) -> None:
    """A tick at every place of the horizontal axis, and labels, from both ends, as far as they do not overlap.

    The limits and the scale must be set before.
    """
    inches = 0.72 * panel_inches(ax)
    shares = [ax.transAxes.inverted().transform(ax.transData.transform((place, 1.0)))[0] for place in places]
    halves = [width_inches(label, points) / 2 for label in labels]
    kept = [len(places) - 1] if len(places) else []
    for at in range(len(places) - 1):
        others = [*kept[1:][-1:], *kept[:1]]
        if all(
            abs(shares[at] - shares[other]) * inches > halves[at] + halves[other] + 0.03 for other in others
        ):
            kept.append(at)
    ax.set_xticks(places, [label if at in kept else "" for at, label in enumerate(labels)])


def no_handle() -> Line2D:
    """An empty entry in a legend."""
    return Line2D([], [], linestyle="", label=" ")


def row_major(handles: Sequence[Line2D], columns: int) -> list[Line2D]:
    """Reorder handles so that a legend with this many columns, which fills columns first, shows them by rows."""
    padded = [*handles, *[no_handle()] * (-len(handles) % columns)]
    return [handle for column in range(columns) for handle in padded[column::columns]]


def legend_below(figure: Figure, *groups: Sequence[Line2D]) -> None:
    """A legend below all panels, each group in separate rows, with as many columns as fit.

    The figure grows by the legend's height, so that the panels keep theirs.
    """
    width = figure.get_figwidth() - 2 * EDGE_INCHES
    handles = [handle for group in groups for handle in group]
    handle_length = _handle_length(handles)
    most = (handle_length + HANDLE_PAD) * LEGEND_POINTS / 72
    labels = distinct([str(handle.get_label()) for handle in handles], width - most, LEGEND_POINTS)
    for handle, label in zip(handles, labels, strict=True):
        handle.set_label(label)
    kept = [list(group) for group in groups if group]
    if _legend_inches(handles, len(handles), handle_length) <= width:
        kept = [handles]
    columns = next(
        count
        for count in range(max(map(len, kept), default=1), 0, -1)
        if count == 1 or _legend_inches(_padded(kept, count), count, handle_length) <= width
    )
    rows = _padded(kept, columns)
    figure.set_figheight(figure.get_figheight() + ROW_INCHES * len(rows) / columns + 0.15)
    figure.legend(
        handles=row_major(rows, columns),
        loc="outside lower center",
        ncols=columns,
        handlelength=handle_length,
        handletextpad=HANDLE_PAD,
        columnspacing=COLUMN_GAP,
    )


def _padded(groups: Sequence[Sequence[Line2D]], columns: int) -> list[Line2D]:
    return [handle for group in groups for handle in [*group, *[no_handle()] * (-len(group) % columns)]]


def _handle_length(handles: Sequence[Line2D]) -> float:
    """The length that shows two turns of the longest pattern of dashes, in font sizes."""
    patterns = [handle._dash_pattern[1] or () for handle in handles]  # type: ignore[attr-defined]
    longest = max((sum(pattern) for pattern in patterns), default=0.0)
    return max(HANDLE_LENGTH, 2 * longest / LEGEND_POINTS) if longest > LONG_PATTERN else HANDLE_LENGTH


def _legend_inches(handles: Sequence[Line2D], columns: int, handle_length: float) -> float:
    """The width of these handles in this many columns, row by row."""
    if not handles:
        return 0.0
    texts = [
        max(width_inches(str(handle.get_label()), LEGEND_POINTS) for handle in handles[column::columns])
        for column in range(min(columns, len(handles)))
    ]
    letters = len(texts) * (handle_length + HANDLE_PAD) + (len(texts) - 1) * COLUMN_GAP + 1
    return sum(texts) + letters * LEGEND_POINTS / 72
