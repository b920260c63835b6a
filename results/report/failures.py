"""Failures: trials that diverged, failed or have no row yet."""

import re

import pandas as pd

from lrlc.results.markup.content import Block, Column, Folded, Section, Table, Text
from lrlc.results.names import dataset_name, kind_name, layers_name
from lrlc.results.report.text import words
from lrlc.results.schema import BROKEN, TrialStatus

MOST = 50
COLUMNS = (Column("ending"), Column("trial"), Column("error", "long"), Column("trial id"))
_TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def section(rows: pd.DataFrame, missing: int) -> Section:
    """Each such trial with the most informative line of its error; the whole error is collapsed."""
    bad = rows[rows["status"].isin([str(status) for status in (TrialStatus.DIVERGED, *BROKEN)])]
    lines, whole = [], []
    for row in bad.head(MOST).to_dict("records"):
        error = "" if pd.isna(row["error"]) else _TERMINAL_COLOURS.sub("", str(row["error"])).strip()
        rank = "" if pd.isna(row["rank"]) else f" rank {row['rank']:.0f}"
        place = f" in {layers_name(row['placement'])}" if row["placement"] else ""
        what = f"{dataset_name(row['dataset'])}, {kind_name(row['kind'])}{rank}{place}, seed {row['seed']}"
        said = error.splitlines()[-1] if error else ""
        lines.append([words(text) for text in (row["status"].replace("_", " "), what, said, row["trial_id"])])
        if "\n" in error:
            whole.append(Folded(f"{what}: whole error", error))
    blocks: list[Block] = []
    if lines:
        more = f"And {len(bad) - MOST:,} more." if len(bad) > MOST else ""
        blocks += [Table("Trials that did not finish", COLUMNS, lines, more), *whole]
    else:
        blocks.append(Text("None: no trial diverged, failed, met its time limit or ran out of memory."))
    if missing:
        trials = "trial of the plan has" if missing == 1 else "trials of the plan have"
        blocks.append(
            Text(f"{missing:,} {trials} no row yet; running the study again trains what is missing.")
        )
    return Section("Failures", blocks)
