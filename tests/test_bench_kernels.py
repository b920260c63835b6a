"""The Triton kernels compiled for GPUs that are not here: tensor cores, no spills, two programs a multiprocessor."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lrlc.harness.bench.compile_ahead import blocks_that_fit, tools
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


@needs_tools
@pytest.mark.parametrize(
    ("target", "dtype", "instruction"),
    [("sm_80", "bfloat16", "HMMA"), ("sm_90", "bfloat16", "HGMMA"), ("sm_90", "float32", "HGMMA")],
)
def test_kernels_use_tensor_cores_and_spill_nothing(target: str, dtype: str, instruction: str) -> None:
    rows = kernels("--target", target, "--dtype", dtype, "--ranks", "7")
    names: dict[str, list[str]] = {}
    for row in rows:
        compiled = row["compiled"]
        names.setdefault(row["operator"], []).append(compiled["kernel"])
        assert compiled["matrix"].get(instruction, 0) > 0, row
        assert compiled["stack"] == 0, row
        assert compiled["blocks"] >= 2, row
        assert 0 < row["convolution"] <= row["roofline"], row
    assert names == KERNELS


def test_blocks_are_limited_by_registers_shared_memory_and_threads() -> None:
    assert blocks_that_fit(90, 256, 128, 1024) == 2
    assert blocks_that_fit(90, 256, 129, 1024) == 1
    assert blocks_that_fit(90, 256, 32, 75 * 1024) == 3
    assert blocks_that_fit(80, 256, 32, 75 * 1024) == 2
    assert blocks_that_fit(90, 256, 16, 1024) == 8


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
