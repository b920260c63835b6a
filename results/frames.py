"""The tables as pandas frames: chosen columns, chosen trials, the trials of a plan, metrics beside them."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lrlc.results import plans
from lrlc.results.errors import StoreError
from lrlc.results.files import Location
from lrlc.results.parts import load
from lrlc.results.plans import PlanFile, Stage
from lrlc.results.schema import SCHEMAS
from lrlc.results.trial_ids import among


def read(
    root: Location,
    table: str,
    columns: Collection[str] | None = None,
    trial_ids: Collection[str] | None = None,
    categories: Collection[str] = (),
) -> pd.DataFrame:
    """A table's rows, oldest part first; None reads all columns, or all trials.

    Text columns among `categories` are read as pandas categories. Raises StoreError for an unknown column.
    """
    return _to_frame(_read_table(root, table, columns, trial_ids, categories), SCHEMAS[table])


def read_planned(
    root: Location,
    plan: PlanFile,
    stage: Stage,
    columns: Collection[str] | None = None,
    categories: Collection[str] = (),
) -> pd.DataFrame:
    """The rows of a plan's stage, in its order, with TUNED in place of each setting that was tuned."""
    asked = SCHEMAS["trials"].names if columns is None else list(columns)
    with_ids = list(dict.fromkeys([*asked, "trial_id"]))
    rows = _read_table(root, "trials", with_ids, categories=categories)
    planned = plan.trial_ids(stage)
    chosen = among(rows["trial_id"], planned)
    rows = rows if chosen is None else rows.filter(chosen)
    if plan.is_in_order:
        rows = _in_order(rows, planned)
    tuned = plan.tuned(stage)
    if tuned.empty:
        return _to_frame(rows.select(asked), SCHEMAS["trials"])
    return plans.mask(_to_frame(rows, SCHEMAS["trials"]), tuned)[asked]


def with_metrics(rows: pd.DataFrame, metrics: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The trials in `rows` with a column for each of these metrics; NaN for a trial without a value."""
    of_metric = {name: metrics[metrics["name"] == name] for name in names}
    by_trial = {
        name: dict(zip(each["trial_id"], each["value"], strict=True)) for name, each in of_metric.items()
    }
    columns = {name: rows["trial_id"].map(values).astype("float64") for name, values in by_trial.items()}
    return rows.assign(**columns)


def _read_table(
    root: Location,
    table: str,
    columns: Collection[str] | None = None,
    trial_ids: Collection[str] | None = None,
    categories: Collection[str] = (),
) -> pa.Table:
    schema = SCHEMAS[table]
    wanted = schema.names if columns is None else list(columns)
    unknown = sorted(set(wanted) - set(schema.names))
    if unknown:
        raise StoreError(f"the {table} table has no column {unknown[0]!r}; it has {', '.join(schema.names)}")
    return load(root, table, wanted, trial_ids, categories).table.select(wanted)


def _in_order(rows: pa.Table, trial_ids: pa.ChunkedArray) -> pa.Table:
    """The rows in the order of these ids, instead of the order in which the trials finished."""
    places = pc.index_in(rows["trial_id"], trial_ids.combine_chunks()).to_numpy()
    return rows if (places[:-1] < places[1:]).all() else rows.take(pa.array(np.argsort(places)))


def _to_frame(table: pa.Table, schema: pa.Schema) -> pd.DataFrame:
    """Nullable integers become float64 even where none is null, so that a column's type never changes."""
    for index, field in enumerate(table.schema):
        if pa.types.is_integer(field.type) and schema.field(field.name).nullable:
            table = table.set_column(index, field.name, table[field.name].cast(pa.float64()))
    frame: pd.DataFrame = table.to_pandas()
    for name in frame.columns[frame.dtypes == "category"]:
        in_order = sorted(frame[name].cat.categories)  # they sort as texts
        frame[name] = frame[name].cat.reorder_categories(in_order)
    return frame
