"""A page as Markdown with pipe tables, as supported by GitHub, pandoc and editors; figures are separate files."""

import re
from collections.abc import Iterable, Mapping

from lrlc.results.markup.content import (
    Block,
    Bullets,
    Commands,
    Counts,
    Definitions,
    Figure,
    Folded,
    Page,
    Table,
    Text,
)

_MEANS_SOMETHING = re.compile(
    r"[\\`*\[\]<>|~$&]|(?<![^\W_])_|_(?![^\W_])"
    r"|^[-+](?=[-+\s]|$)|^=(?=[=\s]|$)|^#(?=[#\s]|$)"  # a list, a rule or a heading, but not '+0.27'
)
_NUMBERS_A_LIST = re.compile(r"^(\d+)([.)])(?=\s|$)")
"""'1. x', but not '0.27'."""


def to_markdown(page: Page, folder: str) -> tuple[str, Mapping[str, bytes]]:
    """The text, and its images by their relative path, which begins with `folder`."""
    figures = [block for part in page.sections for block in part.blocks if isinstance(block, Figure)]
    links = [f"- [{_plain(part.heading)}](#{part.anchor})" for part in page.sections]
    pieces = [f"# {_plain(page.title)}", _block(Text(page.question), folder), f"**{_plain(page.answer)}**"]
    pieces += [_block(block, folder) for block in (Text(page.effect), *page.facts)]
    pieces.append("\n".join(links))
    for part in page.sections:
        pieces.append(f"## {_plain(part.heading)}")
        pieces += [_block(block, folder) for block in part.blocks]
    text = "\n\n".join(piece for piece in pieces if piece) + "\n"
    return text, {_path(figure, folder): figure.image for figure in figures}


def _block(block: Block, folder: str) -> str:
    match block:
        case Text(text):
            return "\n\n".join(_plain(part) for part in text.split("\n\n") if part.strip())
        case Bullets(lines):
            return "\n".join(f"- {_plain(line)}" for line in lines)
        case Counts(entries):
            return ", ".join(f"**{number:,}** {_plain(what)}" for number, what in entries)
        case Definitions(entries):
            return "\n".join(f"- {_plain(term)}: {_plain(text)}" for term, text in entries.items())
        case Commands(lines):
            return _fenced("\n".join(lines))
        case Folded(title, text):
            return f"{_plain(title)}:\n\n{_fenced(text)}"
        case Table():
            return _table(block)
        case Figure():
            shown = f"![{_plain(block.title)}]({_path(block, folder)})"
            return f"### {_plain(block.title)}\n\n{shown}\n\n*{_plain(block.caption)}*"


def _table(table: Table) -> str:
    """Pipe tables have no caption, so it is a heading above, with the note below."""
    names = [_plain(column.name) for column in table.columns]
    rules = ["---:" if column.is_numeric else "---" for column in table.columns]
    rows = [[_plain(cell.text) for cell in row] for row in table.rows]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in [names, rules, *rows])
    return "\n\n".join(
        piece for piece in (f"### {_plain(table.caption)}", lines, _plain(table.note)) if piece
    )


def _path(figure: Figure, folder: str) -> str:
    return f"{folder}/{figure.name}.{figure.format}"


def _plain(text: str) -> str:
    """The text on one line, with Markdown's special characters escaped."""
    line = " ".join(text.split())
    return _NUMBERS_A_LIST.sub(r"\1\\\2", _MEANS_SOMETHING.sub(r"\\\g<0>", line))


def _fenced(text: str) -> str:
    """A fenced block, with a fence longer than any run of backticks in it."""
    longest = max((len(run) for run in _runs(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _runs(text: str) -> Iterable[str]:
    return re.findall(r"`+", text)
