"""`lrlc show TRIAL`: one trial from its row alone; `--verify` trains it again and compares."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrlc.harness.cli.options import RESULTS, AsJson, DataDir, ResultsDir
from lrlc.harness.text import aligned, counted, duration, last_line, print_json, say
from lrlc.harness.text import show as print_line
from lrlc.results.names import value_name

if TYPE_CHECKING:
    from lrlc.harness.api.trial import FoundTrial

BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 60
LOG_LINES = 10


def show(
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="A trial's id, or a unique beginning of it.")],
    results: ResultsDir = RESULTS,
    data: DataDir = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Train it again here and compare; exit code 1 if anything differs."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one trial: its settings, curve, results, output and provenance."""
    from lrlc.harness.api.trial import find_trial, verified

    found = find_trial(trial, results)
    if as_json:
        print_json(found.as_dict())
    else:
        print_line("\n".join(_lines(found)))
    if verify:
        say("training it again")
        differences = verified(found, data)
        for line in differences or ["identical: every epoch and the test results have the same numbers"]:
            print_line(line)
        if differences:
            raise typer.Exit(1)


def _lines(found: "FoundTrial") -> list[str]:
    row = found.row
    told = [("settings", _settings(row)), ("training", _training(row)), ("result", _result(row))]
    told += [(name, line) for name, line in _curves(found)]
    told += [("trained", _trained(row)), ("code", _code(row)), ("versions", _versions(row))]
    told += [("environment", found.environment.line)] if found.environment else []
    told += [("kept", path) for path in found.kept]
    if row["error"]:
        told.append(("error", last_line(str(row["error"]))))
    title = f"{row['trial_id']}: {found.label}, {str(row['status']).replace('_', ' ')}; study {found.study}"
    lines = aligned([(f"  {name}", line) for name, line in told])
    return [title, *lines, *_traceback(row), *_log(found)]


def _settings(row: dict[str, Any]) -> str:
    options = ", ".join(f"{name} {value}" for name, value in json.loads(row["options"]).items())
    size = f"{row['image_height']:.0f}x{row['image_width']:.0f} pixels" if row["image_height"] else ""
    images = counted(int(row["train_images"]), "training image") if row["train_images"] else ""
    return ", ".join(filter(None, [f"network {row['network']}", options, size, images]))


def _training(row: dict[str, Any]) -> str:
    train = json.loads(row["config"])["train"]
    return ", ".join(f"{name.replace('_', ' ')} {value_name(name, value)}" for name, value in train.items())


def _result(row: dict[str, Any]) -> str:
    named = (("test", "test_accuracy"), ("validation", "validation_accuracy"), ("training", "train_accuracy"))
    parts = [f"{name} {row[column]:.2%}" for name, column in named if row[column] is not None]
    parts += [f"{row['parameters']:,.0f} parameters"] if row["parameters"] is not None else []
    return ", ".join(parts) or "nothing measured"


def _curves(found: "FoundTrial") -> list[tuple[str, str]]:
    """Two sparklines: validation accuracy and training loss over the epochs."""
    curve = found.curve
    if curve.empty:
        return []
    accuracy, loss = curve["validation_accuracy"].tolist(), curve["train_loss"].tolist()
    return [
        (
            "validation",
            f"{sparkline(accuracy)} {accuracy[0]:.1%} to {accuracy[-1]:.1%} in {counted(len(curve), 'epoch')}",
        ),
        ("training loss", f"{sparkline(loss)} {loss[0]:.3g} to {loss[-1]:.3g}"),
    ]


def sparkline(values: Sequence[float]) -> str:
    """A bar per value, scaled from the lowest to the highest; a long curve is thinned to every n-th value."""
    step = -(-len(values) // MOST_BARS)
    shown = [value for value in values[step - 1 :: step] if math.isfinite(value)]
    if not shown:
        return ""
    low, span = min(shown), max(shown) - min(shown)
    return "".join(
        BARS[round((value - low) / span * (len(BARS) - 1))] if span else BARS[0] for value in shown
    )


def _trained(row: dict[str, Any]) -> str:
    tries = f", attempt {row['attempts']:.0f}" if row["attempts"] > 1 else ""
    took = duration(row["total_seconds"])
    return f"{row['started_at']:%Y-%m-%d %H:%M} UTC in {took} on {row['host']}, {row['device'] or 'no device'}{tries}"


def _code(row: dict[str, Any]) -> str:
    dirty = " with uncommitted changes" if row["git_dirty"] else ""
    return f"{row['git_commit'] or 'unknown commit'}{dirty}, code epoch {row['code_epoch']}"


def _versions(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in json.loads(row["versions"]).items())


def _traceback(row: dict[str, Any]) -> list[str]:
    """The traceback of a trial that an exception ended."""
    lines = str(row["error"] or "").rstrip().splitlines()
    return ["  traceback", *(f"    {line}" for line in lines)] if len(lines) > 1 else []


def _log(found: "FoundTrial") -> list[str]:
    lines = found.log.splitlines()
    if not lines:
        return []
    more = f"; `lrlc logs {found.study} --trial {found.row['trial_id']}` shows all {len(lines)} lines"
    return [
        f"  printed{more if len(lines) > LOG_LINES else ''}",
        *(f"    {line}" for line in lines[-LOG_LINES:]),
    ]


def register(app: typer.Typer) -> None:
    """Add the command to `lrlc`."""
    app.command()(show)
