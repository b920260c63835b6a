"""The Triton kernels compiled for GPUs that are not present: tensor cores, no spills, two programs a multiprocessor."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lrlc.harness.bench.compile_ahead import Compiled, blocks_that_fit, tools
from lrlc.harness.bench.kernel_sweep import different_launches, line, worst
from lrlc.harness.bench.kernels import Problem
from lrlc.harness.cli.app import app

needs_tools = pytest.mark.skipif(
    not all(Path(tool).exists() for tool in tools()),
    reason="Triton, its ptxas or its cuobjdump is missing",
)
KERNELS = {
    "fixed K=7": ["apply_kernel", "apply_kernel", "bank_gradient_kernel"],
    "dependent K=7": ["output_kernel", "input_gradient_kernel", "bank_gradient_kernel", "output_kernel"],
    "local": ["apply_kernel", "apply_kernel", "filter_gradient_kernel"],
}


def kernels(*arguments: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["bench", "kernels", *arguments, "--check", "--json"])
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    return found


# A few kernels of every target and dtype: `make kernels-table` compiles them all.
CELLS = [
    ("sm_80", "bfloat16", "HMMA", ["dependent"]),
    ("sm_80", "float16", "HMMA", ["local"]),
    ("sm_80", "float32", "HMMA", ["fixed"]),
    ("sm_90", "bfloat16", "HGMMA", ["dependent"]),
    ("sm_90", "float16", "HGMMA", ["fixed"]),
    ("sm_90", "float32", "HGMMA", ["local"]),
    ("sm_100", "bfloat16", "UTCHMMA", ["local"]),
    ("sm_100", "float16", "UTCHMMA", ["fixed"]),
    ("sm_100", "float32", "UTCHMMA", ["dependent"]),
]


@needs_tools
@pytest.mark.parametrize(("target", "dtype", "instruction", "kinds"), CELLS)
def test_kernels_use_tensor_cores_and_spill_nothing(
    target: str, dtype: str, instruction: str, kinds: list[str]
) -> None:
    only = [word for kind in kinds for word in ("--only", kind)]
    rows = kernels("--target", target, "--dtype", dtype, "--ranks", "7", *only)
    names: dict[str, list[str]] = {}
    for row in rows:
        compiled = row["compiled"]
        names.setdefault(row["operator"], []).append(compiled["kernel"])
        assert compiled["matrix"].get(instruction, 0) > 0, row
        assert compiled["stack"] == 0, row
        assert compiled["blocks"] >= 2, row
        assert 0 < row["convolution"] <= row["roofline"], row
    assert names == {name: found for name, found in KERNELS.items() if name.split()[0] in kinds}


def test_the_table_of_all_compiles_no_kernel_twice() -> None:
    problem = Problem(128, 8, 16, 12)
    alike = [problem, replace(problem, batch=100, size=9, padding="same")]
    once = list(different_launches([problem], [1, 2], ["fixed", "local"], "sm_90"))
    assert len(list(different_launches(alike, [1, 2], ["fixed", "local"], "sm_90"))) == len(once) == 9
    other = [problem, replace(problem, channels=24), replace(problem, stride=2), problem.of("float16")]
    assert len(list(different_launches(other, [1, 2], ["fixed", "local"], "sm_90"))) == 36


def test_the_table_of_all_names_what_does_not_fit() -> None:
    good = Compiled("a_kernel", 100, 0, 30 * 1024, 2, {"HMMA": 8})
    rows = [worst("sm_80", "float16", [good, bad]) for bad in (
        good, replace(good, stack=8), replace(good, blocks=1), replace(good, matrix={}),
    )]  # fmt: skip
    assert [row.fits for row in rows] == [True, False, False, False]
    assert line(rows[0]) == "| sm_80 | float16 | 2 | 100 | 0 | 30 | 2 | HMMA |"
    assert line(rows[-1]) == "| sm_80 | float16 | 2 | 100 | 0 | 30 | 2 | HMMA, **none** |"


def test_blocks_are_limited_by_registers_shared_memory_and_threads() -> None:
    assert blocks_that_fit(90, 256, 128, 1024) == 2
    assert blocks_that_fit(90, 256, 129, 1024) == 1
    assert blocks_that_fit(90, 256, 32, 75 * 1024) == 3
    assert blocks_that_fit(80, 256, 32, 75 * 1024) == 2
    assert blocks_that_fit(90, 256, 16, 1024) == 8
    assert blocks_that_fit(100, 256, 64, 1024, tensor_columns=256) == 2


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--target", "sm_89"], "--target: 'sm_89' is none of sm_80, sm_90, sm_100"),
        (["--dtype", "int8"], "--dtype: 'int8' is none of bfloat16, float16, float32"),
        (["--only", "lokal"], "--only: 'lokal' is none of fixed, dependent, local"),
    ],
)
def test_wrong_options_are_named(arguments: list[str], line: str) -> None:
    done = CliRunner().invoke(app, ["bench", "kernels", *arguments])
    assert str(done.exception) == line
