"""What a page says, as data: `html` and `markdown` make the same page of it. Every text here is plain text."""

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
    """How many of what: (45, 'finished')."""

    entries: Sequence[tuple[int, str]]


@dataclass(frozen=True)
class Definitions:
    """What a term stands for, in order."""

    entries: Mapping[str, str]


@dataclass(frozen=True)
class Commands:
    """Lines to type."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Folded:
    """A long text as it stands, behind its title."""

    title: str
    text: str


@dataclass(frozen=True)
class Cell:
    """A table's cell; `value` is what a column of numbers is sorted by, `mark` names a look: 'supported'."""

    text: str
    value: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Column:
    """`numbers` stand to the right and sort by value; `estimates` are numbers with their interval, a `long` text is
    broken into lines."""

    name: str
    kind: Literal["words", "numbers", "estimates", "long"] = "words"

    @property
    def is_numeric(self) -> bool:
        return self.kind in ("numbers", "estimates")


@dataclass(frozen=True)
class Table:
    """`caption` names the table, `note` says how to read it; each row has a cell for each column."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """An image's bytes: an SVG or a PNG, as `format` says. `name` would do as a file's."""

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
    """A part of the page under its heading, which no other section has."""

    heading: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """As Markdown's readers make it of the heading: 'What was asked' is 'what-was-asked'."""
        kept = "".join(letter for letter in self.heading.lower() if letter.isalnum() or letter in " -")
        return kept.replace(" ", "-")


@dataclass(frozen=True)
class Page:
    """`question`, in one sentence `answer`, and `effect` in numbers are for who reads no further.

    `facts` stand below them.
    """

    title: str
    question: str
    answer: str
    facts: Sequence[Block]
    sections: Sequence[Section]
    effect: str = ""
