"""Every layer against the per-position reference, gradients included."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference_layers as reference
from torch import Tensor

from lrlc import layers
from lrlc.layers.geometry import make_geometry

sizes = st.tuples(st.integers(3, 7), st.integers(3, 7))
GEOMETRIES = {
    "stride": st.sampled_from([1, 2, (2, 1)]),
    "padding": st.sampled_from(["valid", "same", 1, (0, 2)]),
    "dilation": st.sampled_from([1, 1, 2, (1, 2)]),
    "kernel": st.sampled_from([1, 2, 3, (3, 1), (2, 3)]),
}


@st.composite
def problems(draw, dependent=False):
    """A geometry that fits, and the numbers of images, channels in and out, and banks."""
    g = {name: draw(values) for name, values in GEOMETRIES.items()}
    size = draw(sizes)
    try:
        geometry = make_geometry(size, g["kernel"], g["stride"], g["padding"], g["dilation"])
    except layers.LayerError:
        geometry = make_geometry(size, 3, g["stride"], "same", 1)
    counts = [draw(st.integers(1, most)) for most in (3, 12, 4, 4)]
    return geometry, counts, draw(st.integers(0, 1 << 30))


def gradients(function, tensors, signed=True):
    """The output and the gradients of its product with a fixed tensor; without signs, the sums of absolute terms."""
    leaves = [(t if signed else t.abs()).detach().clone().requires_grad_() for t in tensors]
    y = function(*leaves)
    weight = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view(y.shape).contiguous()
    return [y, *torch.autograd.grad((y * (weight if signed else weight.abs())).sum(), leaves)]


def assert_same(found: list[Tensor], expected: list[Tensor], tolerance: float, sizes=None) -> None:
    """Equal up to `tolerance` of the largest of `sizes`, as rounding errors are proportional to the sums."""
    for a, b, size in zip(found, expected, sizes or expected, strict=True):
        scale = max(1.0, size.abs().max().item())
        assert a.shape == b.shape
        assert (a.double() - b.double()).abs().max().item() <= tolerance * scale


def assert_rounded(found: list[Tensor], function, tensors, tolerance: float) -> None:
    """The results from `tensors` match `function` in float64, up to the rounding of their dtype."""
    exact = [t.double() for t in tensors]
    sizes = gradients(function, exact, signed=False) if tensors[0].dtype == torch.bfloat16 else None
    assert_same(found, gradients(function, exact), tolerance, sizes)


def make_combined(problem, dependent: bool):
    geometry, (N, C_in, C_out, K), seed = problem
    g = torch.Generator().manual_seed(seed)
    kh, kw = geometry.kernel_size
    shapes = [
        (N, C_in, *geometry.input_size),
        (K * C_out, C_in, kh, kw),
        (N if dependent else 1, K, *geometry.output_size),
    ]
    return [torch.randn(s, generator=g, dtype=torch.float64) for s in shapes]


def operator(geometry):
    g = geometry
    return lambda x, basis, weights: layers.lrlc_conv2d(
        x, basis, weights, stride=g.stride, padding=g.padding, dilation=g.dilation
    )


def naive(geometry):
    return lambda *tensors: reference.combined(*tensors, geometry)


@pytest.mark.parametrize("dependent", [False, True])
@settings(max_examples=60, deadline=None)
@given(problem=problems())
def test_the_operator_and_its_gradients_are_exact_in_float64(dependent, problem):
    tensors = make_combined(problem, dependent)
    assert_same(gradients(operator(problem[0]), tensors), gradients(naive(problem[0]), tensors), 1e-10)


@pytest.mark.parametrize("dependent", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
@settings(max_examples=25, deadline=None)
@given(problem=problems())
def test_the_operator_in_lower_precision(dtype, tolerance, dependent, problem):
    tensors = make_combined(problem, dependent)
    rounded = [t.to(dtype) for t in tensors]
    assert_rounded(gradients(operator(problem[0]), rounded), naive(problem[0]), rounded, tolerance)


@settings(max_examples=40, deadline=None)
@given(problem=problems())
def test_local_connectivity_is_exact(problem):
    geometry, (N, C_in, C_out, _), seed = problem
    torch.manual_seed(seed)
    g = geometry
    layer = layers.LocallyConnected2d(
        C_in, C_out, g.kernel_size, input_size=g.input_size, stride=g.stride, padding=g.padding,
        dilation=g.dilation, bias=False,
    ).double()  # fmt: skip
    x = torch.randn(N, C_in, *g.input_size, dtype=torch.float64)
    filters = layer.filters.detach()

    def ours(x, filters):
        return torch.func.functional_call(layer, {"filters": filters}, (x,))

    def naive(x, filters):
        shape = (*g.output_size, *g.kernel_size, C_in, C_out)
        return reference.local(x, filters.view(shape).permute(0, 1, 5, 4, 2, 3), g)

    assert_same(gradients(ours, (x, filters)), gradients(naive, (x, filters)), 1e-10)


@pytest.mark.parametrize("dependent", [False, True])
def test_gradcheck_and_second_derivatives(dependent):
    geometry = make_geometry((5, 4), 3, 2, "same")
    tensors = [t.requires_grad_() for t in make_combined((geometry, (2, 2, 2, 3), 0), dependent)]
    assert torch.autograd.gradcheck(operator(geometry), tensors)
    assert torch.autograd.gradgradcheck(operator(geometry), tensors)


@pytest.mark.parametrize("share", ["both", "rows", "columns", "none"])
@pytest.mark.parametrize("normalize", ["softmax", "l2", "none"])
def test_a_layer_is_its_local_filters_and_biases(share, normalize):
    torch.manual_seed(0)
    layer = layers.LowRankLocallyConnected2d(
        3, 4, 3, input_size=(6, 5), rank=3, stride=2, padding="same", share=share, normalize=normalize
    ).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    expected = reference.local(x, layer.local_filters(), layer.geometries[0]) + layer.bias_map()
    assert_same([layer(x)], [expected], 1e-10)
    weights = layer.combining_weights()
    if normalize == "softmax":
        torch.testing.assert_close(weights.sum(1), torch.ones(1, 3, 3, dtype=torch.float64))
    if normalize == "l2":
        torch.testing.assert_close(weights.square().sum(1), torch.ones(1, 3, 3, dtype=torch.float64))


def test_an_input_dependent_layer_is_its_local_filters_and_biases():
    torch.manual_seed(0)
    layer = layers.InputDependentLowRankLocallyConnected2d(3, 4, 3, input_size=(20, 19), rank=3).double()
    torch.nn.init.normal_(layer.bias_table)
    x = torch.randn(2, 3, 20, 19, dtype=torch.float64)
    maps = layer.combining_weights(x)
    assert maps.shape == (2, 3, 18, 17)
    assert not torch.allclose(maps[0], maps[1])
    filters = layer.local_filters(x)
    expected = torch.cat([reference.local(x[n : n + 1], filters[n], layer.geometries[0]) for n in (0, 1)])
    assert_same([layer(x)], [expected + layer.bias_map()], 1e-10)


@pytest.mark.parametrize("stride", [1, 2])
def test_banks_of_different_kernel_size_and_dilation(stride):
    torch.manual_seed(0)
    layer = layers.LowRankLocallyConnected2d(
        3,
        4,
        [3, (1, 5), 2],
        input_size=(8, 7),
        rank=3,
        stride=stride,
        padding="same",
        dilation=[2, 1, (1, 3)],
    ).double()
    x = torch.randn(2, 3, 8, 7, dtype=torch.float64)
    maps = layer.combining_weights()
    terms = zip(layer.basis, maps.split(1, 1), layer.geometries, strict=True)
    expected = sum(reference.combined(x, *term) for term in terms)
    assert_same([layer(x)], [expected], 1e-10)
    filters = layer.local_filters()
    tops, lefts = (max(g.padding[axis] for g in layer.geometries) for axis in (0, 2))
    frame = make_geometry((8, 7), filters.shape[-2:], stride, (tops, 9, lefts, 9))
    whole = reference.local(x, filters.expand(*filters.shape), _cropped(frame, layer.output_size))
    assert_same([whole], [expected], 1e-10)


def _cropped(geometry, output_size):
    """The geometry with padding only at the bottom and right, as much as needed for `output_size`."""
    (H, W), (eh, ew), (sh, sw) = geometry.input_size, geometry.extent, geometry.stride
    top, _, left, _ = geometry.padding
    bottom = max(0, (output_size[0] - 1) * sh + eh - H - top)
    right = max(0, (output_size[1] - 1) * sw + ew - W - left)
    return make_geometry((H, W), geometry.kernel_size, geometry.stride, (top, bottom, left, right))


@pytest.mark.parametrize("share", ["both", "rows", "columns", "none"])
@pytest.mark.parametrize(("normalize", "factor"), [("softmax", 1 / 4), ("l2", 1 / 2), ("none", 1 / 2)])
def test_a_new_layer_is_a_convolution_with_the_averaged_basis(share, normalize, factor):
    layer = layers.LowRankLocallyConnected2d(
        3, 5, 3, input_size=(8, 8), rank=4, share=share, normalize=normalize
    ).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    bank = layer.basis.view(4, 5, 3, 3, 3).sum(0) * factor
    torch.testing.assert_close(layer(x), torch.nn.functional.conv2d(x, bank))


@pytest.mark.parametrize("normalize", ["softmax", "l2", "none"])
@pytest.mark.parametrize("dependent", [False, True])
@pytest.mark.parametrize("rank", [1, 3])
def test_from_conv_starts_at_the_convolution_with_banks_that_differ(rank, dependent, normalize):
    conv = torch.nn.Conv2d(4, 5, 3, stride=2, padding=1).double()
    layer = layers.LowRankLocallyConnected2d.from_conv(
        conv, input_size=(9, 8), rank=rank, normalize=normalize, input_dependent=dependent
    )
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(layer(x), conv(x))
    banks = layer.basis.view(rank, -1)
    assert rank == 1 or not torch.allclose(banks[0], banks[1])


def test_coord_conv_appends_coordinates_from_minus_one_to_one():
    layer = layers.CoordConv2d(1, 2, 1, bias=False)
    with torch.no_grad():
        layer.convolution.weight.copy_(torch.tensor([[0.0, 1, 0], [0, 0, 1]]).view(2, 3, 1, 1))
    y = layer(torch.zeros(1, 1, 3, 5))
    assert y[0, 0, :, 0].tolist() == [-1, 0, 1]
    assert y[0, 1, 0].tolist() == [-1, -0.5, 0, 0.5, 1]


@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(7, 2, (2, 3)), (8, 2, (2, 3)), (6, 1, (2, 2)), (9, 3, (1, 2))]
)
def test_same_padding_is_tensorflows(size, stride, padding):
    """A kernel of 3 with dilation 2 covers 5; the odd zero is at the end."""
    expected = max((-(-size // stride) - 1) * stride + 5 - size, 0)
    geometry = make_geometry(size, 3, stride, "same", 2)
    assert geometry.padding[:2] == (expected // 2, expected - expected // 2)
    assert geometry.output_size == (-(-size // stride),) * 2


WRONG = {
    "8x8, not 9x8": lambda: _layer()(torch.zeros(1, 3, 9, 8)),
    "takes 3 input channels, but the input has 4": lambda: _layer()(torch.zeros(1, 4, 8, 8)),
    "rank must be an int of at least 1, not 0": lambda: _layer(rank=0),
    "unknown share 'row'; did you mean 'rows'": lambda: _layer(share="row"),
    "unknown normalize 'soft'": lambda: _layer(normalize="soft"),
    "covers 9x9, more than the padded input of 8x8": lambda: _layer(kernel_size=9),
    "kernel_size lists 3 banks, but rank is 2": lambda: _layer(kernel_size=[1, 3, 5], padding="same"),
    "need padding='same', not 0": lambda: _layer(kernel_size=[1, 3]),
    "give x": lambda: _layer(input_dependent=True).combining_weights(),
    "basis has 5 filters, not a multiple of the weights' 2 banks": lambda: layers.lrlc_conv2d(
        torch.zeros(1, 1, 3, 3), torch.zeros(5, 1, 3, 3), torch.zeros(2, 1, 1)
    ),
    "cover 2x1 positions, but the output has 1x1": lambda: layers.lrlc_conv2d(
        torch.zeros(1, 1, 3, 3), torch.zeros(4, 1, 3, 3), torch.zeros(2, 2, 1)
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_use_names_both_numbers(message):
    with pytest.raises(layers.LayerError) as caught:
        WRONG[message]()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def _layer(kernel_size=3, rank=2, **options):
    return layers.LowRankLocallyConnected2d(3, 4, kernel_size, input_size=(8, 8), rank=rank, **options)
