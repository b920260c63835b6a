"""Every layer kind treats any input as nn.Conv2d does: the same shape, dtype and device, or a refusal."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lrlc import layers
from lrlc.layers.geometry import make_geometry
from lrlc.layers.kernels import cpp_kernels, ops

SIZE = (9, 8)
GEOMETRY = {"stride": 2, "padding": 1}


def build(kind):
    """A layer of that kind from 4 to 8 channels with biases; nn.Conv2d itself under its name."""
    if kind == "nn.Conv2d":
        return nn.Conv2d(4, 8, 3, **GEOMETRY)
    entry = layers.LAYER_KINDS[kind]
    options = {"rank": 3} if entry.ranked else {}
    return entry.build(4, 8, 3, input_size=SIZE, bias=True, **GEOMETRY, **options)


def images(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def given_as(dtype):
    return lambda layer: layer(images(16, 4, *SIZE).mul(3).to(dtype))


def of_dtype(dtype, x):
    return lambda layer: layer.to(dtype)(images(16, 4, *SIZE).to(x))


def autocast(dtype, x=torch.float32, layer_dtype=torch.float32):
    def call(layer):
        layer.to(layer_dtype)
        with torch.autocast("cpu", dtype=dtype):
            return layer(images(16, 4, *SIZE).to(x))

    return call


half, brain, double = torch.float16, torch.bfloat16, torch.float64
INPUTS = {
    "a batch": lambda layer: layer(images(16, 4, *SIZE)),
    "one image of a batch": lambda layer: layer(images(1, 4, *SIZE)),
    "an image without a batch": lambda layer: layer(images(4, *SIZE)),
    "an empty batch": lambda layer: layer(images(0, 4, *SIZE)),
    "images across memory": lambda layer: layer(images(4, 16, *reversed(SIZE)).permute(1, 0, 3, 2)),
    "images repeated in place": lambda layer: layer(images(1, 4, *SIZE).expand(5, -1, -1, -1)),
    "channels_last": lambda layer: layer(images(16, 4, *SIZE).to(memory_format=torch.channels_last)),
    "no gradients": lambda layer: torch.no_grad()(layer)(images(16, 4, *SIZE)),
    "inference mode": lambda layer: torch.inference_mode()(layer)(images(16, 4, *SIZE)),
    "another number of channels": lambda layer: layer(images(16, 3, *SIZE)),
    "two dimensions": lambda layer: layer(images(*SIZE)),
    "five dimensions": lambda layer: layer(images(1, 16, 4, *SIZE)),
    "an image smaller than the kernel": lambda layer: layer(images(16, 4, 0, 8)),
    "no pixels": lambda layer: layer(images(16, 4, 0, 0)),
    "a list": lambda layer: layer(images(16, 4, *SIZE).tolist()),
    "an array": lambda layer: layer(images(16, 4, *SIZE).numpy()),
    "nothing": lambda layer: layer(None),
    "sparse": lambda layer: layer(images(16, 4, *SIZE).to_sparse()),
    "the meta device": lambda layer: layer(images(16, 4, *SIZE).to("meta")).detach(),
    "int64": given_as(torch.int64),
    "uint8": given_as(torch.uint8),
    "bool": given_as(torch.bool),
    "float64": given_as(double),
    "bfloat16": given_as(brain),
    "float16": given_as(half),
    "complex": given_as(torch.complex64),
    "a float64 layer": of_dtype(double, torch.float32),
    "a bfloat16 layer": of_dtype(brain, torch.float32),
    "float64 throughout": of_dtype(double, double),
    "bfloat16 throughout": of_dtype(brain, brain),
    "float16 throughout": of_dtype(half, half),
    "autocast": autocast(brain),
    "autocast to float16": autocast(half),
    "autocast of bfloat16": autocast(brain, brain),
    "autocast of float16 to bfloat16": autocast(brain, half),
    "autocast of float64": autocast(brain, double),
    "autocast of integers": autocast(brain, torch.int64),
    "autocast of a float64 layer": autocast(brain, layer_dtype=double),
    "autocast of float64 throughout": autocast(brain, double, double),
}


def outcome(kind, name):
    """Shape, dtype and device of the output and the dtypes of all gradients; or that the input is refused, and how."""
    torch.manual_seed(0)
    layer = build(kind)
    try:
        y = INPUTS[name](layer)
        if y.requires_grad:
            y.abs().sum().backward()
    except layers.LayerError as error:
        return "refused", isinstance(error, TypeError)
    except (RuntimeError, TypeError) as error:
        return "refused" if kind == "nn.Conv2d" else repr(error), isinstance(error, TypeError)
    grads = {(p.grad is not None, p.grad is None or p.grad.dtype == p.dtype) for p in layer.parameters()}
    return tuple(y.shape), y.dtype, y.device.type, grads


@pytest.mark.parametrize("name", INPUTS)
def test_every_kind_behaves_like_torchs_convolution(name):
    expected = outcome("nn.Conv2d", name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert {kind: outcome(kind, name) for kind in layers.LAYER_KINDS} == dict.fromkeys(
            layers.LAYER_KINDS, expected
        )


@pytest.mark.parametrize("kind", layers.LAYER_KINDS)
def test_a_single_image_gives_the_same_as_in_a_batch(kind):
    layer, x = build(kind).eval(), images(1, 4, *SIZE)
    torch.testing.assert_close(layer(x[0]), layer(x)[0])


@pytest.mark.parametrize("kind", layers.LAYER_KINDS)
def test_an_empty_batch_has_zero_gradients(kind):
    layer = build(kind)
    layer(images(0, 4, *SIZE)).sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in layer.parameters())


@pytest.mark.parametrize("kind", layers.LAYER_KINDS)
@pytest.mark.filterwarnings("ignore:.torch.jit.trace:DeprecationWarning")
def test_a_traced_layer_accepts_batches_of_any_size(kind):
    layer = build(kind).eval()
    traced = torch.jit.trace(layer, images(2, 4, *SIZE))
    for count in (1, 5):
        x = images(count, 4, *SIZE)
        torch.testing.assert_close(traced(x), layer(x))


@pytest.mark.parametrize("padding", ["same", "valid", 1, (0, 1, 2, 1)])
@pytest.mark.parametrize("layer", [layers.Convolution2d, layers.CoordConv2d])
@pytest.mark.filterwarnings("ignore:.torch.jit.trace:DeprecationWarning")
def test_layers_for_any_size_stay_so_when_traced(layer, padding):
    made = layer(4, 8, 3, stride=2, padding=padding)
    traced = torch.jit.trace(made, images(2, 4, *SIZE))
    other = images(3, 4, 12, 15)
    torch.testing.assert_close(traced(other), made(other))
    sizes = {0: torch.export.Dim("n", min=2), 3: torch.export.Dim("w", min=6, max=64)}
    if padding != "same":
        program = torch.export.export(made, (images(2, 4, *SIZE),), dynamic_shapes=(sizes,))
        other = images(3, 4, SIZE[0], 15)
        torch.testing.assert_close(program.module()(other), made(other))


def arguments(channels=4):
    g = make_geometry(SIZE, 3)
    positions = g.output_size[0] * g.output_size[1]
    local = images(16, channels, *SIZE), images(positions, 9 * 4, 8)
    combined = images(16, channels, *SIZE), images(3 * 8, 4, 3, 3), images(1, 3, *g.output_size)
    return g, {"local": local, "combined": combined}


def call(operator, tensors, g):
    if operator == "local":
        return ops.local(*tensors, g.kernel_size, g.stride, g.padding, g.dilation)
    return ops.combined(*tensors, g.stride, g.padding, g.dilation)


WRONG = {
    "another dtype": lambda x, filters, *rest: (x, filters.double(), *rest),
    "integers": lambda x, filters, *rest: (x.long(), filters.long(), *rest),
    "complex numbers": lambda x, filters, *rest: (x.cfloat(), filters.cfloat(), *rest),
    "another device": lambda x, filters, *rest: (x, filters.to("meta"), *rest),
    "fewer filters": lambda x, filters, *rest: (x, filters[:-1], *rest),
    "fewer channels": lambda x, filters, *rest: (x[:, :-1], filters, *rest),
    "fewer values": lambda x, filters, *rest: (x, filters[:, :-1], *rest),
    "a smaller image": lambda x, filters, *rest: (x[:, :, :-2], filters, *rest),
    "no image big enough": lambda x, filters, *rest: (x[:, :, :2], filters, *rest),
    "no batch": lambda x, filters, *rest: (x[0], filters, *rest),
    "flat filters": lambda x, filters, *rest: (x, filters.flatten(), *rest),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("operator", ["local", "combined"])
def test_an_operator_refuses_inputs_that_its_kernels_would_misread(operator, wrong):
    geometry, tensors = arguments()
    call(operator, tensors[operator], geometry)
    with pytest.raises((layers.LayerError, RuntimeError)):
        call(operator, WRONG[wrong](*tensors[operator]), geometry)


def test_a_gradient_of_another_shape_is_refused():
    g, tensors = arguments()
    rest = (g.stride, g.padding, g.dilation)
    short = images(16, 8, *g.output_size)[:, :, :-1]
    with pytest.raises(layers.InputError, match="the gradient's shape must be"):
        ops.local_backward(short, *tensors["local"], g.kernel_size, *rest, (True, True))
    with pytest.raises(layers.InputError, match="the gradient's shape must be"):
        ops.combined_backward(short, *tensors["combined"], *rest, (True, True, True))


def test_cpp_gets_no_address_of_a_tensor_that_it_would_misread():
    values = images(4, 6)
    for wrong in (values.T, values.double(), values.to("meta")):
        with pytest.raises(layers.InputError, match=r"the C\+\+ kernels read contiguous torch\.float32"):
            cpp_kernels._address(wrong, torch.float32)


FAULTS = {
    "int64": "the input is int64, but the layer's parameters are float32",
    "the channels": "the layer takes 4 input channels, but the input has 3",
    "the size": "the layer was built for inputs of 9x8, not 8x9",
    "the dimensions": "the input must be images (N, C, H, W) or one image (C, H, W), not 2 dimensions",
    "the type": "the input must be a tensor, not list",
}


def test_a_refusal_names_what_was_given_and_what_is_allowed():
    layer, x = build("lrlc"), images(2, 4, *SIZE)
    wrong = [x.long(), x[:, :3], x.transpose(2, 3), x[0, 0], []]
    for message, given_here in zip(FAULTS.values(), wrong, strict=True):
        with pytest.raises(
            layers.InputError if isinstance(given_here, torch.Tensor) else TypeError
        ) as caught:
            layer(given_here)
        assert str(caught.value) == message
        assert isinstance(caught.value, layers.LayerError)


dtypes = st.sampled_from([torch.float32, double, brain, half, torch.int64, torch.uint8, torch.complex64])


@settings(max_examples=150, deadline=None)
@given(
    x=dtypes, basis=dtypes, weights=dtypes, rank=st.integers(1, 3), shape=st.tuples(*[st.integers(0, 5)] * 4)
)
def test_the_function_computes_valid_inputs_and_refuses_others(x, basis, weights, rank, shape):
    arguments = images(*shape).to(x), images(rank * 2, 3, 3, 3).to(basis), images(rank, 2, 2).to(weights)
    real = all(dtype.is_floating_point for dtype in (x, basis, weights))
    if shape[1:] == (3, 4, 4) and x == basis and real:
        y = layers.lrlc_conv2d(*arguments)
        assert (y.shape, y.dtype) == ((shape[0], 2, 2, 2), x)
    elif x.is_complex and x == basis:
        pass  # torch's own operators decide
    else:
        with pytest.raises(layers.LayerError):
            layers.lrlc_conv2d(*arguments)


def test_counts_and_sizes_may_be_numpys_but_not_booleans_or_fractions():
    import numpy as np

    layer = layers.LocallyConnected2d(np.int64(4), 8, np.int32(3), input_size=np.array([9, 8])[0])
    assert layer.output_size == (7, 7)
    for wrong in (True, 3.0, "3", 0, -1, None):
        for make in (
            lambda wrong=wrong: layers.LocallyConnected2d(wrong, 8, 3, input_size=9),
            lambda wrong=wrong: layers.Convolution2d(4, wrong, 3),
            lambda wrong=wrong: layers.CoordConv2d(4, 8, wrong),
        ):
            with pytest.raises(layers.LayerError):
                make()
    with pytest.raises(layers.LayerError, match="padding must be"):
        layers.Convolution2d(4, 8, 3, padding=(0, 1, 0.5, 1))
