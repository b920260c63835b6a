"""Which Parquet files form a data set: their splits, their configurations, and whether any is missing.

A file's split is the first word of its name, or else of its folder's. The rest of its path, without shard numbers,
is its configuration: '' for data/../train-00000-of-00002.parquet,
'fold_0' for fold_0/train-0.parquet, 'small' for train_small-0.parquet.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrlc.harness.data.errors import DataError
from lrlc.harness.data.walk import check_distinct, files_below

SPLITS = {"train": "train", "valid": "validation", "val": "validation", "dev": "validation", "test": "test"}
SPLIT_NAME = re.compile(r"(train|valid|val|dev|test)(ing|ation)?(?![a-z])", re.IGNORECASE)
OF_MANY = re.compile(r"(.*-)(\d+)-of-(\d+)(?:-[0-9a-f]{16})?$")

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_SEPARATORS = re.compile(r"[-_. ]+")
_NUMBERING = re.compile(
    r"(?:part|shard|chunk|file|batch)?\d*|c\d+|of|(?=[a-f]*\d)[0-9a-f]{8,}|snappy|zstd|gzip|gz|brotli|lz4"
)
"""Words in a file's name that only number a shard or describe its compression."""

NAMED_CONFIGURATIONS = 4


@dataclass(frozen=True)
class Shard:
    """A Parquet file; `word` is the split's name in the file's: 'valid', 'validation'."""

    path: Path
    split: str
    word: str
    configuration: str


def shards(folder: Path, configuration: str | None = None) -> dict[str, list[Path]]:
    """The Parquet files below `folder` by split, all of one configuration.

    With `configuration` only its files, plus files without a configuration in splits that it lacks (a shared test
    set). DataError if several configurations would be mixed, a file counts twice or a numbered one is missing.
    """
    found = find_shards(folder)
    if configuration is not None:
        found = _of(found, configuration)
    _check_one_configuration(folder, found)
    check_distinct(shard.path for shard in found)
    splits = {
        split: [shard for shard in found if shard.split == split] for split in dict.fromkeys(SPLITS.values())
    }
    for members in splits.values():
        _check_one_word(members)
        _check_complete([shard.path for shard in members])
    # In the order of the paths, which decides which error is reported.
    return {shard.split: [each.path for each in splits[shard.split]] for shard in found}


def find_shards(folder: Path) -> list[Shard]:
    """The Parquet files below `folder` that belong to a split."""
    paths = (path for path in files_below(folder) if path.suffix == ".parquet")
    return [shard for path in paths if (shard := _shard(path, path.relative_to(folder).parts)) is not None]


def unused(folder: Path, used: Iterable[Path]) -> list[Path]:
    """Parquet files below `folder` that are not among the `used`."""
    taken = set(used)
    return [path for path in files_below(folder) if path.suffix == ".parquet" and path not in taken]


def _shard(path: Path, parts: Sequence[str]) -> Shard | None:
    stem, folders = path.stem, parts[:-1]
    match = SPLIT_NAME.match(stem)
    if match is not None:
        stem = stem[match.end() :]
    elif folders:  # the hub names its own conversions train/0000.parquet
        match, folders = SPLIT_NAME.fullmatch(folders[-1]), folders[:-1]
    if match is None:
        return None
    named = [*map(_without_split, folders), _without_numbers(stem)]
    return Shard(path, SPLITS[match[1].lower()], match[0].lower(), "/".join(part for part in named if part))


def _without_split(folder: str) -> str:
    """'train_images' as 'images', as folders of several splits belong together."""
    match = SPLIT_NAME.match(folder)
    return folder if match is None else folder[match.end() :].strip("-_. ")


def _without_numbers(stem: str) -> str:
    words = _SEPARATORS.split(_UUID.sub("", stem))
    return "-".join(word for word in words if not _NUMBERING.fullmatch(word))


def _of(found: Sequence[Shard], configuration: str) -> list[Shard]:
    chosen = [shard for shard in found if shard.configuration == configuration]
    having = {shard.split for shard in chosen}
    shared = [shard for shard in found if not shard.configuration and shard.split not in having]
    return [shard for shard in found if shard in chosen or shard in shared] if chosen else []


def _check_one_configuration(folder: Path, found: Sequence[Shard]) -> None:
    """DataError for several configurations; a split without one goes with that of the others."""
    of_split: dict[str, set[str]] = {}
    for shard in found:
        of_split.setdefault(shard.split, set()).add(shard.configuration)
    joined = set().union(*(names for names in of_split.values() if len(names) > 1))
    names = sorted(joined | {shard.configuration for shard in found if shard.configuration})
    if len(names) > 1:
        examples = {shard.configuration: shard.path.relative_to(folder) for shard in reversed(found)}
        raise DataError(
            f"{folder}: shards of {len(names)} configurations, which are never mixed: "
            f"{_shown({name: examples[name] for name in names})}; "
            f"name one by its path, such as {folder / next(filter(None, names))}"
        )


def _shown(examples: Mapping[str, Path]) -> str:
    shown = [f"{name or 'no name'} ({path})" for name, path in list(examples.items())[:NAMED_CONFIGURATIONS]]
    return ", ".join(shown) + (
        f" and {len(examples) - len(shown)} more" if len(examples) > len(shown) else ""
    )


def _check_one_word(members: Sequence[Shard]) -> None:
    first: dict[str, Path] = {}
    for shard in members:
        first.setdefault(shard.word, shard.path)
    if len(first) > 1:
        one, other, *_ = first.values()
        raise DataError(
            f"{other}: beside {one} the {members[0].split} split appears twice; take one of them away"
        )


def _check_complete(paths: Sequence[Path]) -> None:
    """DataError unless a split's files are one series of shards, with each number once."""
    numbered = [(path, match) for path in paths if (match := OF_MANY.match(path.stem))]
    if not numbered:
        return
    first, (beginning, _, of) = numbered[0][0], numbered[0][1].groups()
    for path in paths:
        if (match := OF_MANY.match(path.stem)) is None or match[3] != of:
            raise DataError(f"{path}: not of the same series of shards as {first.name}; take one series away")
    seen: dict[int, Path] = {}
    for path, match in numbered:
        if (other := seen.setdefault(int(match[2]), path)) != path:
            raise DataError(f"{path}: has the number of {other.name}; take one of them away")
    lacking = sorted(set(range(int(of))) - seen.keys())
    if lacking:
        raise DataError(
            f"{first.parent}: {len(lacking)} of {int(of)} shards are missing, "
            f"first {beginning}{lacking[0]:0{len(of)}}-of-{of}.parquet; fetch them again"
        )
