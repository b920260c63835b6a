"""`lrlc export-onnx TRIAL`: a trained network as an ONNX file."""

from pathlib import Path
from typing import Annotated

import typer

from lrlc.harness.cli.options import RESULTS, ResultsDir, as_written
from lrlc.harness.text import show


def export_onnx(
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="A trial's id, or a unique beginning of it.")],
    results: ResultsDir = RESULTS,
    best: Annotated[
        bool, typer.Option("--best", help="The weights of the best epoch rather than the last.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", callback=as_written, metavar="FILE", help="The file to write; TRIAL.onnx by default."
        ),
    ] = None,
) -> None:
    """Write a trained network as ONNX, checked against its output here; its study must keep weights."""
    from lrlc.harness.api.trial import find_trial
    from lrlc.harness.named_store import load_recorded_plugins
    from lrlc.harness.run.kept_models import kept_model
    from lrlc.layers.onnx_export import onnx_bytes
    from lrlc.results.files import write_output

    found = find_trial(trial, results)
    load_recorded_plugins(found.store)  # build_network says which kind is unknown without them
    model, image_shape = kept_model(found.store, found.id, "best_weights" if best else "weights")
    path = out or Path(f"{found.id}.onnx")
    content = onnx_bytes(model, image_shape)
    write_output(path, lambda file: file.write(content))
    show(str(path))


def register(app: typer.Typer) -> None:
    """Add the command to `lrlc`."""
    app.command()(export_onnx)
