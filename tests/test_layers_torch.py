"""Layers under everything torch offers: transforms, compilation, export, copies, devices and precisions."""

import copy
import io
import warnings

import pytest
import torch
from test_layers_exact import assert_same

from lrlc import layers

SIZE = (6, 7)
LAYERS = {
    "fixed": lambda: layers.LowRankLocallyConnected2d(
        3, 4, 3, input_size=SIZE, rank=3, padding="same", stride=2
    ),
    "table": lambda: layers.LowRankLocallyConnected2d(
        3, 4, 3, input_size=SIZE, rank=2, share="none", normalize="l2"
    ),
    "varied": lambda: layers.LowRankLocallyConnected2d(3, 4, [1, 3], input_size=SIZE, rank=2, padding="same"),
    "dependent": lambda: layers.InputDependentLowRankLocallyConnected2d(3, 4, 3, input_size=SIZE, rank=3),
    "local": lambda: layers.LocallyConnected2d(3, 4, 3, input_size=SIZE, padding=1),
    "relaxed": lambda: layers.RelaxedConv2d(3, 4, 3, input_size=SIZE, rank=3, padding="same", stride=2),
    "conditional": lambda: layers.CondConv2d(3, 4, 3, input_size=SIZE, rank=3, padding="same", stride=2),
    "position_map": lambda: layers.PositionMapConv2d(3, 4, 3, input_size=SIZE, padding=1),
    "constrained": lambda: layers.ConstrainedLocallyConnected2d(3, 4, 3, input_size=SIZE, padding=1),
    "residual": lambda: layers.ResidualPathway2d(3, 4, 3, input_size=SIZE, padding="same", stride=2),
    # in evaluation mode: with batch statistics the images of a batch depend on each other
    "involution": lambda: layers.Involution2d(3, 4, 3, input_size=SIZE, padding=1, group_channels=2).eval(),
    "coord": lambda: layers.CoordConv2d(3, 4, 3),
    "conv": lambda: layers.Convolution2d(3, 4, 3, stride=2, padding="same"),
}
each_layer = pytest.mark.parametrize("name", LAYERS)


def make(name):
    torch.manual_seed(0)
    return LAYERS[name](), torch.randn(2, 3, *SIZE)


def output_and_gradients(function, layer, x):
    layer.zero_grad()
    x = x.detach().clone().requires_grad_()
    y = function(x)
    y.square().sum().backward()
    return [y.detach(), x.grad, *(p.grad for p in layer.parameters())]


def assert_close(found, expected, **tolerances):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, **tolerances)


@each_layer
def test_repr_names_what_defines_the_layer(name):
    text = repr(make(name)[0])
    assert "3, 4, kernel_size=" in text
    assert ("rank=" in text) == hasattr(make(name)[0], "rank")


@each_layer
def test_state_dict_and_deepcopy_carry_the_layer(name):
    layer, x = make(name)
    other = LAYERS[name]()
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert_close([other(x), copy.deepcopy(layer)(x)], [layer(x)] * 2)


@each_layer
def test_float64_and_bfloat16_and_autocast(name):
    layer, x = make(name)
    expected = output_and_gradients(layer, layer, x)
    double = copy.deepcopy(layer).double()
    found = output_and_gradients(double, double, x.double())
    assert {t.dtype for t in found} == {torch.float64}
    assert_close([t.float() for t in found], expected, rtol=1e-4, atol=1e-4)
    half = copy.deepcopy(layer).bfloat16()
    found = output_and_gradients(half, half, x.bfloat16())
    assert {t.dtype for t in found} == {torch.bfloat16}
    assert_same(found, expected, 0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    assert_close([y.float()], expected[:1], rtol=0.05, atol=0.05)


@each_layer
def test_autocast_gradients_arrive_in_the_parameters_dtype(name):
    layer, x = make(name)
    expected = output_and_gradients(layer, layer, x)

    def cast(x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return layer(x).float()

    found = output_and_gradients(cast, layer, x)
    assert {t.dtype for t in found} == {torch.float32}
    assert_same(found, expected, 0.1)


@each_layer
def test_channels_last_changes_nothing_but_the_layout(name):
    layer, x = make(name)
    expected = output_and_gradients(layer, layer, x)
    layer = layer.to(memory_format=torch.channels_last)
    found = output_and_gradients(layer, layer, x.to(memory_format=torch.channels_last))
    assert_same(found, expected, 1e-5)
    assert layer(x.to(memory_format=torch.channels_last)).is_contiguous(memory_format=torch.channels_last)


@each_layer
def test_functional_calls_vmap_over_stacked_models_and_per_sample_gradients(name):
    models = [LAYERS[name]() for _ in range(3)]
    x = torch.randn(2, 3, *SIZE)
    parameters, _ = torch.func.stack_module_state(models)
    buffers = dict(models[0].named_buffers())  # of batch norms, the same in all models

    def loss(parameters, x):
        return torch.func.functional_call(models[0], (parameters, buffers), (x,)).square().sum()

    found = torch.vmap(torch.func.grad(loss), (0, None))(parameters, x)
    for i, model in enumerate(models):
        expected = dict(zip(parameters, output_and_gradients(model, model, x)[2:], strict=True))
        assert_close([found[p][i] for p in found], [expected[p] for p in found], rtol=1e-4, atol=1e-4)
    one = {p: v[0] for p, v in parameters.items()}
    per_sample = torch.vmap(torch.func.grad(lambda p, x: loss(p, x[None])), (None, 0))(one, x)
    assert_close([per_sample[p].sum(0) for p in found], [found[p][0] for p in found], rtol=1e-4, atol=1e-4)


@each_layer
@pytest.mark.filterwarnings(
    "ignore:.torch.jit.script:DeprecationWarning"
)  # torch's own warning, on the first jvp
def test_forward_mode_gives_the_derivative_of_torch_func(name):
    layer, x = make(name)
    tangent = torch.randn_like(x)
    _, expected = torch.func.jvp(layer, (x,), (tangent,))
    with torch.autograd.forward_ad.dual_level():
        y = layer(torch.autograd.forward_ad.make_dual(x, tangent))
        found = torch.autograd.forward_ad.unpack_dual(y).tangent
    assert_close([found], [expected])


@each_layer
def test_vmap_over_inputs(name):
    layer, _ = make(name)
    x = torch.randn(3, 2, 3, *SIZE)
    assert_close([torch.vmap(layer)(x)], [torch.stack([layer(part) for part in x])])


@each_layer
def test_torch_compile_traces_the_whole_layer(name):
    layer, x = make(name)
    expected = output_and_gradients(layer, layer, x)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert_close(output_and_gradients(compiled, layer, x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["fixed", "dependent"])
def test_inductor_compiles_it(name):
    layer, x = make(name)
    expected = output_and_gradients(layer, layer, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(layer, fullgraph=True)
        assert_close(output_and_gradients(compiled, layer, x), expected, rtol=1e-4, atol=1e-4)


@each_layer
def test_torch_export_keeps_the_batch_size_free(name):
    layer, x = make(name)
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(layer.eval(), (x,), dynamic_shapes=({0: batch},))
    other = torch.randn(5, 3, *SIZE)
    assert_close([program.module()(other)], [layer(other)])


@each_layer
def test_the_meta_device_gives_shapes(name):
    layer, x = make(name)
    with torch.device("meta"):
        shadow = LAYERS[name]()
    y = shadow(x.to("meta").requires_grad_())
    assert y.shape == layer(x).shape
    y.sum().backward()
    assert all(p.grad.shape == p.shape for p in shadow.parameters())
    shadow.to_empty(device="cpu")
    layers.initialise(shadow, 1)
    layers.initialise(layer, 1)
    assert_close([shadow(x)], [layer(x)])


@each_layer
def test_replicas_share_the_work_of_a_batch(name):
    """As in DataParallel: a module whose parameters are non-leaf copies."""
    layer, x = make(name)
    expected = output_and_gradients(layer, layer, x)
    replica = copy.deepcopy(layer)
    for module_name, module in replica.named_modules():
        source = layer.get_submodule(module_name)
        for parameter_name, parameter in source.named_parameters(recurse=False):
            delattr(module, parameter_name)
            setattr(module, parameter_name, parameter.clone())
    found = output_and_gradients(lambda x: torch.cat([replica(x[:1]), layer(x[1:])]), layer, x)
    assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [2, 7])
@pytest.mark.parametrize("dependent", [False, True])
def test_only_the_input_basis_and_weights_are_kept_for_the_backward_pass(dependent, rank):
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    basis = torch.randn(rank * 64, 3, 3, 3, requires_grad=True)
    weights = torch.rand(2 if dependent else 1, rank, 6, 6, requires_grad=True)
    saved: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.data_ptr()) or t, lambda t: t):
        layers.lrlc_conv2d(x, basis, weights)
    assert set(saved) == {x.data_ptr(), basis.data_ptr(), weights.data_ptr()}


@pytest.mark.parametrize("name", ["fixed", "table", "dependent", "local"])
def test_torchs_own_checks_of_the_operators(name):
    layer, x = make(name)
    if name == "local":
        g = layer.geometry
        arguments = (x.requires_grad_(), layer.filters, g.kernel_size, g.stride, g.padding, g.dilation)
        operator = torch.ops.lrlc.local.default
    else:
        g = layer.geometries[0]
        weights = layer.combining_weights(x).detach().requires_grad_()
        arguments = (x.requires_grad_(), layer.basis, weights, g.stride, g.padding, g.dilation)
        operator = torch.ops.lrlc.combined.default
    torch.library.opcheck(operator, arguments, atol=1e-4, rtol=1e-4)
