"""docs/science.md has every section that the code cites, and every layer kind."""

import re
from pathlib import Path

import pytest

from lrlc import layers

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/science.md").read_text(encoding="utf-8")
CITATION = re.compile(r'docs/science\.md, "([^"]+)"')


def cited() -> dict[str, str]:
    """Each section cited in our files, with one such file."""
    files = [
        path for name in ("layers", "harness", "studies", "results") for path in (ROOT / name).rglob("*.*")
    ]
    texts = {path: path.read_text(encoding="utf-8") for path in files if path.suffix in (".py", ".yaml")}
    return {section: str(path) for path, text in texts.items() for section in CITATION.findall(text)}


def test_every_cited_section_is_there() -> None:
    headings = set(re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE))
    sections = cited()
    assert {"The layer", "The data", "Combining weights, fixed"} <= sections.keys()
    assert {section: path for section, path in sections.items() if section not in headings} == {}


@pytest.mark.parametrize("kind", sorted(layers.LAYER_KINDS))
def test_every_shipped_kind_is_explained(kind: str) -> None:
    assert f"`{kind}`" in PAGE


def test_links_point_to_pages_and_sections() -> None:
    for page, section in re.findall(r"\]\((\w+\.md)(?:#([\w-]+))?\)", PAGE):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        anchors = {
            re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.+)$", text, re.M)
        }
        assert not section or section in anchors, f"{page}#{section}"
