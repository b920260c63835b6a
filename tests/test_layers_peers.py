"""The peers of the literature against their formulas, position by position; their starts and penalties."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference_layers as reference
from test_layers_exact import assert_same, gradients, problems

from lrlc import layers
from lrlc.layers.involution import apply_kernels, centres
from lrlc.layers.penalty import neighbour_differences
from lrlc.results.figures.looks import KINDS
from lrlc.results.names import KIND_NAMES, SHORT_KIND_NAMES
from lrlc.results.report import glossary

IMAGE = (3, 12, 11)


def build(make, problem, **options):
    """A layer with a drawn geometry in float64 and random parameters, and an input."""
    geometry, (N, C_in, C_out, K), seed = problem
    torch.manual_seed(seed)
    g = geometry
    if make in (layers.RelaxedConv2d, layers.CondConv2d):
        options["rank"] = K
    layer = make(
        C_in, C_out, g.kernel_size, input_size=g.input_size, stride=g.stride, padding=g.padding,
        dilation=g.dilation, **options,
    ).double()  # fmt: skip
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer, torch.randn(N, C_in, *g.input_size, dtype=torch.float64)


def assert_exact(layer, x, naive, tolerance=1e-10):
    """The output and the gradients of input and parameters match `naive(x, **parameters)`."""
    names = [name for name, _ in layer.named_parameters()]
    values = [x, *(parameter.detach() for parameter in layer.parameters())]

    def ours(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    def theirs(x, *parameters):
        return naive(x, **{name.replace(".", "_"): p for name, p in zip(names, parameters, strict=True)})

    assert_same(gradients(ours, values), gradients(theirs, values), tolerance)


@settings(max_examples=20, deadline=None)
@given(problem=problems())
def test_relaxed_convolution_is_its_formula(problem):
    layer, x = build(layers.RelaxedConv2d, problem)

    def naive(x, basis, combining_table, bias):
        return reference.combined(x, basis, combining_table[None], problem[0]) + bias[:, None, None]

    assert_exact(layer, x, naive)
    expected = reference.local(x, layer.local_filters(), problem[0]) + layer.bias[:, None, None]
    assert_same([layer(x)], [expected], 1e-10)


@settings(max_examples=20, deadline=None)
@given(problem=problems())
def test_a_position_map_is_added_to_a_convolution(problem):
    layer, x = build(layers.PositionMapConv2d, problem)

    def naive(x, weight, bias, map_values):
        everywhere = torch.ones(1, 1, *problem[0].output_size, dtype=x.dtype)
        return reference.combined(x, weight, everywhere, problem[0]) + bias[:, None, None] + map_values

    assert_exact(layer, x, naive)


@settings(max_examples=20, deadline=None)
@given(problem=problems())
def test_conditional_convolution_mixes_its_banks_for_each_image(problem):
    layer, x = build(layers.CondConv2d, problem)

    def naive(x, basis, routing_weight, routing_bias, bias):
        logits = torch.einsum("nchw,kc->nk", x, routing_weight[:, :, 0, 0]) / x[0, 0].numel() + routing_bias
        weights = logits.sigmoid()[:, :, None, None].expand(-1, -1, *problem[0].output_size)
        return reference.combined(x, basis, weights, problem[0]) + bias[:, None, None]

    assert_exact(layer, x, naive)


@settings(max_examples=20, deadline=None)
@given(problem=problems())
def test_constrained_local_connectivity_is_local_connectivity(problem):
    layer, x = build(layers.ConstrainedLocallyConnected2d, problem)
    shape = (*problem[0].output_size, *problem[0].kernel_size, x.shape[1], layer.out_channels)

    def naive(x, filters, bias):
        return reference.local(x, filters.view(shape).permute(0, 1, 5, 4, 2, 3), problem[0]) + bias

    assert_exact(layer, x, naive)


@settings(max_examples=20, deadline=None)
@given(problem=problems())
def test_a_residual_pathway_is_a_convolution_plus_local_connectivity(problem):
    layer, x = build(layers.ResidualPathway2d, problem)
    shape = (*problem[0].output_size, *problem[0].kernel_size, x.shape[1], layer.out_channels)

    def naive(x, convolution_weight, convolution_bias, local_filters):
        filters = local_filters.view(shape).permute(0, 1, 5, 4, 2, 3) + convolution_weight
        return reference.local(x, filters, problem[0]) + convolution_bias[:, None, None]

    assert_exact(layer, x, naive)
    expected = reference.local(x, layer.local_filters(), problem[0]) + layer.convolution.bias[:, None, None]
    assert_same([layer(x)], [expected], 1e-10)


@settings(max_examples=20, deadline=None)
@given(problem=problems(), groups=st.integers(1, 3))
def test_an_involution_applies_a_kernel_of_each_position_and_group(problem, groups):
    geometry, (N, C_in, C, _), seed = problem
    grouped = (geometry, (N, C_in, C * groups, 1), seed)
    layer, x = build(layers.Involution2d, grouped, group_channels=C, reduction=2)
    layer.eval()  # batch statistics need more than one value per channel
    values, kernels = layer.value(x), layer.kernels(x)
    taps = geometry.kernel_size[0] * geometry.kernel_size[1]
    assert kernels.shape == (N, groups, taps, *geometry.output_size)
    assert_same(
        gradients(lambda *tensors: apply_kernels(*tensors, geometry), (values, kernels)),
        gradients(lambda *tensors: reference.involved(*tensors, geometry), (values, kernels)),
        1e-10,
    )
    expected = reference.involved(values, kernels, geometry) + layer.bias[:, None, None]
    assert_same([layer(x)], [expected], 1e-10)


@settings(max_examples=60, deadline=None)
@given(problem=problems())
def test_the_kernels_of_an_involution_are_computed_from_the_input_at_each_centre(problem):
    geometry, (N, C, _, _), seed = problem
    torch.manual_seed(seed)
    x = torch.randn(N, C, *geometry.input_size, dtype=torch.float64)
    found = centres(x, geometry)
    assert found.shape == (N, C, *geometry.output_size)
    for i in range(geometry.output_size[0]):
        for j in range(geometry.output_size[1]):
            firsts = [
                at * step - geometry.padding[2 * axis] + (geometry.extent[axis] - 1) // 2
                for axis, (at, step) in enumerate(zip((i, j), geometry.stride, strict=True))
            ]
            rows, columns = (
                slice(max(0, first), max(0, first + step))
                for first, step in zip(firsts, geometry.stride, strict=True)
            )
            seen = x[:, :, rows, columns].flatten(2)
            expected = seen.mean(2) if seen.numel() else torch.zeros_like(found[:, :, i, j])
            torch.testing.assert_close(found[:, :, i, j], expected)


def test_an_involution_with_equal_channels_uses_its_input_unchanged():
    parts = dict(layers.Involution2d(64, 64, 3, input_size=8).named_parameters())
    assert not any(name.startswith("value") for name in parts)
    assert parts["reduce.weight"].shape == (16, 64, 1, 1)
    assert parts["expand.weight"].shape == (4 * 9, 16, 1, 1)
    wider = layers.Involution2d(3, 64, 3, input_size=8)
    assert wider.value.weight.shape == (64, 3, 1, 1)
    assert wider.reduce.weight.shape == (16, 3, 1, 1)
    assert layers.Involution2d(3, 8, 3, input_size=8).groups == 1


def test_relaxed_convolution_starts_as_the_mean_of_its_banks():
    layer = layers.RelaxedConv2d(3, 5, 3, input_size=(8, 7), rank=4)
    layers.initialise(layer, 3)
    assert torch.equal(layer.combining.table, torch.full((4, 6, 5), 0.25))
    assert layer.penalty() == 0
    x = torch.randn(2, 3, 8, 7)
    mean = layer.basis.view(4, 5, 3, 3, 3).mean(0)
    torch.testing.assert_close(layer(x), torch.nn.functional.conv2d(x, mean))


def test_a_position_map_starts_as_the_convolution_of_its_seed():
    plain, mapped = (
        layers.build_network("three_layer", IMAGE, 10, kind=kind, placement=(1, 3))
        for kind in ("conv", "position_map")
    )
    for model in (plain, mapped):
        layers.initialise(model, 3)
    x = torch.randn(2, *IMAGE)
    assert torch.equal(plain(x), mapped(x))
    extra = 64 * (10 * 9 + 6 * 5)
    assert layers.cost(mapped, IMAGE).parameters == layers.cost(plain, IMAGE).parameters + extra


def test_conditional_convolution_starts_with_equal_weights():
    layer = layers.CondConv2d(3, 5, 3, input_size=(8, 7), rank=4)
    layers.initialise(layer, 3)
    weights = layer.routing_weights(torch.randn(50, 3, 8, 7))
    assert weights.shape == (50, 4)
    assert (weights - 0.5).abs().max() < 0.25
    assert weights.std(0).min() > 0


def test_relaxed_convolutions_show_their_combining_weights():
    model = layers.build_network("three_layer", IMAGE, 10, kind="relaxed_conv", rank=3, placement=(1, 3))
    maps = layers.combining_weight_maps(model, torch.randn(2, *IMAGE))
    assert {name: tuple(m.shape) for name, m in maps.items()} == {
        "layer1": (1, 3, 10, 9),
        "layer3": (1, 3, 6, 5),
    }
    conditional = layers.build_network("three_layer", IMAGE, 10, kind="cond_conv", rank=3, placement=(1, 3))
    assert layers.combining_weight_maps(conditional, torch.randn(2, *IMAGE)) == {}


@pytest.mark.parametrize("shape", [(4, 5, 2, 3), (4, 5, 1), (1, 5, 2), (4, 1, 2), (1, 1, 2)])
def test_neighbour_differences_are_sums_averaged_over_the_pairs_of_each_axis(shape):
    torch.manual_seed(0)
    values = torch.randn(shape, dtype=torch.float64)

    def naive(values):
        total = values.new_zeros(())
        for axis in (0, 1):
            if values.shape[axis] > 1:
                differences = values.diff(dim=axis).abs()
                total = total + differences.flatten(2).sum(2).mean()
        return total + 0 * values.sum()

    assert_same(gradients(neighbour_differences, [values]), gradients(naive, [values]), 1e-12)


def test_the_penalty_of_relaxed_convolution_is_its_strength_times_the_differences_of_its_weights():
    layer = layers.RelaxedConv2d(2, 3, 3, input_size=(6, 5), rank=2, penalty=0.5)
    torch.nn.init.normal_(layer.combining.table)
    table = layer.combining.table
    expected = 0.5 * (table.diff(dim=1).abs().sum(0).mean() + table.diff(dim=2).abs().sum(0).mean())
    torch.testing.assert_close(layer.penalty(), expected)


def test_the_penalty_of_constrained_local_connectivity_is_that_of_its_filters():
    layer = layers.ConstrainedLocallyConnected2d(2, 3, 3, input_size=(6, 5), penalty=0.5)
    filters = layer.local_filters().flatten(2)  # (H', W', C_out*C_in*kh*kw)
    expected = 0.5 * (filters.diff(dim=0).abs().sum(2).mean() + filters.diff(dim=1).abs().sum(2).mean())
    torch.testing.assert_close(layer.penalty(), expected)
    shared = layers.ConstrainedLocallyConnected2d(2, 3, 3, input_size=(6, 5), start="shared")
    assert shared.penalty() == 0


def test_the_penalty_of_a_residual_pathway_is_stronger_on_unshared_parameters():
    layer = layers.ResidualPathway2d(2, 3, 3, input_size=(6, 5), bias=False)
    squares = [path.square().sum() for path in (layer.convolution.weight, layer.local.filters)]
    torch.testing.assert_close(layer.penalty(), 1e-4 * squares[0] + 1e-2 * squares[1])
    set_apart = layers.ResidualPathway2d(
        2, 3, 3, input_size=(6, 5), bias=False, conv_penalty=0, local_penalty=3
    )
    torch.testing.assert_close(set_apart.penalty(), 3 * set_apart.local.filters.square().sum())


def test_the_penalty_of_a_network_is_the_sum_over_its_layers():
    model = layers.build_network(
        "three_layer", IMAGE, 10, kind="relaxed_conv", rank=2, placement=(1, 3), options={"penalty": 2.0}
    )
    for layer in (model.layer1, model.layer3):
        torch.nn.init.normal_(layer.combining.table)
    torch.testing.assert_close(layers.penalty(model), model.layer1.penalty() + model.layer3.penalty())
    assert layers.penalty(layers.build_network("three_layer", IMAGE, 10)) is None


WRONG = {
    "penalty must be a number of at least 0, not -1": lambda: _layer(layers.RelaxedConv2d, penalty=-1),
    "penalty must be a number of at least 0, not 'strong'": lambda: _layer(
        layers.RelaxedConv2d, penalty="strong"
    ),
    "penalty must be a number of at least 0, not nan": lambda: _layer(
        layers.RelaxedConv2d, penalty=float("nan")
    ),
    "local_penalty must be a number of at least 0, not -0.1": lambda: layers.ResidualPathway2d(
        3, 4, 3, input_size=8, local_penalty=-0.1
    ),
    "penalty must be a number of at least 0, not True": lambda: layers.ConstrainedLocallyConnected2d(
        3, 4, 3, input_size=8, penalty=True
    ),
    "unknown start 'zero'; known: he, keras, shared": lambda: layers.ConstrainedLocallyConnected2d(
        3, 4, 3, input_size=8, start="zero"
    ),
    "group_channels (=12) must divide out_channels (=64)": lambda: layers.Involution2d(
        3, 64, 3, input_size=8, group_channels=12
    ),
    "reduction must be an int of at least 1, not 0": lambda: layers.Involution2d(
        3, 64, 3, input_size=8, reduction=0
    ),
    "rank must be an int of at least 1, not 0": lambda: _layer(layers.CondConv2d, rank=0),
    "8x8, not 9x8": lambda: _layer(layers.RelaxedConv2d)(torch.zeros(1, 3, 9, 8)),
    "8x8, not 7x8": lambda: _layer(layers.CondConv2d)(torch.zeros(1, 3, 7, 8)),
    "8x8, not 8x9": lambda: layers.PositionMapConv2d(3, 4, 3, input_size=8)(torch.zeros(1, 3, 8, 9)),
    "covers 9x9, more than the padded input of 8x8": lambda: layers.PositionMapConv2d(3, 4, 9, input_size=8),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_use_names_both_numbers(message):
    with pytest.raises(layers.LayerError) as caught:
        WRONG[message]()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def _layer(kind, rank=2, **options):
    return kind(3, 4, 3, input_size=(8, 8), rank=rank, **options)


def test_each_shipped_kind_has_a_name_a_look_and_an_explanation():
    shipped = [name for name, kind in layers.LAYER_KINDS.items() if kind.build.__module__.startswith("lrlc.")]
    assert len(shipped) >= 12
    for kind in shipped:
        assert kind in KIND_NAMES
        assert kind in SHORT_KIND_NAMES
        assert kind in KINDS
        assert kind in glossary.LAYERS
    assert len({look.colour for look in KINDS.values()}) == len(KINDS)
    assert len({look.marker for look in KINDS.values()}) == len(KINDS)
