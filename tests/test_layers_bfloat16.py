"""bfloat16 on a CPU: every way of convolving is exact to bfloat16's rounding, and a slow one is not used."""

import os
import platform
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from lrlc.layers.kernels.bfloat16_convolution import convolve_by
from lrlc.layers.kernels.measured import _winner

GEOMETRIES = [((1, 1), (0, 0), (1, 1)), ((2, 1), (1, 2), (1, 2)), ((2, 2), (0, 1), (1, 1))]

CHOOSE = """
import torch
from lrlc import layers
from lrlc.layers.convolution import Convolution2d
x = torch.randn(8, 32, 16, 16).contiguous(memory_format=torch.channels_last).requires_grad_()
dependent = layers.InputDependentLowRankLocallyConnected2d(32, 32, 3, input_size=16, rank=2)
for layer in (Convolution2d(32, 32, 3), dependent):
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    y.float().sum().backward()
print(*layers.chosen_backends().values())
"""


@pytest.mark.parametrize("way", ["library", "patches", "float32"])
@pytest.mark.parametrize("how", GEOMETRIES)
@pytest.mark.parametrize("size", [(3, 3), (1, 1), (5, 2)])
def test_output_and_gradients_are_those_of_float64_up_to_rounding(way, how, size):
    torch.manual_seed(0)
    inputs = [torch.randn(shape, requires_grad=True) for shape in ((70, 5, 13, 11), (7, 5, *size), (7,))]
    expected = F.conv2d(*(each.double() for each in inputs), *how)
    grad = torch.randn_like(expected)
    expected = [expected, *torch.autograd.grad(expected, inputs, grad)]
    with torch.autocast("cpu", torch.bfloat16):
        y = convolve_by(way, *inputs, *how)
    assert y.dtype == torch.bfloat16
    for found, true in zip([y, *torch.autograd.grad(y, inputs, grad.bfloat16())], expected, strict=True):
        assert (found - true).abs().max() < 0.01 * true.abs().max()


@pytest.mark.parametrize("way", ["patches", "float32"])
def test_gradients_of_gradients_are_those_of_the_library(way):
    def penalty(chosen):
        torch.manual_seed(0)
        x, weight = torch.randn(4, 5, 8, 8, requires_grad=True), torch.randn(7, 5, 3, 3, requires_grad=True)
        y = convolve_by(chosen, x.bfloat16(), weight.bfloat16(), None, *GEOMETRIES[0])
        (of_x,) = torch.autograd.grad(y.float().square().sum(), x, create_graph=True)
        of_x.square().sum().backward()
        return weight.grad

    torch.testing.assert_close(
        penalty(way), penalty("library"), rtol=0.05, atol=0.05 * penalty("library").abs().max()
    )


def test_the_library_is_kept_unless_another_way_is_clearly_faster():
    assert _winner({"float32": 1.0, "library": 1.4}, "library", margin=1.5) == "library"
    assert _winner({"float32": 1.0, "library": 1.6}, "library", margin=1.5) == "float32"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="limits the instructions of an x86 processor")
def test_without_bfloat16_instructions_float32_is_used_inside(tmp_path):
    limited = os.environ | {"LRLC_CACHE": str(tmp_path), "ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHOOSE], env=limited, capture_output=True, text=True, check=True
    )
    convolution, *dependent = done.stdout.split()
    assert convolution == "float32"
    assert "banks32" in dependent
