"""How layers start, and the controls: what each option sets, exactly, and what it refuses."""

from math import sqrt

import pytest
import torch
from torch.nn import functional as F

import layers

IMAGE = (3, 12, 11)


def network(kind="locally_connected", placement=(3,), rank=None, **options):
    model = layers.build_network(
        "three_layer", IMAGE, 10, kind=kind, rank=rank, placement=placement, options=options
    )
    layers.initialise(model, 7)
    return model


@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, "same", 1), (1, (0, 2), (1, 2))])
def test_a_shared_start_is_a_convolution(stride, padding, dilation):
    torch.manual_seed(0)
    geometry = {"stride": stride, "padding": padding, "dilation": dilation}
    layer = layers.LocallyConnected2d(3, 5, 3, input_size=(9, 8), **geometry, start="shared").double()
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    filters = layer.local_filters()
    torch.testing.assert_close(filters, filters[:1, :1].expand_as(filters), rtol=0, atol=0)
    conv = layers.Convolution2d(3, 5, 3, **geometry).double()
    with torch.no_grad():
        conv.weight.copy_(filters[0, 0])
    torch.testing.assert_close(layer(x), conv(x), rtol=1e-12, atol=1e-12)


def test_a_network_with_a_shared_start_is_the_convolutional_network_of_that_seed():
    images = torch.randn(4, *IMAGE, dtype=torch.float64)
    shared = network(start="shared", position_bias=True).double()
    conv = network("conv", placement=()).double()
    torch.testing.assert_close(shared(images), conv(images), rtol=1e-10, atol=1e-10)


def test_from_conv_takes_the_filter_and_the_bias_to_every_position():
    conv = torch.nn.Conv2d(4, 5, 3, stride=2, padding=1).double()
    layer = layers.LocallyConnected2d.from_conv(conv, input_size=(9, 8))
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(layer(x), conv(x), rtol=1e-12, atol=1e-12)
    assert layer.bias.shape == (5, 5, 4)
    with pytest.raises(layers.LayerError, match="groups=1"):
        layers.LocallyConnected2d.from_conv(torch.nn.Conv2d(4, 4, 3, groups=2), input_size=(9, 8))


@pytest.mark.parametrize(
    ("start", "bound"),
    [
        ("he", sqrt(6 / (9 * 64))),
        ("shared", sqrt(6 / (9 * 64))),
        # fan_in as Keras counts it for the kernel (26 * 26, 9 * 64, 64): 26 times smaller than 'he'
        ("keras", sqrt(6 / (26 * 26 * 9 * 64))),
    ],
)
def test_each_start_is_uniform_within_its_bound(start, bound):
    """The third layer of the network at 32x32."""
    torch.manual_seed(0)
    layer = layers.LocallyConnected2d(64, 64, 3, input_size=(28, 28), start=start)
    filters = layer.filters.detach().double()
    assert 0.999 * bound < filters.abs().max().item() <= bound * (1 + 1e-6)
    assert filters.std().item() == pytest.approx(bound / sqrt(3), rel=0.02)
    assert filters.mean().item() == pytest.approx(0, abs=0.02 * bound)


def test_a_position_bias_is_one_number_for_each_position_and_channel():
    without, with_bias = network(), network(position_bias=True)
    assert without.layer3.bias is None
    assert with_bias.layer3.bias.shape == (64, 6, 5)
    assert not with_bias.layer3.bias.any()
    images = torch.randn(4, *IMAGE, generator=torch.Generator().manual_seed(0))
    assert torch.equal(without(images), with_bias(images))
    loss = F.cross_entropy(with_bias(images), torch.tensor([0, 1, 2, 3]))
    loss.backward()
    gradient = with_bias.layer3.bias.grad
    assert (gradient != gradient[:, :1, :1]).any(0).sum() == 6 * 5 - 1  # no position learns with another


WRONG = {
    "unknown start 'kera'; did you mean 'keras'?": {"start": "kera"},
    "position_bias must be true or false, not 'rows'": {"position_bias": "rows"},
    "unknown option of conv 'start'": {"kind": "conv", "start": "shared"},
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_start_is_refused_in_one_line(message):
    with pytest.raises(layers.LayerError) as caught:
        network(**WRONG[message])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
