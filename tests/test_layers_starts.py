"""How layers start, and controls: the exact effect of each option, and the values it refuses."""

from math import sqrt

import pytest
import torch
from torch.nn import functional as F

from lrlc import layers

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
    assert (gradient != gradient[:, :1, :1]).any(0).sum() == 6 * 5 - 1  # positions do not share gradients


WRONG = {
    "unknown start 'kera'; did you mean 'keras'?": {"start": "kera"},
    "position_bias must be true or false, not 'rows'": {"position_bias": "rows"},
    "unknown option of conv 'start'": {"kind": "conv", "start": "shared"},
    "unknown start_logits 'rand'; did you mean 'random'?": {
        "kind": "lrlc",
        "rank": 2,
        "start_logits": "rand",
    },
    "logits_lr must be a number above 0, not 0": {"kind": "lrlc", "rank": 2, "logits_lr": 0},
    "spatial_bias must be true or false, not 'no'": {"kind": "lrlc", "rank": 2, "spatial_bias": "no"},
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_start_is_refused_in_one_line(message):
    with pytest.raises(layers.LayerError) as caught:
        network(**WRONG[message])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", ["both", "rows", "none"])
def test_random_logits_lie_around_the_constant_ones(share):
    torch.manual_seed(0)
    layer = layers.LowRankLocallyConnected2d(
        2, 3, 3, input_size=(60, 50), rank=4, share=share, start_logits="random"
    )
    logits = layer.combining_weights().log()
    logits = logits - logits.mean(1, keepdim=True)  # softmax leaves one number per position open
    assert logits.std().item() == pytest.approx(0.1, rel=0.35 if share == "both" else 0.25)
    constant = layers.LowRankLocallyConnected2d(2, 3, 3, input_size=(6, 5), rank=4, share=share)
    torch.testing.assert_close(constant.combining_weights(), torch.full((1, 4, 4, 3), 0.25))


def test_a_model_without_factors_is_one_group_in_its_own_order():
    for kind, rank in (("conv", None), ("lrlc", 3), ("lrlc_input_dependent", 3)):
        model = network(kind, rank=rank)
        (group,) = layers.parameter_groups(model)
        assert group["factor"] == 1
        assert [id(p) for p in group["params"]] == [id(p) for p in model.parameters()]


@pytest.mark.parametrize("kind", ["lrlc", "lrlc_input_dependent"])
def test_logits_learn_by_their_factor(kind):
    model = network(kind, placement=(2, 3), rank=3, logits_lr=10.0)
    slow, fast = layers.parameter_groups(model)
    assert (slow["factor"], fast["factor"]) == (1, 10)
    weights = {id(p) for m in (model.layer2, model.layer3) for p in m.combining.parameters()}
    assert {id(p) for p in fast["params"]} == weights
    assert len(slow["params"]) + len(fast["params"]) == len(list(model.parameters()))


TAKING_OVER = [
    ("three_layer", "lrlc", {"rank": 3}),
    ("three_layer", "lrlc", {"rank": 3, "normalize": "l2"}),
    ("three_layer", "lrlc", {"rank": 1, "share": "none"}),
    ("three_layer", "lrlc_input_dependent", {"rank": 3}),
    ("three_layer", "locally_connected", {"position_bias": True}),
    ("three_layer", "constrained_local", {}),
    ("three_layer", "coord_conv", {}),
    ("resnet50", "lrlc", {"rank": 2}),
    ("resnet50", "locally_connected", {}),
]


@pytest.mark.parametrize(("net", "kind", "options"), TAKING_OVER)
def test_a_network_takes_over_the_function_of_a_trained_convolution(net, kind, options):
    image, rank = (3, 20, 20) if net == "resnet50" else IMAGE, options.get("rank")
    places = (1,) if net == "resnet50" else (2, 3)
    rest = {name: value for name, value in options.items() if name != "rank"}
    x = torch.randn(3, *image, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    trained = layers.build_network(net, image, 10).double()
    layers.initialise(trained, 3)
    with torch.no_grad():
        trained.train()(x)  # so that batch norms have statistics

    def taken_over():
        model = layers.build_network(net, image, 10, kind=kind, rank=rank, placement=places, options=rest)
        layers.initialise(model, 4)
        return model.double(), layers.take_over(model, trained, 1)

    model, copied = taken_over()
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(x), trained.eval()(x), rtol=1e-8, atol=1e-8)
    parameters = dict(model.named_parameters())
    assert "classifier.weight" in copied
    assert set(copied) < set(parameters)
    assert all(torch.equal(parameters[name], trained.get_parameter(name)) for name in copied)
    again, _ = taken_over()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_every_kind_that_says_so_can_take_over():
    named = {kind for _, kind, _ in TAKING_OVER}
    assert named == {name for name, kind in layers.LAYER_KINDS.items() if kind.from_conv}


def test_a_wide_convolution_cannot_take_over():
    trained = network("conv", placement=())
    with pytest.raises(layers.LayerError, match=r"layer3.*cannot start from a convolution"):
        layers.take_over(network("wide_conv", rank=3), trained, 1)


@pytest.mark.parametrize("dependent", [False, True])
def test_only_banks_that_differ_separate(dependent):
    """Equal banks with constant weights stay equal forever; initial deviations grow."""
    grown = {}
    for spread in (0.0, 0.1):
        torch.manual_seed(0)
        conv = layers.Convolution2d(3, 8, 3, bias=False)
        layer = layers.LowRankLocallyConnected2d.from_conv(
            conv, input_size=(8, 8), rank=3, spread=spread, input_dependent=dependent
        )
        x, target = torch.randn(16, 3, 8, 8), torch.randn(16, 8, 6, 6)
        start = _distance(layer)
        optimizer = torch.optim.SGD(layer.parameters(), lr=1.0, momentum=0.9)
        for _ in range(60):
            optimizer.zero_grad()
            (layer(x) - target).square().mean().backward()
            optimizer.step()
        deviation = layer.combining_weights(x).std((0, 2, 3)).max().item()
        grown[spread] = (start, _distance(layer), deviation)
    assert grown[0.0] == pytest.approx((0, 0, 0), abs=1e-6)
    start, end, deviation = grown[0.1]
    assert end > 1.5 * start
    assert deviation > 0.01


def _distance(layer) -> float:
    """Standard deviation of the banks around their average."""
    banks = layer.basis.detach().view(layer.rank, -1)
    return (banks - banks.mean(0)).std().item()
