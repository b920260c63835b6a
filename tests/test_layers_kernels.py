"""Every kernel against the per-position reference, regardless of the dispatch rule, and how a kernel is chosen."""

import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from support import reference_layers as reference
from test_layers_exact import assert_rounded, assert_same, gradients, make_combined, naive, problems

from lrlc import layers
from lrlc.layers.geometry import make_geometry
from lrlc.layers.kernels import at_once, cpp_build, cpp_kernels, dispatch, ops, portable, unfolded

KERNELS = {
    "portable": (portable.combined, portable.combined_backward),
    "banks": (portable.dependent, portable.dependent_backward),
    "authors": (at_once.combined, at_once.combined_backward),
    "cpp": (cpp_kernels.combined, cpp_kernels.combined_backward),
}
LOCAL = {
    "unfolded": (unfolded.local, unfolded.local_backward),
    "portable": (portable.local, portable.local_backward),
    "cpp": (cpp_kernels.local, cpp_kernels.local_backward),
}
needs_compiler = pytest.mark.usefixtures("compiler")
PRECISIONS = [(torch.float64, 1e-10), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)]


@pytest.fixture(scope="module")
def compiler():
    if cpp_build.library() is None:
        pytest.skip("no C++ compiler")


@pytest.fixture(scope="module")
def family(request):
    """The name of a table's kernels."""
    if request.param == "cpp":
        request.getfixturevalue("compiler")
    return request.param


def run(kernels, tensors, geometry):
    forward, backward = kernels
    y = forward(*tensors, geometry)
    weight = torch.linspace(-1, 2, y.numel(), dtype=torch.float64).view(y.shape).to(y.dtype)
    found = backward(weight, *tensors, geometry, (True,) * len(tensors))
    for which in range(len(tensors)):  # each gradient computed alone is the same
        alone = backward(weight, *tensors, geometry, tuple(i == which for i in range(len(tensors))))
        assert torch.equal(alone[which], found[which])
    return [y, *found]


@pytest.mark.parametrize("family", KERNELS, indirect=True)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@settings(max_examples=25, deadline=None)
@given(problem=problems())
def test_kernels_of_combined_banks_are_exact(family, dtype, tolerance, problem):
    tensors = [t.to(dtype) for t in make_combined(problem, dependent=False)]
    assert_rounded(run(KERNELS[family], tensors, problem[0]), naive(problem[0]), tensors, tolerance)


@pytest.mark.parametrize("family", LOCAL, indirect=True)
@pytest.mark.parametrize("channels", [3, 17, 64])
def test_bfloat16_is_added_up_in_float32(family, channels):
    """Sums of bfloat16 in bfloat16 would stop growing at 256; odd numbers of channels and images leave a pair open."""
    images, g = 301, make_geometry((4, 3), 3)
    x = torch.ones(images, channels, 4, 3, dtype=torch.bfloat16)
    filters = torch.full((2, 9 * channels, 33), 2.0, dtype=torch.bfloat16)
    forward, backward = LOCAL[family]
    assert torch.equal(forward(x, filters, g), torch.full((images, 33, 2, 1), 18.0 * channels).bfloat16())
    of_x, of_filters = backward(torch.ones(images, 33, 2, 1).bfloat16(), x, filters, g, (True, True))
    seen = torch.tensor([1.0, 2.0, 2.0, 1.0])[
        :, None
    ].bfloat16()  # by how many of the two positions each is seen
    assert torch.equal(of_x, (66 * seen).expand_as(of_x))
    assert torch.equal(of_filters, torch.full_like(of_filters, images))


@pytest.mark.parametrize("family", LOCAL, indirect=True)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@settings(max_examples=25, deadline=None)
@given(problem=problems())
def test_kernels_of_stored_filters_are_exact(family, dtype, tolerance, problem):
    g, (_, C_in, C_out, _), _ = problem
    x = make_combined(problem, dependent=False)[0].to(dtype)
    (H, W), (kh, kw) = g.output_size, g.kernel_size
    filters = torch.randn(H * W, kh * kw * C_in, C_out, dtype=torch.float64).to(dtype)

    def locally(x, filters):
        return reference.local(x, filters.view(H, W, kh, kw, C_in, C_out).permute(0, 1, 5, 4, 2, 3), g)

    assert_rounded(run(LOCAL[family], (x, filters), g), locally, (x, filters), tolerance)


@pytest.mark.parametrize("padding", [0, 1, (0, 1, 2, 0)])
def test_strided_filters_of_one_pixel_are_exact(padding):
    g = layers.geometry.make_geometry((7, 6), 1, (1, 2), padding)
    tensors = make_combined((g, (3, 8, 5, 2), 0), dependent=True)
    assert_same(run(KERNELS["banks"], tensors, g), gradients(naive(g), tensors), 1e-10)


@pytest.mark.parametrize("dependent", [False, True])
@settings(max_examples=15, deadline=None)
@given(problem=problems())
def test_the_authors_way_that_keeps_its_activations_is_exact(dependent, problem):
    g, tensors = problem[0], make_combined(problem, dependent=dependent)
    assert_same(gradients(lambda *t: at_once.keep(*t, g), tensors), gradients(naive(g), tensors), 1e-10)


def test_gradients_of_gradients_of_the_authors_way():
    g = layers.geometry.make_geometry((4, 4), 3)
    tensors = [t.requires_grad_() for t in make_combined((g, (2, 2, 3, 2), 0), dependent=True)]
    assert torch.autograd.gradgradcheck(lambda *t: at_once.keep(*t, g), tensors)


@pytest.mark.parametrize("kind", ["lrlc", "lrlc_input_dependent"])
def test_layers_use_the_authors_way_if_the_environment_forces_it(kind, monkeypatch):
    torch.manual_seed(0)
    layer = layers.LAYER_KINDS[kind].build(3, 8, 3, input_size=(7, 6), stride=1, padding=1, bias=True, rank=3)
    x = torch.randn(4, 3, 7, 6)
    found = {}
    for backend in ("auto", "authors"):
        monkeypatch.setenv("LRLC_BACKEND", backend)
        y = layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(x).dtype == torch.bfloat16
        found[backend] = [y, *torch.autograd.grad(y.square().sum(), list(layer.parameters()))]
    assert "_Keeping" in str(found["authors"][0].grad_fn.next_functions) + str(found["authors"][0].grad_fn)
    assert_same(found["authors"], found["auto"], 1e-4)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_traced_layer_can_be_saved_whichever_way_it_computes(monkeypatch, tmp_path):
    monkeypatch.setenv("LRLC_BACKEND", "authors")
    layer = layers.LowRankLocallyConnected2d(3, 4, 3, input_size=(5, 5), rank=2).eval()
    x = torch.randn(2, 3, 5, 5)
    torch.jit.save(torch.jit.trace(layer, x), tmp_path / "layer.pt")
    torch.testing.assert_close(torch.jit.load(tmp_path / "layer.pt")(x), layer(x))


@needs_compiler
@pytest.mark.parametrize("shape", [(70, 40, 33), (9, 3, 64), (200, 17, 5)])
def test_cpp_kernels_at_sizes_that_no_block_divides(shape):
    """Many images, and few and many channels: paths that small random shapes do not reach."""
    N, C_in, C_out = shape
    g = layers.geometry.make_geometry((7, 6), 3, 1, 1)
    tensors = make_combined((g, (N, C_in, C_out, 5), 0), dependent=False)
    expected = run(KERNELS["banks"], tensors, g)
    assert_same(run(KERNELS["cpp"], tensors, g), expected, 1e-11)


@needs_compiler
def test_cpp_kernels_give_the_same_bits_again_and_on_any_number_of_threads():
    g = layers.geometry.make_geometry((12, 9), 3)
    tensors = [t.float() for t in make_combined((g, (20, 16, 16, 3), 0), dependent=False)]
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 3):
            torch.set_num_threads(threads)
            results.append(run(KERNELS["cpp"], tensors, g))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@needs_compiler
def test_cpp_kernels_can_be_called_from_several_threads():
    g = layers.geometry.make_geometry((10, 10), 3)
    tensors = make_combined((g, (4, 16, 16, 2), 0), dependent=False)
    expected = cpp_kernels.combined(*tensors, g)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: cpp_kernels.combined(*tensors, g), range(8)))
    assert all(torch.equal(y, expected) for y in found)


def test_a_nan_stays_a_nan():
    g = layers.geometry.make_geometry((6, 6), 3)
    x, basis, weights = make_combined((g, (40, 2, 3, 2), 0), dependent=False)
    x[3, 0, 2, 2] = float("nan")
    y = ops.combined(x.float(), basis.float(), weights.float(), (1, 1), (0, 0, 0, 0), (1, 1))
    assert y[3].isnan().any()
    assert y.isnan().flatten(1).any(1).sum() == 1


def test_the_environment_forces_a_family(monkeypatch):
    x, weights = torch.zeros(64, 8, 6, 6), torch.zeros(1, 4, 4, 4)
    basis = torch.zeros(32, 8, 3, 3)
    geometry = layers.geometry.make_geometry((6, 6), 3)
    monkeypatch.setenv("LRLC_BACKEND", "portable")
    assert dispatch.combined(x, basis, weights, geometry) is portable.combined
    assert dispatch.combined(x[:1], basis, weights, geometry) is portable.dependent
    assert dispatch.combined(x, basis, weights.expand(64, -1, -1, -1), geometry) is portable.dependent
    monkeypatch.setenv("LRLC_BACKEND", "fast")
    with pytest.raises(layers.LayerError, match="unknown LRLC_BACKEND 'fast'"):
        dispatch.combined(x, basis, weights, geometry)


@needs_compiler
def test_the_environment_forces_cpp(monkeypatch):
    x, weights, basis = torch.zeros(1, 8, 6, 6), torch.zeros(1, 4, 4, 4), torch.zeros(32, 8, 3, 3)
    geometry = layers.geometry.make_geometry((6, 6), 3)
    monkeypatch.setenv("LRLC_BACKEND", "cpp")
    assert dispatch.combined(x, basis, weights, geometry) is cpp_kernels.combined
    with pytest.raises(layers.LayerError, match=r"cannot serve torch\.float16"):
        dispatch.combined(x.half(), basis.half(), weights, geometry)


def test_without_a_compiler_the_portable_kernels_serve_and_one_line_says_so(monkeypatch, caplog):
    monkeypatch.setenv("CXX", "no-such-compiler")
    cpp_build.library.cache_clear()
    try:
        with caplog.at_level(logging.INFO, logger="layers"):
            layer = layers.LowRankLocallyConnected2d(3, 4, 3, input_size=(5, 5), rank=4)
            layer(torch.randn(64, 3, 5, 5)).sum().backward()
            layer(torch.randn(64, 3, 5, 5))
    finally:
        cpp_build.library.cache_clear()
    (record,) = [r for r in caplog.records if r.name == "layers"]
    assert "install g++" in record.getMessage()
    assert "\n" not in record.getMessage()


@needs_compiler
def test_a_source_that_does_not_compile_falls_back(monkeypatch, caplog, tmp_path):
    broken = tmp_path / "broken.cpp"
    broken.write_text("not C++")
    monkeypatch.setattr(cpp_build, "SOURCE", broken)
    monkeypatch.setenv("LRLC_CACHE", str(tmp_path))
    cpp_build.library.cache_clear()
    try:
        assert cpp_build.library() is None
    finally:
        cpp_build.library.cache_clear()
    assert "not usable" in caplog.text
    assert not list(tmp_path.glob("kernels/*"))


@needs_compiler
def test_several_processes_compile_at_once_into_one_cache(tmp_path):
    source = tmp_path / "small.cpp"
    source.write_text('extern "C" int answer() { return 42; }')
    code = (
        "import sys; from pathlib import Path; from lrlc.layers.kernels import cpp_build;"
        "cpp_build.SOURCE = Path(sys.argv[1]); assert cpp_build.library().answer() == 42"
    )
    environment = {**os.environ, "LRLC_CACHE": str(tmp_path)}
    processes = [subprocess.Popen([sys.executable, "-c", code, source], env=environment) for _ in range(2)]
    assert [p.wait() for p in processes] == [0, 0]
    (kept,) = tmp_path.glob("kernels/*")
    assert kept.suffix == ".so"
