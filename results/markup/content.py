"""The content of a page, as data, which `html` and `markdown` render alike. All texts here are plain text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Text:
    """Blank lines separate paragraphs."""

    text: str


@dataclass(frozen=True)
class Bullets:
    lines: Sequence[str]


@dataclass(frozen=True)
class Counts:
    """A count with its label: (45, 'finished')."""

    entries: Sequence[tuple[int, str]]


@dataclass(frozen=True)
class Definitions:
    """Definitions of terms, in order."""

    entries: Mapping[str, str]


@dataclass(frozen=True)
class Commands:
    """Commands to type."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Folded:
    """A long text, collapsed under its title."""

    title: str
    text: str


@dataclass(frozen=True)
class Cell:
    """A table's cell; `value` is the sort key in a column of numbers, `mark` names a style: 'supported'."""

    text: str
    value: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Column:
    """`numbers` are right-aligned and sorted by value; `estimates` are numbers with their interval; a `long` text is
    wrapped."""

    name: str
    kind: Literal["words", "numbers", "estimates", "long"] = "words"

    @property
    def is_numeric(self) -> bool:
        return self.kind in ("numbers", "estimates")


@dataclass(frozen=True)
class Table:
    """`caption` names the table, `note` explains how to read it; each row has a cell for each column."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """An image's bytes: an SVG or a PNG, depending on `format`. `name` is usable as a file name."""

    name: str
    caption: str
    format: Literal["svg", "png"]
    image: bytes

    @property
    def title(self) -> str:
        """'rank_vs_accuracy' as 'Rank vs accuracy'."""
        words = self.name.replace("_", " ")
        return words[:1].upper() + words[1:]


Block = Text | Bullets | Counts | Definitions | Commands | Folded | Table | Figure


@dataclass(frozen=True)
class Section:
    """A part of the page under a unique heading."""

    heading: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """The anchor that Markdown renderers derive from the heading: 'Data sets' gives 'data-sets'."""
        kept = "".join(letter for letter in self.heading.lower() if letter.isalnum() or letter in " -")
        return kept.replace(" ", "-")


@dataclass(frozen=True)
class Page:
    """`question`, `answer` (one sentence) and `effect` (numbers) summarise the page.

    `facts` are shown below them.
    """

    title: str
    question: str
    answer: str
    facts: Sequence[Block]
    sections: Sequence[Section]
    effect: str = ""
