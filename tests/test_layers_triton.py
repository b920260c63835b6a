"""The Triton kernels, run by Triton's interpreter in a process of its own, against the per-position reference.

The interpreter (3.9.0) has no bfloat16 products, so float16 stands for it.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed"
)

CHECK = """
import torch
from support import reference_layers as reference
from test_layers_exact import assert_same, gradients, make_combined
from lrlc.layers.kernels import triton_kernels
from lrlc.layers.geometry import make_geometry

shapes = [  # size, kernel, stride, padding, dilation, (N, C_in, C_out, K)
    ((4, 3), (2, 3), 2, "same", 1, (18, 17, 3, 2)),
    ((3, 3), 2, 1, 0, 1, (3, 2, 33, 3)),
    ((3, 2), 2, 1, (1, 0), (2, 1), (2, 5, 4, 5)),
]
cases = [(*shape, torch.float32, 1e-5) for shape in shapes] + [(*shapes[0], torch.float16, 1e-2)]
for size, kernel, stride, padding, dilation, counts, dtype, tolerance in cases:
    geometry = make_geometry(size, kernel, stride, padding, dilation)
    for dependent in (False, True):
        tensors = [t.to(dtype) for t in make_combined((geometry, counts, 0), dependent)]
        exact = [t.double() for t in tensors]
        expected = gradients(lambda *t: reference.combined(*t, geometry), exact)
        y = triton_kernels.combined(*tensors, geometry)
        weight = torch.linspace(-1, 2, y.numel(), dtype=torch.float64).view(y.shape).to(dtype)
        found = triton_kernels.combined_backward(weight, *tensors, geometry, (True, True, True))
        assert_same([y, *found], expected, tolerance)
        again = triton_kernels.combined_backward(weight, *tensors, geometry, (True, True, True))
        assert all(torch.equal(a, b) for a, b in zip(found, again))
    N, C_in, C_out, _ = counts
    P, R = geometry.output_size[0] * geometry.output_size[1], geometry.kernel_size[0] * geometry.kernel_size[1] * C_in
    x, filters = torch.randn(N, C_in, *size, dtype=dtype), torch.randn(P, R, C_out, dtype=dtype)

    def local(x, filters):
        shape = (*geometry.output_size, *geometry.kernel_size, C_in, C_out)
        return reference.local(x, filters.view(shape).permute(0, 1, 5, 4, 2, 3), geometry)

    y = triton_kernels.local(x, filters, geometry)
    weight = torch.linspace(-1, 2, y.numel(), dtype=torch.float64).view(y.shape).to(dtype)
    found = triton_kernels.local_backward(weight, x, filters, geometry, (True, True))
    assert_same([y, *found], gradients(local, [x.double(), filters.double()]), tolerance)
"""


@needs_triton
def test_triton_kernels_are_exact_at_sizes_that_no_tile_divides():
    tests = str(Path(__file__).parent)
    path = os.pathsep.join([tests, str(Path(tests).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@needs_triton
def test_the_environment_sends_a_layer_through_triton():
    code = (
        "import torch; from lrlc import layers; torch.manual_seed(0); "
        "layer = layers.LowRankLocallyConnected2d(2, 3, 2, input_size=(3, 3), rank=2); "
        "x = torch.randn(2, 2, 3, 3, requires_grad=True); y = layer(x); y.sum().backward(); "
        "filters = layer.local_filters().detach(); "
        "found = (y - torch.einsum('nchwab,hwocab->nohw', x.unfold(2, 2, 1).unfold(3, 2, 1), filters)).abs().max(); "
        "assert found < 1e-5, found; assert x.grad.abs().sum() > 0"
    )
    environment = {**os.environ, "TRITON_INTERPRET": "1", "LRLC_BACKEND": "triton"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
