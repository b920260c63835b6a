"""Replace characters missing from the figures' font, as data sets and kinds may have any name.

Using the machine's fonts is not an option, as the same rows would give other bytes elsewhere.
"""

import unicodedata
from functools import cache, lru_cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

FONT = "DejaVu Sans"  # comes with matplotlib: the same on every machine
SYMBOL = "So"
"""The Unicode category of emoji and similar symbols, whose names say what they show."""
VARIES = ("Cf", "Mn", "Me")
"""Unicode categories of characters that only join or modify others."""


@lru_cache(maxsize=4096)
def drawable(text: str) -> str:
    r"""'数 🚀' as '\u6570 [rocket]'; modifying characters are left out."""
    return text if text.isascii() else "".join(map(_drawable, text))


def replace_undrawable(figure: Figure) -> None:
    """Replace missing characters in all texts of a figure, including tick labels."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(drawable(text.get_text()))
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(named := axis.get_major_formatter(), FuncFormatter):
                axis.set_major_formatter(_drawable_names(named))


def _drawable_names(named: FuncFormatter) -> FuncFormatter:
    return FuncFormatter(lambda place, number: drawable(named(place, number)))


@cache
def _drawable(letter: str) -> str:
    if letter == "\n" or all(font.get_char_index(ord(letter)) for font in _fonts()):
        return letter
    category = unicodedata.category(letter)
    if category in VARIES:
        return ""
    name = unicodedata.name(letter, "")
    return f"[{name.lower()}]" if category == SYMBOL and name else ascii(letter)[1:-1]


@cache
def _fonts() -> list[FT2Font]:
    return [get_font(findfont(FontProperties(family=FONT, weight=weight))) for weight in ("normal", "bold")]
