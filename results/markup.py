"""Pieces of an HTML page; every text that goes in is escaped here."""

import base64
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape

SCREEN_SCALE = 1.33


def paragraphs(text: str) -> str:
    """Blank lines separate paragraphs."""
    return "\n".join(f"<p>{escape(part.strip())}</p>" for part in text.split("\n\n") if part.strip())


def section(title: str, *content: str) -> str:
    return "\n".join([f"<section>\n<h2>{escape(title)}</h2>", *content, "</section>"])


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Collection[str] = (),
    wrapped: Collection[str] = (),
    best: int | None = None,
) -> str:
    """A table that scrolls sideways where it does not fit; `best` is the position of a row to stand out."""
    kinds = ["number" if name in numbers else "wrap" if name in wrapped else "" for name in columns]
    classes = [f' class="{kind}"' if kind else "" for kind in kinds]
    head = "".join(
        f'<th scope="col"{shown}>{escape(name)}</th>' for name, shown in zip(columns, classes, strict=True)
    )
    lines = []
    for position, row in enumerate(rows):
        cells = "".join(f"<td{shown}>{escape(text)}</td>" for text, shown in zip(row, classes, strict=True))
        stands_out = ' class="best"' if position == best else ""
        lines.append(f"<tr{stands_out}>{cells}</tr>")
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "\n".join(lines)
    whole = f"<table>{title}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    return f'<div class="scroll">{whole}</div>'


def definitions(entries: Mapping[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in entries.items()) + "</dl>"


def bullets(lines: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def command(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"


def folded(title: str, text: str) -> str:
    """A long text behind its title."""
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


def figure(svg: bytes, alt: str, caption: str) -> str:
    """An image inside the page, a third larger than on paper; on a phone it scrolls sideways.

    As an image an SVG can run nothing, and its ids meet no others.
    """
    size = re.search(rb'<svg[^>]* width="([0-9.]+)pt"', svg)
    width = f' width="{float(size[1]) * 96 / 72 * SCREEN_SCALE:.0f}"' if size else ""
    data = base64.b64encode(svg).decode()
    image = f'<img alt="{escape(alt)}"{width} src="data:image/svg+xml;base64,{data}">'
    return f'<figure><div class="scroll">{image}</div>\n<figcaption>{escape(caption)}</figcaption></figure>'
