"""The origin of the numbers, and the commands that reproduce them."""

import json
import shlex

import pandas as pd

from lrlc.results.markup.content import Block, Bullets, Commands, Definitions, Section, Text
from lrlc.results.plans import Stage
from lrlc.results.report.text import several
from lrlc.results.store import DEFAULT_PROFILE, Store, StudyRecord
from lrlc.studies.lines import counted


def section(rows: pd.DataFrame, store: Store, profile: str | None = None) -> Section:
    """Code, versions, machines, seeds, times and the digests of the data; also unreadable parts."""
    if rows.empty:
        return Section("Provenance", [Text("No trial has a row yet.")])
    entries = {
        "code": several(_commits(rows)),
        "versions": _versions(rows),
        "machines": several(rows["host"]),
        "devices": several(rows["device"]),
        **({"LRLC_BACKEND": several(rows["backend"])} if rows["backend"].notna().any() else {}),
        "seeds": several(rows["seed"], most=50),
        "run": f"{rows['started_at'].min():%Y-%m-%d %H:%M} to {rows['ended_at'].max():%Y-%m-%d %H:%M} UTC",
        "time in trials": f"{_hours(rows)}, up to {counted(_at_once(rows), 'trial')} at the same time",
        **_other_stages(store, profile),
        "data digests": several(rows["dataset"] + " " + rows["data_digest"]),
        "tables": f"{counted(len(rows), 'row')}, one per trial",
    }
    damaged = [f"damaged, left out: {each.path.relative_to(store.root)}" for each in store.damaged()]
    blocks: list[Block] = [Definitions(entries)]
    return Section("Provenance", [*blocks, Bullets(damaged)] if damaged else blocks)


def again(rows: pd.DataFrame, record: StudyRecord) -> Section:
    """The commands, with the commit to check out if all rows come from a single clean one."""
    name = record.file or record.study.name
    profile = [] if record.profile == DEFAULT_PROFILE else ["--profile", record.profile]
    lines = [
        shlex.join(["lrlc", "run", name, *record.overrides, *profile]),
        shlex.join(["lrlc", "report", name, *profile]),
    ]
    commits = _commits(rows).unique()
    if len(commits) == 1 and len(commits[0]) == 40:
        lines.insert(0, f"git checkout {commits[0]}")
    told = (
        "The run trains what is missing, or everything if there are no tables yet, on the data sets in the folder "
        "LRLC_DATA. A study that does not ship with lrlc is named by its file."
    )
    return Section("Reproduction", [Commands(lines), Text(told)])


def _other_stages(store: Store, profile: str | None) -> dict[str, str]:
    """Trials of the study that are not compared."""
    named = {"pilots": Stage.TUNE, "trials of the length check": Stage.LENGTH}
    rows = {
        name: store.planned_trials(profile, ["total_seconds"], stage=stage) for name, stage in named.items()
    }
    return {f"time in {len(found):,} {name}": _hours(found) for name, found in rows.items() if len(found)}


def _hours(rows: pd.DataFrame) -> str:
    return f"{rows['total_seconds'].sum() / 3600:,.2f} hours"


def _at_once(rows: pd.DataFrame) -> int:
    """The largest number of trials that ran at the same time."""
    changes = pd.concat([pd.Series(1, rows["started_at"]), pd.Series(-1, rows["ended_at"])])
    return int(changes.groupby(level=0).sum().cumsum().max())


def _commits(rows: pd.DataFrame) -> "pd.Series[str]":
    changed = rows["git_dirty"].eq(True).map({True: " with uncommitted changes", False: ""})
    commits: pd.Series[str] = rows["git_commit"].fillna("unknown") + changed
    return commits


def _versions(rows: pd.DataFrame) -> str:
    versions: dict[str, set[str]] = {}
    for text in rows["versions"].unique():
        for package, version in json.loads(text).items():
            versions.setdefault(package, set()).add(version)
    return ", ".join(f"{name} {' and '.join(sorted(found))}" for name, found in sorted(versions.items()))
