"""A data set's title, as tables and claims write it: name[#image][:label][@size][+tN][+shuffled]."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

_GRAMMAR = re.compile(
    r"(?P<name>.*?)(?:#(?P<image>[^#:@/]+))?(?::(?P<label>[^:/]*?))?"
    r"(?:@(?P<height>\d{1,9})(?:x(?P<width>\d{1,9}))?)?"
    r"(?:\+t(?P<translate>\d{1,9}))?(?P<shuffled>\+shuffled)?"
)


@dataclass(frozen=True)
class Title:
    """The parts of a title: 'celeba:Smiling@16+t8' is CelebA's Smiling at 16x16, shifted by up to 8 pixels."""

    name: str
    """The data set's name, or the path of a folder."""
    label: str | None = None
    size: tuple[int, int] | None = None
    """(H, W) that the images are shrunk to; None for the original size."""
    translate: int = 0
    shuffled: bool = False
    """Whether training and validation labels are permuted."""
    image: str | None = None
    """The column of images, if it was chosen."""

    def __str__(self) -> str:
        image = f"#{self.image}" if self.image else ""
        label = f":{self.label}" if self.label else ""
        size = f"@{size_name(self.size)}" if self.size else ""
        shift = f"+t{self.translate}" if self.translate else ""
        return f"{self.name}{image}{label}{size}{shift}{'+shuffled' if self.shuffled else ''}"

    @staticmethod
    def parse(text: str) -> "Title":
        """Parse a title; a text without any of the suffixes is a name."""
        found = _GRAMMAR.fullmatch(text)
        if found is None:  # a name with several lines
            return Title(text)
        size = None
        if found["height"]:
            size = int(found["height"]), int(found["width"] or found["height"])
        return Title(
            found["name"],
            found["label"],
            size,
            int(found["translate"] or 0),
            bool(found["shuffled"]),
            found["image"],
        )

    @staticmethod
    def of(spec: Mapping[str, Any]) -> "Title":
        """The title of a data set in study.json; files of older versions lack some keys."""
        size = spec.get("size")
        return Title(
            str(spec.get("name") or spec.get("path")),
            spec.get("label"),
            (size[0], size[1]) if size else None,
            spec.get("translate") or 0,
            bool(spec.get("shuffle_labels")),
            spec.get("image"),
        )


def size_name(size: tuple[int, int]) -> str:
    """'16' for 16x16 pixels, '16x20' for 16 rows of 20."""
    height, width = size
    return str(height) if height == width else f"{height}x{width}"


def titles_in_order(titles: Iterable[str]) -> list[str]:
    """Titles in order of first occurrence, but all changes of one data set after it, the smallest shift first."""
    parsed = {text: Title.parse(text) for text in titles}
    unchanged = {text: replace(title, translate=0, shuffled=False) for text, title in parsed.items()}
    order = {title: place for place, title in enumerate(dict.fromkeys(unchanged.values()))}
    return sorted(
        parsed, key=lambda text: (order[unchanged[text]], parsed[text].shuffled, parsed[text].translate)
    )
