"""docs/architecture.md: every place that it names exists, and it names every room and file."""

import re
from pathlib import Path

from support.file_index import with_index

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/architecture.md").read_text()
NAMED = [
    name
    for name in re.findall(r"`([a-z_]+/[\w./*]*)`", PAGE)
    if name.split("/")[0] in {"layers", "studies", "results", "harness", "tests", "docs", "lrlc"}
]


def test_every_path_on_the_page_exists() -> None:
    assert len(NAMED) > 40
    assert [name for name in NAMED if not list(ROOT.glob(name.rstrip("/")))] == []


def test_the_page_names_every_room() -> None:
    rooms = {
        f"{path.parent.relative_to(ROOT)}/"
        for package in ("layers", "studies", "results", "harness")
        for path in (ROOT / package).rglob("__init__.py")
    }
    assert rooms - set(NAMED) - {"harness/"} == set()


def test_the_page_lists_every_file_by_its_first_line() -> None:
    assert with_index(PAGE) == PAGE, "run `make file-index`"
