"""A study's report: one HTML page that needs nothing beside it, made from the tables alone.

The same tables give the same page.
"""

import json
import math
import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from results import markup
from results.figures import FIGURES, NothingToDraw, Selection, caption, render
from results.figures.naming import dataset_name, kind_name
from results.figures.selection import Panel, cells, panels
from results.files import locate
from results.schema import BROKEN, TrialStatus
from results.statistics import TRAINING_SETTINGS, Summary, paired_difference, summarise
from results.store import DEFAULT_PROFILE, Store, StudyRecord

PAGE = Path(__file__).with_name("report.html")
REFERENCE = "conv"
MOST_ENDINGS = 50
COLUMNS = (
    "layer",
    "rank",
    "replaced",
    "seeds",
    "test accuracy, % (95% interval)",
    "minus conv, points (95% interval)",
    "parameters",
    "FLOPs per image",
    "s per trial",
)
NUMBERS = (COLUMNS[1], *COLUMNS[3:])


def write_report(store: Store, out: Path, *, profile: str | None = None) -> Path:
    """Write the page about the rows of a profile's plan (None: the plan written last) and return its path."""
    selection = Selection.of(store, profile)
    asked = store.study(profile) or StudyRecord(profile or DEFAULT_PROFILE, {"name": store.root.name}, ())
    rows = selection.trials
    title = str(asked.study.get("title") or asked.study.get("name") or store.root.name)
    sections = [
        _figures(selection),
        _summary(rows),
        _endings(rows),
        _training(rows),
        _provenance(rows, store),
        _again(asked),
    ]
    page = Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(title),
        description=markup.paragraphs(str(asked.study.get("description") or "")),
        counts=_counts(rows, store.plan(profile), asked),
        sections="\n".join(part for part in sections if part),
    )
    locate(out).replace(lambda file: file.write(page.encode()))
    return out


def _counts(rows: pd.DataFrame, planned: set[str] | None, asked: StudyRecord) -> str:
    counted = {str(status): int((rows["status"] == status).sum()) for status in TrialStatus}
    counted["missing"] = len(planned - set(rows["trial_id"])) if planned is not None else 0
    shown = {ending: count for ending, count in counted.items() if count or ending == "finished"}
    items = "".join(f"<li><b>{count:,}</b> {escape(ending)}</li>" for ending, count in shown.items())
    name = escape(str(asked.study.get("name", "")))
    profile = "" if asked.profile == DEFAULT_PROFILE else f", profile {escape(asked.profile)}"
    return f'<ul class="counts">{items}</ul>\n<p class="soft">Trials of study {name}{profile}.</p>'


def _figures(selection: Selection) -> str:
    drawn, skipped = [], []
    for name in FIGURES:
        try:
            svg = render(name, selection, ["svg"])["svg"]
        except NothingToDraw as reason:
            skipped.append(f"{name}: not drawn, {reason}")
        else:
            drawn.append(markup.figure(svg, alt=name.replace("_", " "), caption=caption(name)))
    return markup.section("Figures", *drawn, markup.bullets(skipped) if skipped else "")


def _summary(rows: pd.DataFrame) -> str:
    try:
        found = panels(rows)
    except NothingToDraw as reason:
        return markup.section("Results", markup.paragraphs(f"No table: {reason}."))
    note = (
        "Means over seeds with Student's t intervals; differences are paired by seed. One multiply-add is "
        "two FLOPs. The row of the best mean validation accuracy stands out."
    )
    return markup.section("Results", markup.paragraphs(note), *(_panel_table(panel) for panel in found))


def _panel_table(panel: Panel) -> str:
    finished = panel.rows[panel.rows["status"] == TrialStatus.FINISHED]
    found = sorted(cells(finished), key=lambda cell: _order(cell[0]))
    reference = next((rows for layer, rows in found if layer["kind"] == REFERENCE), None)
    lines = [_line(layer, rows, reference) for layer, rows in found]
    validated = [float(rows["validation_accuracy"].mean()) for _, rows in found]
    best = max(range(len(found)), key=lambda position: validated[position]) if len(found) > 1 else None
    detail = f" ({panel.detail})" if panel.detail else ""
    return markup.table(dataset_name(panel.dataset) + detail, COLUMNS, lines, numbers=NUMBERS, best=best)


def _order(layer: dict[str, Any]) -> tuple[object, ...]:
    rank = -1.0 if pd.isna(layer["rank"]) else float(layer["rank"])
    return (layer["kind"] != REFERENCE, layer["kind"], layer["placement"], layer["options"], rank)


def _line(layer: dict[str, Any], rows: pd.DataFrame, reference: pd.DataFrame | None) -> list[str]:
    accuracy = summarise(rows["test_accuracy"]).scaled(100)
    difference = Summary(0, math.nan, math.nan, math.nan, math.nan)
    if reference is not None and layer["kind"] != REFERENCE:
        difference = paired_difference(rows, reference).difference.scaled(100)
    options = json.loads(layer["options"])
    chosen = "".join(f", {name} {value}" for name, value in options.items())
    return [
        kind_name(layer["kind"]) + chosen,
        "" if pd.isna(layer["rank"]) else f"{layer['rank']:.0f}",
        str(layer["placement"]),
        str(accuracy.n),
        _estimate(accuracy, "z.2f"),
        _estimate(difference, "+z.2f"),
        _count(rows["parameters"].iloc[0]),
        _count(rows["flops_per_image"].iloc[0]),
        f"{rows['total_seconds'].mean():,.1f}",
    ]


def _estimate(summary: Summary, form: str) -> str:
    """'98.64 (98.57 to 98.71)'; no interval at one seed."""
    if not summary.n:
        return ""
    mean, low, high = (
        f"{value:{form}}".replace("-", "−") for value in (summary.mean, summary.low, summary.high)
    )
    return mean if math.isnan(summary.low) else f"{mean} ({low} to {high})"


def _count(number: float) -> str:
    """75466 as '75.5 k', 23.5e6 as '23.5 M'."""
    if pd.isna(number):
        return ""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def _endings(rows: pd.DataFrame) -> str:
    """Diverged and broken trials, each with the line of its error that says what was wrong."""
    bad = rows[rows["status"].isin([str(status) for status in (TrialStatus.DIVERGED, *BROKEN)])]
    if bad.empty:
        return ""
    lines, whole = [], []
    for row in bad.head(MOST_ENDINGS).to_dict("records"):
        error = "" if pd.isna(row["error"]) else str(row["error"]).strip()
        rank = "" if pd.isna(row["rank"]) else f" rank {row['rank']:.0f}"
        place = f" layers {row['placement']}" if row["placement"] else ""
        what = f"{row['dataset']} {row['kind']}{rank}{place} seed {row['seed']}"
        lines.append([row["status"], what, error.splitlines()[-1] if error else "", row["trial_id"]])
        if "\n" in error:
            whole.append(markup.folded(f"{what}: whole error", error))
    columns = ("ending", "trial", "error", "trial id")
    more = f"And {len(bad) - MOST_ENDINGS:,} more." if len(bad) > MOST_ENDINGS else ""
    listed = markup.table("", columns, lines, wrapped=("error",))
    return markup.section("Trials that did not finish", listed, markup.paragraphs(more), *whole)


def _training(rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    settings = {
        name.replace("_", " "): _several(rows[name]) for name in ("network", *TRAINING_SETTINGS, "seed")
    }
    images = {name: _several(rows[name]) for name in ("validation_images", "test_images")}
    return markup.section(
        "Training",
        markup.paragraphs(
            "Stochastic gradient descent with Nesterov momentum, linear warm-up and cosine decay; no "
            "augmentation and no weight decay. Choices are made on the validation split; the test split is "
            "looked at once, at the end."
        ),
        markup.definitions({**settings, **{name.replace("_", " "): shown for name, shown in images.items()}}),
    )


def _provenance(rows: pd.DataFrame, store: Store) -> str:
    if rows.empty:
        return ""
    commits = rows["git_commit"].fillna("unknown") + rows["git_dirty"].eq(True).map(
        {True: " with uncommitted changes", False: ""}
    )
    versions: dict[str, set[str]] = {}
    for text in rows["versions"].unique():
        for package, version in json.loads(text).items():
            versions.setdefault(package, set()).add(version)
    entries = {
        "code": _several(commits),
        "versions": ", ".join(
            f"{name} {' and '.join(sorted(found))}" for name, found in sorted(versions.items())
        ),
        "hosts": _several(rows["host"]),
        "devices": _several(rows["device"]),
        "run": f"{rows['started_at'].min():%Y-%m-%d %H:%M} to {rows['ended_at'].max():%Y-%m-%d %H:%M} UTC",
        "trial hours": f"{rows['total_seconds'].sum() / 3600:,.2f}",
        "data digests": _several(rows["dataset"] + " " + rows["data_digest"]),
    }
    damaged = [f"damaged, left out: {path.relative_to(store.root)}" for path in store.damaged()]
    return markup.section(
        "Provenance", markup.definitions(entries), markup.bullets(damaged) if damaged else ""
    )


def _several(values: "pd.Series[Any]", most: int = 12) -> str:
    """The different values of a column, in order, the first `most` of them."""
    known = [
        f"{value:.10g}" if isinstance(value, float) else str(value)
        for value in sorted(values.dropna().unique())
    ]
    shown = ", ".join(known[:most])
    return f"{shown} and {len(known) - most} more" if len(known) > most else shown or "unknown"


def _again(asked: StudyRecord) -> str:
    name = str(asked.study.get("name", ""))
    profile = [] if asked.profile == DEFAULT_PROFILE else ["--profile", asked.profile]
    run: Sequence[str] = ["lrlc", "run", name, *asked.overrides, *profile]
    report = ["lrlc", "report", name, *profile]
    return markup.section(
        "Again",
        markup.paragraphs("Trains what is missing, then draws this page from the tables:"),
        markup.command(f"{shlex.join(run)}\n{shlex.join(report)}"),
    )
