"""The command line: it registers the commands that the other files define, and runs the one that was called.

`lrlc plan | run | retry | status` a study, `plot | report | claims | compare | export` its tables, `show | export-onnx`
a trial; `submit | jobs | logs | stop` on a cluster, `bundle | adopt` for a machine without a network;
`init | schema | data | list | doctor | bench`.

Commands import their dependencies when they run: plotting needs no torch, and only the Ray commands need Ray.
"""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, get_type_hints

import typer

from lrlc import __version__
from lrlc.harness import usage
from lrlc.harness.bench.cli import bench_app
from lrlc.harness.cli import bundle as bundle_cli
from lrlc.harness.cli import installation, study_files
from lrlc.harness.cli import jobs as jobs_cli
from lrlc.harness.cli import onnx as onnx_cli
from lrlc.harness.cli import results as results_cli
from lrlc.harness.cli import show as show_cli
from lrlc.harness.cli.data import data_app
from lrlc.harness.cli.outcome import explained, in_utf8, open_closed_streams
from lrlc.harness.cli.plan import plan
from lrlc.harness.cli.run import retry, run
from lrlc.harness.cli.status import status
from lrlc.harness.run import ray_watch
from lrlc.harness.text import say, show

app = typer.Typer(
    name="lrlc",
    help="Is convolution the right inductive bias? Run, resume and plot ablation studies of layers that relax it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.add_typer(bench_app, name="bench")


def _print_version(asked: bool) -> None:
    if asked:
        show(f"lrlc {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
]


@app.callback()
def before_commands(version: Version = False) -> None:
    """Options of `lrlc` that precede a command."""


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Prepare `command` for typer: a parameter that is a dataclass of options becomes one parameter per field."""
    own = inspect.signature(command).parameters
    groups: dict[str, Any] = {
        name: each.annotation for name, each in own.items() if is_dataclass(each.annotation)
    }

    def called(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        command(**given)

    taken = [option for name, each in own.items() for option in _options(each, groups.get(name))]
    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined] # typer reads both
    called.__annotations__ = {option.name: option.annotation for option in taken}
    return called


def _options(parameter: inspect.Parameter, group: Any) -> list[inspect.Parameter]:
    """The options that a parameter stands for: the fields of its dataclass, or the parameter itself."""
    if group is None:
        return [parameter.replace(kind=parameter.KEYWORD_ONLY)]
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            parameter.KEYWORD_ONLY,
            default=parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]


for command in (plan, run, retry, status):
    app.command()(with_options(command))
app.command(name="list")(installation.list_names)
app.command()(installation.doctor)
study_files.register(app)
results_cli.register(app)  # after the commands that train, so that --help lists them in this order
show_cli.register(app)
onnx_cli.register(app)
jobs_cli.register(app)
bundle_cli.register(app)


def main() -> None:
    """Run the command. User errors are printed in one line with exit code 2; bugs keep their traceback."""
    open_closed_streams()
    in_utf8()
    try:
        code = app(prog_name="lrlc", standalone_mode=False)
    except typer.TyperException as error:
        if line := usage.fault(error):
            say(f"lrlc: {line}")
        ray_watch.leave(2)
    except Exception as error:
        if (line := explained(error)) is None:
            raise
        say(f"lrlc: {line}")
        ray_watch.leave(2)
    ray_watch.leave(code)


if __name__ == "__main__":
    main()
