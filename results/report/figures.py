"""Every figure that the rows allow, and the reasons for missing ones."""

from typing import Literal

from lrlc.results.figures import NothingToDraw, Selection, caption, figure_names, render
from lrlc.results.markup.content import Block, Bullets, Figure, Section


def section(selection: Selection, image_format: Literal["svg", "png"]) -> Section:
    drawn: list[Block] = []
    skipped = []
    for name in figure_names():
        try:
            image = render(name, selection, [image_format])[image_format]
        except NothingToDraw as reason:
            skipped.append(f"Not drawn: {name.replace('_', ' ')} ({reason}).")
        else:
            drawn.append(Figure(name, caption(name), image_format, image))
    return Section("Figures", [*drawn, Bullets(skipped)] if skipped else drawn)
