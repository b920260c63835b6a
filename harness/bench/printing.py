"""The results of benchmarks as JSON, or as text in tables."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from lrlc.harness.bench.layers import LayersMeasured
    from lrlc.harness.bench.overhead import Measure
    from lrlc.harness.bench.precision import Gain
    from lrlc.harness.bench.resnet import NetworkRow
    from lrlc.harness.bench.timing import Ratio
    from lrlc.harness.bench.together import Together
    from lrlc.harness.bench.training import TrainingMeasured


def show(
    device: "torch.device", found: Sequence[Any], tables: Sequence[list[list[str]]], as_json: bool
) -> None:
    from lrlc.harness.bench.machine import describe

    machine = describe(device)
    if as_json:
        print(json.dumps({"machine": asdict(machine), "results": [asdict(each) for each in found]}, indent=2))
        return
    print(machine)
    for table in tables:
        print()
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for first, *rest in table:
            cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
            print("  ".join([first.ljust(widths[0]), *cells]).rstrip())


RATIO_HEADER = ["over", "ratio", "quartiles", "goal", "ms", "peer ms"]


def _ratio_cells(ratio: "Ratio", goal: float | None) -> list[str]:
    return [
        ratio.peer,
        f"{ratio.ratio:.2f}",
        f"{ratio.low:.2f}-{ratio.high:.2f}",
        "" if goal is None else f"{goal:.2f}",
        f"{ratio.milliseconds:.1f}",
        f"{ratio.peer_milliseconds:.1f}",
    ]


def layers_table(found: "LayersMeasured") -> list[list[str]]:
    table = [[f"batch {found.batch}", *RATIO_HEADER, "memory"]]
    for row in found.rows:
        memory = "" if row.memory_ratio is None else f"{row.memory_ratio:.2f}"
        table.append([row.ratio.name, *_ratio_cells(row.ratio, row.goal), memory])
    for choice in found.choices:
        verdict = "as fast as any" if choice.holds else "slower"
        table.append([f"{choice.case}: {verdict} (best: {choice.best})", *[""] * 7])
    return table


def training_table(found: "Sequence[TrainingMeasured]") -> list[list[str]]:
    table = [["epoch", *RATIO_HEADER, "us/image"]]
    for each in found:
        per_image = f"{each.microseconds_per_image:.0f}"
        table.append([each.ratio.name, *_ratio_cells(each.ratio, each.goal), per_image])
    return table


def precision_table(found: "Sequence[Gain]") -> list[list[str]]:
    table = [["network", "images", "bfloat16 is faster by", "quartiles", "float32 ms", "bfloat16 ms"]]
    for gain in found:
        each = gain.ratio
        times = [f"{each.milliseconds:.1f}", f"{each.peer_milliseconds:.1f}"]
        size = f"{gain.size}x{gain.size}"
        table.append([gain.network, size, f"{each.ratio:.2f}", f"{each.low:.2f}-{each.high:.2f}", *times])
    return table


def together_table(found: "Sequence[Together]") -> list[list[str]]:
    table = [["processes", "images a second", f"over {found[0].processes}"]]
    for each in found:
        gain = each.images_per_second / found[0].images_per_second
        table.append([str(each.processes), f"{each.images_per_second:,.0f}", f"{gain:.2f}"])
    return table


def network_table(rows: "Sequence[NetworkRow]") -> list[list[str]]:
    header = ["parameters", "GFLOPs/image", "GFLOPs/batch", "activations MB/image", "step", "quartiles", "ms"]
    table = [["ResNet-50", *header]]
    for row in rows:
        step = ["not run", "", ""]
        if row.step is not None:
            quartiles = f"{row.step.low:.2f}-{row.step.high:.2f}"
            step = [f"{row.step.ratio:.2f}", quartiles, f"{row.step.milliseconds:.0f}"]
        counts = [f"{row.flops_per_image / 1e9:.2f}", f"{row.flops_per_batch / 1e9:.2f}"]
        table.append([row.name, f"{row.parameters:,}", *counts, f"{row.activation_bytes / 1e6:.0f}", *step])
    return table


def measures_table(title: str, found: "Sequence[Measure]") -> list[list[str]]:
    table = [[title, "", "unit", "quartiles", "goal", "", "note"]]
    verdicts = {None: "", True: "met", False: "missed"}
    for each in found:
        value = "" if each.value is None else f"{each.value:,.2f}"
        spread = "" if each.low is None else f"{each.low:.2f}-{each.high:.2f}"
        table.append([each.name, value, each.unit, spread, each.goal, verdicts[each.met], each.note])
    return table
