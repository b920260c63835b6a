"""A profile's plan: its trials, each with the stage of the study that it belongs to.

A plan's columns are `trial_id`; `stage`, which is missing in files of earlier versions, whose trials are all the
grid's; and `tuned`, the trial's training settings that pilots of its kind chose, separated by commas, or null. In rows
that are compared, these settings read `tuned`. A trial of two stages has two rows. A stage's trials
are in the study's order, seed by seed, followed by the search's suggestions; files of earlier versions have them sorted
by id.
"""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lrlc.results import checksums, damage
from lrlc.results.checksums import write_parquet
from lrlc.results.damage import Damage
from lrlc.results.errors import StoreError
from lrlc.results.files import Location
from lrlc.results.part_files import SUFFIX

FOLDER = "plans"
TUNED = "tuned"
"""The value of a tuned training setting in rows that are compared."""

_PLAN_KEY = b"lrlc.plan"
_SCHEMA = pa.schema([("trial_id", pa.string()), ("stage", pa.string()), ("tuned", pa.string())])


class Stage(StrEnum):
    """The purpose for which a study trains a trial."""

    GRID = "grid"
    """A trial of the grid or a search's suggestion, which are compared."""
    TUNE = "tune"
    """A pilot: a trial of a setting for a kind, with a separate seed."""
    LENGTH = "length"
    """A trial of the grid with fewer epochs."""


@dataclass(frozen=True)
class StagedPlan:
    """The trials of a profile by stage, and the tuned training settings of those that have any."""

    stages: Mapping[Stage, Collection[str]]
    tuned: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Trial id -> columns of the trials table."""
    is_in_order: bool = True
    """Whether each stage's trials are in the study's order; those in files of earlier versions are not."""

    @property
    def trial_ids(self) -> set[str]:
        return {trial_id for ids in self.stages.values() for trial_id in ids}

    @property
    def is_of_pilots(self) -> bool:
        """Whether the plan only has pilots; the grid is planned once they have ended."""
        return {stage for stage, ids in self.stages.items() if ids} == {Stage.TUNE}

    def of_stage(self, stage: Stage) -> set[str]:
        return set(self.stages.get(stage, ()))


@dataclass(frozen=True)
class PlanFile:
    """A plan as read: its profile, the time it was written, in ns, its table with all columns, and the plan's order."""

    profile: str
    written_ns: int
    table: pa.Table
    is_in_order: bool

    def trial_ids(self, stage: Stage | None = None) -> pa.ChunkedArray:
        """Trial ids of a stage, or of all stages (None)."""
        table = self._of(stage)
        return table["trial_id"]

    def tuned(self, stage: Stage) -> "pd.Series[str]":
        """The tuned settings of the stage's trials that have any, by trial id."""
        table = self._of(stage)
        if table["tuned"].null_count == len(table):
            return pd.Series(dtype="object")
        told = table.filter(pc.is_valid(table["tuned"])).select(["trial_id", "tuned"])
        series: pd.Series[str] = told.to_pandas().set_index("trial_id")["tuned"].astype(object)
        return series

    def plan(self) -> StagedPlan:
        stages = {stage: tuple(ids) for stage in Stage if (ids := self.trial_ids(stage).to_pylist())}
        tuned = {
            str(trial_id): tuple(names.split(","))
            for stage in stages
            for trial_id, names in self.tuned(stage).items()
        }
        return StagedPlan(stages, tuned, self.is_in_order)

    def _of(self, stage: Stage | None) -> pa.Table:
        if stage is None:
            return self.table
        is_of_stage = pc.equal(self.table["stage"], str(stage))
        return self.table if pc.all(is_of_stage).as_py() else self.table.filter(is_of_stage)


def write(root: Location, profile: str, plan: StagedPlan) -> None:
    """Save the plan, replacing the profile's earlier one."""
    told = json.dumps(
        {"profile": profile, "written_ns": time.time_ns(), "in_order": plan.is_in_order}
    ).encode()
    of_stages = [_of_stage(stage, list(dict.fromkeys(ids)), plan.tuned) for stage, ids in plan.stages.items()]
    place = _place(_file_name(profile))
    path = root / f"{place}{SUFFIX}"
    schema = _SCHEMA.with_metadata({_PLAN_KEY: told})
    path.replace(lambda file: write_parquet(file, place, schema, of_stages))


def read_all(root: Location) -> dict[str, PlanFile]:
    """The plans by profile; a damaged file is left out, and the next run writes it again."""
    plans = [kept for path in _paths(root) if (kept := damage.kept(_read(root, path))) is not None]
    return {plan.profile: plan for plan in plans}


def of_profile(root: Location, profile: str | None) -> PlanFile | None:
    """A profile's plan (None: the plan written last); None if no plan was ever written.

    Raises StoreError for a profile that was never run.
    """
    known = read_all(root)
    if profile is None:
        return max(known.values(), key=lambda plan: plan.written_ns, default=None)
    if profile not in known:
        there = ", ".join(sorted(known)) or "none"
        raise StoreError(f"{root}: no plan of profile {profile!r} here; run it first (plans here: {there})")
    return known[profile]


def damaged(root: Location) -> list[Damage]:
    """The files that read_all leaves out."""
    return [found for path in _paths(root) if isinstance(found := _read(root, path), Damage)]


def _paths(root: Location) -> list[Location]:
    folder = root / FOLDER
    return [folder / f"{name}{SUFFIX}" for name in folder.names(SUFFIX)]


def _read(root: Location, path: Location) -> PlanFile | Damage | None:
    name = path.name.removesuffix(SUFFIX)
    return damage.judge(path, lambda content: _parse(name, content))


def _parse(name: str, content: bytes) -> PlanFile:
    table = checksums.parquet_table(content, _place(name), read_dictionary=["stage", "tuned"])
    told = json.loads((table.schema.metadata or {})[_PLAN_KEY])
    if _file_name(told["profile"]) != name:
        raise ValueError(f"it is the plan of profile {told['profile']!r}")
    table = _filled(table)
    if table["trial_id"].type != pa.string() or table["trial_id"].null_count or table["stage"].null_count:
        raise ValueError("it lacks trials or stages")
    return PlanFile(told["profile"], int(told["written_ns"]), table, bool(told.get("in_order")))


def _file_name(profile: str) -> str:
    return quote(profile, safe="")


def _place(name: str) -> str:
    return f"{FOLDER}/{name}"


def joined(read: Mapping[str, PlanFile]) -> pa.Table:
    """One table of these plans, with `profile` as its first column."""
    tables = [pa.schema([("profile", pa.string()), *_SCHEMA]).empty_table()]
    for profile, file in sorted(read.items()):
        names = pa.array([profile] * len(file.table), pa.string())
        columns = [names, *(file.table[name].cast(pa.string()) for name in _SCHEMA.names)]
        tables.append(pa.table(columns, schema=tables[0].schema))
    return pa.concat_tables(tables)


def mask(rows: pd.DataFrame, tuned: "pd.Series[str]") -> pd.DataFrame:
    """The rows with TUNED in place of tuned settings; `rows` have a column `trial_id`."""
    of_row = rows["trial_id"].map(tuned).fillna("")
    for name in sorted({name for names in tuned.unique() for name in names.split(",")} & set(rows.columns)):
        is_tuned = of_row.map(lambda names, name=name: name in names.split(","))
        rows = rows.assign(**{name: rows[name].astype("object").mask(is_tuned, TUNED)})
    return rows


def _of_stage(stage: str, ids: Sequence[str], tuned: Mapping[str, Collection[str]]) -> pa.Table:
    names = [",".join(tuned.get(trial_id, ())) or None for trial_id in ids] if tuned else pa.nulls(len(ids))
    return pa.table(
        [pa.array(ids, pa.string()), pa.repeat(str(stage), len(ids)), pa.array(names, pa.string())],
        schema=_SCHEMA,
    )


def _filled(table: pa.Table) -> pa.Table:
    """The table with the columns that files of earlier versions lack."""
    ids = table["trial_id"]
    if "stage" not in table.column_names:
        table = table.append_column("stage", pa.array([str(Stage.GRID)] * len(ids), pa.string()))
    if "tuned" not in table.column_names:
        table = table.append_column("tuned", pa.nulls(len(ids), pa.string()))
    return table
