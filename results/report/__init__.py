"""A study's report, made from the tables alone: its question, its results, and how reliable they are.

The same tables, including those of other studies in the folder that bear on it, give the same bytes, as one HTML page
or as Markdown with separate figures.
"""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from lrlc.results.claims import Judged
from lrlc.results.figures import NothingToDraw
from lrlc.results.files import write_output
from lrlc.results.markup.html import to_html
from lrlc.results.markup.markdown import to_markdown
from lrlc.results.report.elsewhere import ALONE, Elsewhere
from lrlc.results.report.page import describe
from lrlc.results.report.paper import paper_tables
from lrlc.results.store import Store, StoreError
from lrlc.studies.lines import printable

__all__ = ["Elsewhere", "Format", "write_report"]


class Format(StrEnum):
    """The format of a report."""

    HTML = "html"
    """One self-contained file: report.html."""
    MARKDOWN = "markdown"
    """report.md, with its figures as PNG in a folder report_files beside it."""
    LATEX = "latex"
    """Only the tables, for inclusion in a paper: tables.tex."""

    @staticmethod
    def named(name: str) -> "Format":
        """Raises StoreError for an unknown format."""
        if name not in (known := [str(form) for form in Format]):
            raise StoreError(f"cannot write a report as {name!r}; known: {', '.join(known)}")
        return Format(name)

    @property
    def file_name(self) -> str:
        return {"html": "report.html", "markdown": "report.md", "latex": "tables.tex"}[self]


def write_report(
    store: Store,
    out: Path,
    *,
    profile: str | None = None,
    form: Format = Format.HTML,
    verdicts: Sequence[Judged] = (),
    elsewhere: Elsewhere = ALONE,
) -> Path:
    """Write the report on the rows of a profile's plan (None: the plan written last) to `out`; returns `out`."""
    if form is Format.HTML:
        _write_text(out, to_html(describe(store, profile, verdicts, "svg", elsewhere)))
        return out
    if form is Format.LATEX:
        _write_text(out, _tables(store, profile, verdicts))
        return out
    text, images = to_markdown(describe(store, profile, verdicts, "png", elsewhere), f"{out.stem}_files")
    for path, image in images.items():
        _write(out.parent / path, image)
    _write_text(out, text)
    return out


def _tables(store: Store, profile: str | None, verdicts: Sequence[Judged]) -> str:
    try:
        return paper_tables(store, profile, verdicts)
    except NothingToDraw as reason:
        raise StoreError(f"{store.root.name}: no table to write: {reason}") from None


def _write_text(path: Path, text: str) -> None:
    """Remove terminal control characters: a Markdown report is read in terminals, and errors may contain anything."""
    _write(path, printable(text).encode())


def _write(path: Path, content: bytes) -> None:
    write_output(path, lambda file: file.write(content))
