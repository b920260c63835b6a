"""Values of plugins' metrics: a table for each data set, a line for each cell."""

import pandas as pd

from lrlc.results.figures import NothingToDraw
from lrlc.results.figures.selection import Selection, panels
from lrlc.results.markup.content import Cell, Column, Section, Table, Text
from lrlc.results.names import cell_label, dataset_name, options_name
from lrlc.results.report.cell_tables import CellTable, TableLine, cell_tables
from lrlc.results.report.outcome import finished_of
from lrlc.results.report.text import estimate, words
from lrlc.results.statistics import summarise

HOW_TO_READ = "Numbers that the study's plugins define, as means over seeds with Student's t intervals."


def section(selection: Selection) -> list[Section]:
    """One section, or none if no metric was measured."""
    found = selection.measurements("metrics", list(selection.trials["trial_id"]))
    if found.empty:
        return []
    names = list(dict.fromkeys(found["name"]))
    rows = selection.trials
    for name in (name for name in names if name not in rows.columns):
        of_metric = found[found["name"] == name]
        values = dict(zip(of_metric["trial_id"], of_metric["value"], strict=True))
        rows = rows.assign(**{name: rows["trial_id"].map(values)})
    try:
        tables = [_table(table, names) for table in cell_tables(panels(rows))]
    except NothingToDraw:
        return []
    return [Section("Metrics", [Text(HOW_TO_READ), *tables])]


def _table(table: CellTable, names: list[str]) -> Table:
    columns = [Column("layer"), *(Column(name.replace("_", " "), "estimates") for name in names)]
    lines = [[_label(line), *(_cell(line.rows, name) for name in names)] for line in table.lines]
    detail = f" ({table.detail})" if table.detail else ""
    return Table(dataset_name(table.dataset) + detail, columns, lines)


def _label(line: TableLine) -> Cell:
    layer = line.layer
    rank = float("nan") if layer["rank"] is None else float(str(layer["rank"]))
    told = [options_name(str(layer["options"])), line.training]
    return words(cell_label(str(layer["kind"]), rank, str(layer["placement"]), told))


def _cell(rows: pd.DataFrame, name: str) -> Cell:
    return estimate(summarise(finished_of(rows)[name]), "z.3g", "")
