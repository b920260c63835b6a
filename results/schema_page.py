"""docs/schema.md, made from the code: `python -m lrlc.results.schema_page` writes it."""

import ast
import inspect
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from lrlc.results import plans, schema, store
from lrlc.results.columns import Column
from lrlc.results.schema import COMPANIONS, SCHEMA_VERSION, TABLES, VERSION_KEY, TrialStatus

PAGE = Path(__file__).resolve().parent.parent / "docs" / "schema.md"
TRIALS_ROWS = "One row per trial, with any status."
PREAMBLE = """\
# The tables

*Made from the code by `python -m lrlc.results.schema_page`; a test fails if the two differ.*

A study's results are tables joined by `trial_id`: {tables}.
They are stored as Parquet files, and `lrlc export STUDY --to csv | parquet | duckdb` exports them for other tools.
Missing measurements are null, never 0. Accuracies are fractions from 0 to 1, times are UTC.
"""


def schema_page() -> str:
    """The page in Markdown."""
    rows = {"trials": TRIALS_ROWS} | {name: table.meaning for name, table in COMPANIONS.items()}
    parts = [PREAMBLE.format(tables=", ".join(f"[`{name}`](#{name})" for name in rows))]
    for name, meaning in rows.items():
        parts += [f"## {name}\n", f"{meaning}\n", _table(TABLES[name])]
    parts += [
        "## Statuses\n",
        _statuses(),
        "## Versions\n",
        _versions(),
        "## The files of a study\n",
        _files(),
        "## Plans\n",
        _plans(),
    ]
    return "\n".join(parts)


def _table(columns: Sequence[Column]) -> str:
    lines = ["| column | type | null | unit | meaning |", "|---|---|---|---|---|"]
    for each in columns:
        null = "yes" if each.nullable else ""
        lines.append(f"| `{each.name}` | {each.type} | {null} | {each.unit} | {each.meaning} |")
    return "\n".join([*lines, ""])


def _statuses() -> str:
    return _words("status", TrialStatus)


def _words(title: str, of: type[StrEnum]) -> str:
    lines = [f"| {title} | meaning |", "|---|---|"]
    lines += [f"| `{of[name]}` | {meaning} |" for name, meaning in _documented_names(of)]
    return "\n".join([*lines, ""])


def _documented_names(of: type) -> Iterator[tuple[str, str]]:
    """The names a class assigns to, each with the docstring below it."""
    (definition,) = ast.parse(inspect.getsource(of)).body
    assert isinstance(definition, ast.ClassDef)
    for assignment, docstring in zip(definition.body, definition.body[1:], strict=False):
        match assignment, docstring:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(text.split())


def _versions() -> str:
    rules = (schema.__doc__ or "").partition("How the tables may change:\n")[2].strip()
    return (
        f"These are the tables of version {SCHEMA_VERSION}, which every Parquet file names in its metadata under "
        f"`{VERSION_KEY.decode()}`.\n\n{rules}\n"
    )


def _files() -> str:
    listing = (store.__doc__ or "").partition("\n\n")[2].strip()
    listed = "\n".join(f"    {line}" for line in listing.splitlines())
    return (
        f"{listed}\n\nA part is one file in `trials/`, and one under the same name in the folder of each other "
        "table in which its trials\nhave rows. It counts once its file in `trials/` exists, which is written last; "
        "files appear complete or not at\nall. If a trial is in several parts, a finished row takes precedence, then "
        "the latest.\n\n"
        "The measurements under `measure:` are made of trials that the study itself trains. Trials that were trained "
        "before, here or\nfor another study, keep their rows, and have none where they were not measured.\n"
    )


def _plans() -> str:
    columns = (plans.__doc__ or "").partition("\n\n")[2].strip()
    exported = (
        "`lrlc export` writes the plans of all profiles as one table, `plans`, with a column `profile`. Its\n"
        "`trials` have one column more, `planned`: false if the trial is no longer in any plan, because its\n"
        "settings, data or code have changed since."
    )
    return f"{columns}\n\n{_words('stage', plans.Stage)}\n{exported}\n"


if __name__ == "__main__":
    PAGE.write_text(schema_page(), encoding="utf-8")
