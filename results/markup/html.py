"""A page as one HTML file that loads nothing; all text is escaped here.

It is readable without scripts. Its one script, allowed by its hash in the page's policy, sorts and filters tables.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from html import escape
from itertools import count
from pathlib import Path
from string import Template

from lrlc.results.markup.content import (
    Block,
    Bullets,
    Cell,
    Column,
    Commands,
    Counts,
    Definitions,
    Figure,
    Folded,
    Page,
    Section,
    Table,
    Text,
)

HERE = Path(__file__).parent
MIME = {"svg": "image/svg+xml", "png": "image/png"}
CUE = '<p class="cue" aria-hidden="true">Scroll sideways for the rest →</p>'
"""Placed below content that may be wider than the screen; shown only if it is."""
WIDE_LETTERS = 30
"""Maximum length of a name; longer ones are wrapped, even within words."""
SCREEN_SCALE = 1.33
"""Figures are shown a third larger than on paper."""


def to_html(page: Page) -> str:
    """The whole file; deterministic for a given page."""
    script = (HERE / "tables.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    numbers = count(1)
    links = [f'<a href="#{part.anchor}">{escape(part.heading)}</a>' for part in page.sections]
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(page.title),
        question=_block(Text(page.question), numbers),
        answer=escape(page.answer),
        effect=_block(Text(page.effect), numbers),
        summary=escape(" ".join(filter(None, [page.answer, page.effect]))),
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        script=script,
        script_digest=digest,
        facts=_blocks(page.facts, numbers),
        links="\n".join(links),
        sections="\n".join(_section(part, numbers) for part in page.sections),
    )


def _section(section: Section, numbers: Iterator[int]) -> str:
    title = f'<h2 id="{section.anchor}">{escape(section.heading)}</h2>'
    return f'<section aria-labelledby="{section.anchor}">\n{title}\n{_blocks(section.blocks, numbers)}\n</section>'


def _blocks(blocks: Iterable[Block], numbers: Iterator[int]) -> str:
    return "\n".join(_block(block, numbers) for block in blocks)


def _block(block: Block, numbers: Iterator[int]) -> str:
    match block:
        case Text(text):
            return "\n".join(f"<p>{escape(part.strip())}</p>" for part in text.split("\n\n") if part.strip())
        case Bullets(lines):
            return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
        case Counts(entries):
            items = "".join(f"<li><b>{number:,}</b> {escape(what)}</li>" for number, what in entries)
            return f'<ul class="counts">{items}</ul>'
        case Definitions(entries):
            pairs = (f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in entries.items())
            return "<dl>" + "".join(pairs) + "</dl>"
        case Commands(lines):
            return f'<pre tabindex="0">{escape(chr(10).join(lines))}</pre>'
        case Folded(title, text):
            whole = f'<pre tabindex="0">{escape(text)}</pre>'
            return f"<details><summary>{escape(title)}</summary>{whole}</details>"
        case Table():
            return _table(block, f"table-{next(numbers)}")
        case Figure():
            return _figure(block)


def _table(table: Table, name: str) -> str:
    """A table in a box that scrolls sideways if it does not fit, also with the keyboard."""
    head = "".join(f'<th scope="col"{_look(column)}>{escape(column.name)}</th>' for column in table.columns)
    body = "\n".join("<tr>" + "".join(map(_cell, table.columns, row)) + "</tr>" for row in table.rows)
    note = f'<p class="note">{escape(table.note)}</p>\n' if table.note else ""
    return (
        f'<div class="table">\n<h3 id="{name}">{escape(table.caption)}</h3>\n'
        f'<div class="scroll" role="region" aria-labelledby="{name}" tabindex="0">'
        f'<table aria-labelledby="{name}">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>\n{CUE}\n{note}</div>"
    )


def _cell(column: Column, cell: Cell) -> str:
    value = "" if cell.value is None else f' data-value="{float(cell.value)!r}"'
    text = f'<span class="{escape(cell.mark)}">{escape(cell.text)}</span>' if cell.mark else escape(cell.text)
    is_wide = column.kind == "words" and len(cell.text) > WIDE_LETTERS
    return f"<td{_look(column, ' wide' * is_wide)}{value}>{text}</td>"


def _look(column: Column, more: str = "") -> str:
    return f' class="{"numbers " * (column.kind == "estimates")}{column.kind}{more}"'


def _figure(figure: Figure) -> str:
    """An image embedded in the page; as an image, an SVG cannot run scripts and its ids cannot clash."""
    size = re.search(rb'<svg[^>]* width="([0-9.]+)pt"', figure.image)
    width = f' width="{float(size[1]) * 96 / 72 * SCREEN_SCALE:.0f}"' if size else ""
    data = base64.b64encode(figure.image).decode()
    title = escape(figure.title)
    image = f'<img alt="{title}"{width} src="data:{MIME[figure.format]};base64,{data}">'
    return (
        f"<figure>\n<h3>{title}</h3>\n"
        f'<div class="scroll" role="group" aria-label="{title}" tabindex="0">{image}</div>\n{CUE}\n'
        f"<figcaption>{escape(figure.caption)}</figcaption>\n</figure>"
    )
