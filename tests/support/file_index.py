"""The index of files in docs/architecture.md, made from their first lines: `make file-index` writes it."""

import ast
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/architecture.md"
PACKAGES = ("layers", "studies", "results", "harness")
HEADING = "## The files\n"
PREAMBLE = (
    "\n*Made by `make file-index` from the first line of every file; a test fails if the two differ.*\n"
)


def with_index(page: str) -> str:
    """The page, with its last section replaced by the index of today's files."""
    kept, _, _ = page.partition(HEADING)
    return "".join([kept, HEADING, PREAMBLE, *_sections()])


def _sections() -> Iterator[str]:
    """A heading and a list for each folder."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*"), key=_by_folder)]
    sources = [path for path in paths if path.suffix in (".py", ".cpp", ".h")]
    for folder, files in groupby(sources, lambda path: path.parent.relative_to(ROOT)):
        lines = [f"- `{path.name}`: {line}\n" for path in files if (line := _first_line(path))]
        yield f"\n### {folder}/\n\n" + "".join(lines)


def _by_folder(path: Path) -> tuple[tuple[str, ...], str]:
    return path.parts[:-1], path.name


def _first_line(path: Path) -> str:
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return text.partition("\n")[0].removeprefix("// ")


if __name__ == "__main__":
    PAGE.write_text(with_index(PAGE.read_text("utf-8")), "utf-8")
