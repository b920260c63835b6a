"""`lrlc bench layers | check | kernels | training | precision | together | overhead | tables`."""

import importlib.util
from typing import TYPE_CHECKING, Annotated

import typer

from lrlc.harness.bench.printing import (
    layers_table,
    measures_table,
    network_table,
    precision_table,
    show,
    together_table,
    training_table,
)
from lrlc.harness.errors import UserError
from lrlc.harness.usage import finite

if TYPE_CHECKING:
    import torch

bench_app = typer.Typer(help="Measure layers, training and scheduling on this machine.", no_args_is_help=True)

Batches = Annotated[list[int] | None, typer.Option("--batch", min=2, help="Batch size; repeat for several.")]
Ranks = Annotated[str, typer.Option(help="Ranks, as in 2,4,7.")]
Rounds = Annotated[int, typer.Option(min=1, help="Rounds to take the median of.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; torch's own number by default.")]
Dtype = Annotated[str, typer.Option(help="float32 or bfloat16.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


@bench_app.command("layers")
def bench_layers(
    network: Annotated[
        str, typer.Option(help="layer: one layer of the three-layer network; resnet50: the whole ResNet-50.")
    ] = "layer",
    batch: Batches = None,
    ranks: Ranks = "2,4,7",
    rounds: Rounds = 20,
    threads: Threads = None,
    dtype: Dtype = "float32",
    compiled: Annotated[
        bool, typer.Option("--compile", help="Also measure input-dependent layers under torch.compile.")
    ] = False,
    memory: Annotated[bool, typer.Option(help="Also measure peak memory.")] = True,
    only: Annotated[
        list[str] | None, typer.Option(help="A formulation to compare, such as lrlc; repeat for several.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 if a path other than the default one is faster.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Time forward and backward passes, interleaved, as ratios to a peer."""
    device, chosen = _prepare(threads), _whole_numbers("--ranks", ranks)
    if network == "resnet50":
        from lrlc.harness.bench.resnet import measure_resnet50

        networks = measure_resnet50(chosen, (batch or [2])[0], rounds, device)
        show(device, networks, [network_table(networks)], as_json)
        return
    if network != "layer":
        raise UserError(f"--network: {network!r} is neither 'layer' nor 'resnet50'")
    from lrlc.harness.bench.cases import Setting
    from lrlc.harness.bench.layers import FORMULATIONS, Wanted, measure_layers

    if unknown := set(only or ()) - set(FORMULATIONS):
        raise UserError(f"--only: {min(unknown)!r} is none of {', '.join(FORMULATIONS)}")
    wanted = Wanted(chosen, _dtype(dtype), rounds, compiled, memory, paths=check, only=only or ())
    found = [measure_layers(Setting(size), wanted, device) for size in batch or [128]]
    show(device, found, [layers_table(each) for each in found], as_json)
    if not all(choice.holds for each in found for choice in each.choices):
        raise typer.Exit(1)


@bench_app.command("check")
def bench_check() -> None:
    """Compare the kernels used on this machine with float64; exit code 1 if one is wrong."""
    import time

    from lrlc.harness.bench.gpu import report
    from lrlc.harness.bench.machine import describe, find_device
    from lrlc.harness.bench.self_check import check_kernels

    started = time.perf_counter()
    print(describe(find_device()))
    checks = check_kernels()
    report(checks, time.perf_counter() - started)
    if not all(each.holds for each in checks):
        raise typer.Exit(1)


@bench_app.command("kernels")
def bench_kernels(
    target: Annotated[str, typer.Option(help="sm_80, sm_90 or sm_100.")] = "sm_90",
    batch: Annotated[int, typer.Option(min=1, help="Batch size.")] = 128,
    channels: Annotated[int, typer.Option(min=1, help="Channels of the input.")] = 64,
    out: Annotated[int, typer.Option(min=1, help="Channels of the output.")] = 64,
    size: Annotated[int, typer.Option(min=3, help="Height and width of the input.")] = 32,
    padding: Annotated[str, typer.Option(help="valid or same.")] = "valid",
    ranks: Ranks = "2,4,7",
    dtype: Annotated[str, typer.Option(help="bfloat16, float16 or float32.")] = "bfloat16",
    tf32: Annotated[
        bool, typer.Option(help="float32 in TF32, as torch's convolutions are by default.")
    ] = True,
    only: Annotated[
        list[str] | None, typer.Option(help="fixed, dependent or local; repeat for several.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if registers spill to memory.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compile the Triton kernels for any GPU, present or not; show registers, memory and a lower bound on the time."""
    from lrlc.harness.bench.kernels import DTYPES, KINDS, Problem, kernel_table, measure_kernels

    if dtype not in DTYPES:
        raise UserError(f"--dtype: {dtype!r} is none of {', '.join(DTYPES)}")
    if unknown := set(only or ()) - set(KINDS):
        raise UserError(f"--only: {min(unknown)!r} is none of {', '.join(KINDS)}")
    if importlib.util.find_spec("triton") is None:
        raise UserError("lrlc bench kernels: Triton is not installed here (pip install triton)")
    problem = Problem(batch, channels, out, size, padding, dtype, tf32)
    found = measure_kernels(problem, _whole_numbers("--ranks", ranks), only or KINDS, target)
    show(_prepare(None), found, [kernel_table(found, target)], as_json)
    if check and any(row.compiled.stack for row in found):
        raise typer.Exit(1)


@bench_app.command("training")
def bench_training(
    batch: Batches = None,
    ranks: Ranks = "4",
    rounds: Rounds = 10,
    threads: Threads = None,
    dtype: Dtype = "float32",
    as_json: AsJson = False,
) -> None:
    """Time whole training epochs against a plain PyTorch loop with a DataLoader."""
    from lrlc.harness.bench.training import measure_training

    device, chosen = _prepare(threads), _whole_numbers("--ranks", ranks)
    found = measure_training(batch or [128, 512], chosen, _dtype(dtype), rounds, device)
    show(device, found, [training_table(found)], as_json)


@bench_app.command("precision")
def bench_precision(
    batch: Annotated[int, typer.Option(min=2, help="Batch size.")] = 64,
    sizes: Annotated[str, typer.Option(help="Pixels on each side of the images, as in 16,32.")] = "16,32",
    rounds: Rounds = 10,
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Time training steps of the three-layer network in float32 and bfloat16."""
    from lrlc.harness.bench.precision import NETWORKS, measure_precision

    device, chosen = _prepare(threads), _whole_numbers("--sizes", sizes)
    if min(chosen) < 8:
        raise UserError(
            f"--sizes: {min(chosen)} pixels are too few for the three-layer network; give 8 or more"
        )
    found = measure_precision(NETWORKS, chosen, batch, rounds, device)
    show(device, found, [precision_table(found)], as_json)


@bench_app.command("together")
def bench_together(
    counts: Annotated[
        str, typer.Option(help="Numbers of processes to try; those above the number of cores are left out.")
    ] = "1,2,4,8,15",
    batch: Annotated[int, typer.Option(min=2, help="Images a batch.")] = 128,
    seconds: Annotated[
        float, typer.Option(min=0, callback=finite, help="How long to train with each number of processes.")
    ] = 5.0,
    dtype: Dtype = "float32",
    as_json: AsJson = False,
) -> None:
    """Time trials in several processes at once: which number trains the most images per second?"""
    import os

    from lrlc.harness.bench.together import measure_together

    device, chosen = _prepare(None), _whole_numbers("--counts", counts)
    fitting = [count for count in chosen if count <= (os.cpu_count() or 1)] or [1]
    found = measure_together(fitting, seconds, batch, _dtype(dtype), device)
    show(device, found, [together_table(found)], as_json)


@bench_app.command("overhead")
def bench_overhead(
    trials: Annotated[str, typer.Option(help="Sizes of grids to run, as in 100,1000.")] = "100,1000,10000",
    slots: Annotated[int, typer.Option(min=1, help="Trials at once.")] = 8,
    tune_trials: Annotated[int, typer.Option(min=1, help="Trials of Ray Tune.")] = 60,
    search_trials: Annotated[int, typer.Option(min=2, help="Suggestions of the search.")] = 2000,
    finished: Annotated[int, typer.Option(min=1, help="Finished trials to resume.")] = 10_000,
    planned: Annotated[int, typer.Option(min=1, help="Trials to plan.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of the shortest grid and Ray Tune.")] = 3,
    only: Annotated[
        list[str] | None, typer.Option(help="grid, tune, search, resume or plan; repeat for several.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time trials that take no time on a local Ray, from the driver to the committed row, and planning."""
    from lrlc.harness.bench.machine import find_device
    from lrlc.harness.cluster import ray_setup

    ray_setup.prepare(joins_cluster=False)
    from lrlc.harness.bench.overhead import PARTS, Wanted, measure_overhead

    if unknown := set(only or ()) - set(PARTS):
        raise UserError(f"--only: {min(unknown)!r} is none of {', '.join(PARTS)}")
    sizes = _whole_numbers("--trials", trials)
    found = measure_overhead(
        Wanted(sizes, slots, tune_trials, search_trials, finished, planned, rounds, only or PARTS)
    )
    show(find_device(), found, [measures_table("overhead", found)], as_json)


@bench_app.command("tables")
def bench_tables(
    rows: Annotated[int, typer.Option(min=1, help="Trials in the store.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds to take the median of.")] = 3,
    only: Annotated[
        list[str] | None, typer.Option(help="rank, figures, report or export; repeat for several.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time reading a large store and drawing its figures, each in its own process."""
    from lrlc.harness.bench.machine import find_device
    from lrlc.harness.bench.tables import PARTS, measure_tables

    if unknown := set(only or ()) - set(PARTS):
        raise UserError(f"--only: {min(unknown)!r} is none of {', '.join(PARTS)}")
    found = measure_tables(rows, rounds, only or PARTS)
    show(find_device(), found, [measures_table("tables", found)], as_json)


def _prepare(threads: int | None) -> "torch.device":
    import torch

    from lrlc.harness.bench.machine import find_device
    from lrlc.harness.training.allocator import keep_freed_memory

    keep_freed_memory()  # as a trial's worker does
    if threads is not None:
        torch.set_num_threads(threads)
    return find_device()


def _whole_numbers(option: str, text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise UserError(f"{option}: {text!r} is not a list of whole numbers from 1, such as 2,4,7")
    return numbers


def _dtype(name: str) -> str:
    if name not in ("float32", "bfloat16"):
        raise UserError(f"--dtype: {name!r} is neither float32 nor bfloat16")
    return name
