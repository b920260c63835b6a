"""Networks, their parameter counts and costs, seeded starts and the registry."""

import numpy as np
import pytest
import torch

from lrlc import layers

IMAGE = (3, 12, 11)
KINDS = list(layers.LAYER_KINDS)


def build(kind, rank=3, placement=(1, 2, 3), network="three_layer", image=IMAGE, **options):
    needs_rank = layers.LAYER_KINDS[kind].ranked or layers.LAYER_KINDS[kind].matched_to
    return layers.build_network(
        network, image, 10, kind=kind, rank=rank if needs_rank else None, placement=placement, options=options
    )


def count(model):
    return sum(p.numel() for p in model.parameters())


PLACEMENTS = [("three_layer", (1,)), ("three_layer", (2, 3)), ("three_layer", (1, 2, 3))]
PLACEMENTS += [("resnet50", (1, 4)), ("resnet50", (2, 3))]
PLACEMENTS += [("resnet18", (3, 4)), ("convnext_like", (1, 3))]
SMALL = {"three_layer": IMAGE, "resnet50": (3, 32, 31), "resnet18": (3, 9, 8), "convnext_like": (3, 12, 11)}
"""An image size with which deeper networks end with a 1x1 map."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("network", "placement"), PLACEMENTS)
def test_every_kind_trains_at_every_placement(kind, network, placement):
    image = SMALL[network]
    model = build(kind, 2, placement, network, image)
    layers.initialise(model, 1)
    x = torch.randn(4, *image, generator=torch.Generator().manual_seed(0))
    loss = torch.nn.functional.cross_entropy(model(x), torch.tensor([0, 1, 2, 3]))
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_parameter_counts_follow_the_formulas():
    around, last = 3 * 2 * 64, 64 * 10 + 10  # batch norms; classifier
    inputs = (3, 64, 64)
    outputs = [(10, 9), (8, 7), (6, 5)]
    assert count(build("conv")) == around + last + 9 * 64 * sum(inputs)
    assert count(build("coord_conv")) == around + last + 9 * 64 * sum(c + 2 for c in inputs)
    local = sum(h * w * 9 * c * 64 for c, (h, w) in zip(inputs, outputs, strict=True))
    assert count(build("locally_connected")) == around + last + local
    per_layer = [9 * c * 64 * 3 + (3 + 1) * (h + w) for c, (h, w) in zip(inputs, outputs, strict=True)]
    assert count(build("lrlc")) == around + last + sum(per_layer)
    assert count(build("lrlc", share="none")) == around + last + sum(
        9 * c * 64 * 3 + (3 + 1) * h * w for c, (h, w) in zip(inputs, outputs, strict=True)
    )


def test_input_dependent_parameter_count():
    K, C, kept = 3, 5, 4  # 20x20: all of dilations 1, 2, 4, 8 are kept (8 <= 19 // 2)
    layer = layers.InputDependentLowRankLocallyConnected2d(C, 7, 3, input_size=(20, 20), rank=K, bias=False)
    network = (C * K + K) + kept * (9 * K + K) + ((kept + 2) * K * 3 * K + 3 * K)
    network += (3 * K * 6 * K + 6 * K) + (6 * K * K + K)
    assert count(layer) == 9 * C * 7 * K + 18 * 18 + network


@pytest.mark.parametrize("rank", [1, 2, 4, 7])
@pytest.mark.parametrize("placement", [(1,), (2,), (3,), (1, 3), (1, 2, 3)])
def test_wide_conv_is_the_width_nearest_to_the_lrlc_network(rank, placement):
    image = (3, 32, 32)
    target = count(build("lrlc", rank, placement, image=image))
    wide = build("wide_conv", rank, placement, image=image)

    def at_width(width):
        channels, total = 3, 0
        for position in (1, 2, 3):
            out = width if position in placement else 64
            total += 9 * channels * out + 2 * out
            channels = out
        return total + channels * 10 + 10

    nearest = min(range(1, 1000), key=lambda width: abs(at_width(width) - target))
    widths = {wide.get_submodule(f"layer{p}").out_channels for p in placement}
    assert widths == {nearest}
    assert count(wide) == at_width(nearest)


@pytest.mark.parametrize("placement", [(2,), (1, 3)])
def test_a_wide_conv_may_have_the_flops_of_another_kind(placement):
    def flops(kind, **options):
        return layers.cost(build(kind, 3, placement, **options), IMAGE).flops_per_image

    dependent = {"matched_to": "lrlc_input_dependent", "match": "flops"}
    found = build("wide_conv", 3, placement, **dependent).get_submodule(f"layer{placement[0]}").out_channels
    target = flops("lrlc_input_dependent")
    nearest = min(
        range(found - 5, found + 6), key=lambda width: abs(flops("wide_conv", width=width) - target)
    )
    assert found == nearest > 64
    # With fixed weights an image costs one convolution; the additional cost is shared by the batch.
    fixed = build("wide_conv", 3, placement, match="flops")
    assert count(fixed) == count(build("conv"))


def test_a_given_width_is_used():
    wide = build("wide_conv", 3, (3,), width=100, match="train_seconds")
    assert wide.layer3.out_channels == 100
    stages = build("wide_conv", 3, (2, 3), "resnet50", (3, 32, 32), width=100)
    assert stages.get_submodule("stage2.block1.middle").out_channels == 100
    assert stages.get_submodule("stage3.block1.middle").out_channels == 200


@pytest.mark.parametrize("target", [0, 1, 7, 8.4, 8.6, 1000])
def test_the_nearest_width_is_found(target):
    assert layers.nearest_width(float, target) == min(range(1, 1100), key=lambda width: abs(width - target))
    assert abs(layers.nearest_width(float, target, within=0.1) - target) <= max(1, 0.1 * target)


def test_layers_shared_by_two_networks_start_equal():
    plain, mixed = build("conv"), build("lrlc", placement=(2,))
    layers.initialise(plain, 7)
    layers.initialise(mixed, 7)
    for name in ("layer1.weight", "layer3.weight", "classifier.weight"):
        assert torch.equal(plain.get_parameter(name), mixed.get_parameter(name))
    again = build("lrlc", placement=(2,))
    layers.initialise(again, 7)
    assert all(torch.equal(a, b) for a, b in zip(mixed.parameters(), again.parameters(), strict=True))
    layers.initialise(again, 8)
    assert not torch.equal(plain.get_parameter("layer1.weight"), again.get_parameter("layer1.weight"))


def test_initialise_leaves_the_global_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    layers.initialise(build("lrlc"), 1)
    torch.manual_seed(5)
    model = build("conv")
    state = torch.get_rng_state()
    layers.initialise(model, 1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_cost_counts_multiply_adds_by_the_formula(kind):
    """64 channels at 8x8, 3x3 'valid', rank 3: a convolution per image; K if weights depend on the input."""
    options = {"rank": 3} if layers.LAYER_KINDS[kind].ranked else {}
    layer = layers.LAYER_KINDS[kind].build(16, 64, 3, input_size=(10, 10), **options)
    found = layers.cost(layer, (16, 10, 10))
    one = 2 * 64 * 9 * 16 * 64
    dear = {"coord_conv": one // 16 * 18, "lrlc_input_dependent": 3 * one, "residual_pathway": 2 * one}
    per_image = dear.get(kind, one)
    if kind == "involution":  # 1x1 to values; 1x1 to 16 channels and to 9 taps of 4 groups; the taps
        per_image = 2 * (100 * 16 * 64 + 64 * (16 * 16 + 16 * 36 + 64 * 9))
    # the routing, and the mixing of three banks
    extra = 2 * 16 * 3 + 2 * 3 * 64 * 16 * 9 if kind == "cond_conv" else 0
    if kind == "lrlc_input_dependent":
        # reduce at 10x10; depthwise at 8x8, 6x6 and 2x2; three 1x1 layers; resize rows, then columns
        extra = 2 * (100 * 16 * 3 + (64 + 36 + 4) * 27 + 64 * (15 * 9 + 9 * 18 + 18 * 3))
        extra += sum(2 * 3 * (8 * s * s + 8 * s * 8) for s in (10, 6, 2))
    assert found.flops_per_image == per_image + extra
    assert found.flops_per_batch == (3 * one if kind in ("lrlc", "relaxed_conv") else 0)
    assert found.parameters == count(layer)


def test_cost_counts_layers_whose_weights_are_a_parameter_as_it_is():
    layer = layers.LowRankLocallyConnected2d(
        16, 64, 3, input_size=10, rank=3, share="none", normalize="none", bias=False
    )
    one = 2 * 64 * 9 * 16 * 64
    assert layers.cost(layer, (16, 10, 10)) == layers.Cost(count(layer), one, 3 * one)
    assert all(parameter.requires_grad for parameter in layer.parameters())


def test_cost_of_a_network_leaves_it_as_it_was():
    model = build("lrlc")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert layers.cost(model, IMAGE).parameters == count(model)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_resnet50_has_the_known_parameter_count_and_flops():
    with torch.device("meta"):
        plain = layers.resnet50()
    assert count(plain) == 25_557_032
    assert layers.cost(plain, (3, 224, 224)).flops_per_image == 2 * 4_089_184_256  # as timm and fvcore count


def test_resnet18_has_the_known_parameter_count_and_widens_its_stages():
    with torch.device("meta"):
        plain = build("conv", network="resnet18", image=(3, 32, 32))
    assert count(plain) == 11_173_962
    assert layers.cost(plain, (3, 32, 32)).flops_per_image == 2 * 555_422_720
    wide = build("wide_conv", 3, (2,), "resnet18", (3, 9, 8), width=100)
    assert wide.get_submodule("stage2").get_submodule("1").out_channels == 100
    assert wide.get_submodule("stage3").get_submodule("0").first.in_channels == 100


def test_a_convnext_like_block_starts_as_the_identity():
    model = build("lrlc", 2, (1, 2, 3), "convnext_like", (3, 12, 11))
    layers.initialise(model, 0)
    for name, block in model.named_modules():
        if name.count(".") == 1 and hasattr(block, "mixing"):
            x = torch.randn(2, block.reduce.out_channels, *block.mixing.output_size)
            torch.testing.assert_close(block(x), x, atol=1e-4, rtol=0)
            assert not torch.equal(block(x), x)


@pytest.mark.parametrize("kind", KINDS)
def test_resnet50_takes_any_kind_in_the_3x3_convolutions_of_chosen_stages(kind):
    model = build(kind, 2, (2, 4), "resnet50", (3, 64, 64))
    replaced = {name for name, m in model.named_modules() if name.endswith(".middle")}
    assert len(replaced) == 3 + 4 + 6 + 3
    with torch.no_grad():
        assert model.eval()(torch.randn(1, 3, 64, 64)).shape == (1, 10)
    expected = type(
        layers.LAYER_KINDS[kind].build(
            8, 8, 3, input_size=(9, 9), **({"rank": 2} if layers.LAYER_KINDS[kind].ranked else {})
        )
    )
    assert {type(model.get_submodule(f"stage{s}.block{b}.middle")) for s in (2, 4) for b in (1, 2)} == {
        expected
    }
    assert type(model.get_submodule("stage1.block1.middle")) is layers.Convolution2d


def test_resnet50s_parameters_grow_with_rank_but_local_connectivity_with_the_image():
    def parameters(kind, rank=None):
        with torch.device("meta"):
            return count(layers.resnet50(kind=kind, rank=rank))

    ranks = [parameters("lrlc", rank) for rank in (1, 2, 3)]
    assert 25_557_032 < ranks[0] < ranks[1] < ranks[2] < 3 * 25_557_032
    assert parameters("locally_connected") > 50 * 25_557_032
    assert abs(parameters("wide_conv", 2) - ranks[1]) < 0.02 * ranks[1]


def test_weight_maps_of_a_network():
    images = torch.randn(2, *IMAGE)
    fixed = layers.combining_weight_maps(build("lrlc", placement=(1, 3)), images)
    assert _shapes(fixed) == {
        "layer1": (1, 3, 10, 9),
        "layer3": (1, 3, 6, 5),
    }
    dependent = layers.combining_weight_maps(build("lrlc_input_dependent", placement=(2,)), images)
    assert _shapes(dependent) == {"layer2": (2, 3, 8, 7)}
    assert layers.combining_weight_maps(build("conv"), images) == {}


def _shapes(maps):
    return {name: tuple(m.shape) for name, m in maps.items()}


WRONG = {
    "unknown layer kind 'lrcl'; did you mean 'lrlc'": {"kind": "lrcl"},
    "placement 4 is outside three_layer, which has places 1 to 3": {"kind": "coord_conv", "placement": (4,)},
    "lrlc needs a rank of at least 1, not None": {"kind": "lrlc"},
    "lrlc needs a rank of at least 1, not 0": {"kind": "wide_conv", "rank": 0},
    "unknown option of lrlc 'shared'; did you mean 'share'": {
        "kind": "lrlc", "rank": 2, "options": {"shared": "rows"},
    },
    "unknown match 'flop'; did you mean 'flops'": {"kind": "wide_conv", "rank": 2, "options": {"match": "flop"}},
    "width must be a number of channels of at least 1, not 0": {
        "kind": "wide_conv", "rank": 2, "options": {"width": 0},
    },
    "wide_conv matched by train_seconds needs a width": {
        "kind": "wide_conv", "rank": 2, "options": {"match": "train_seconds"},
    },
    "matched_to must be a kind with a rank, not 'conv'": {
        "kind": "wide_conv", "rank": 2, "options": {"matched_to": "conv"},
    },
    "unknown option of lrlc_input_dependent 'share'": {
        "kind": "wide_conv", "rank": 2, "options": {"matched_to": "lrlc_input_dependent", "share": "rows"},
    },
    "lrlc needs a placement": {"kind": "lrlc", "rank": 2, "placement": ()},
}  # fmt: skip


def test_integers_of_numpy_are_integers():
    ours, usual = (
        layers.build_network("three_layer", IMAGE, 10, kind="lrlc", rank=rank, placement=places)
        for rank, places in ((np.int64(2), np.arange(1, 4)), (2, (1, 2, 3)))
    )
    assert _parameters(ours) == _parameters(usual)


def _parameters(model):
    return [tuple(parameter.shape) for parameter in model.parameters()]


def test_a_kind_of_a_notebook_cell_is_replaced_when_the_cell_runs_again():
    text = "@layers.layer_kind('of_a_cell')\ndef of_a_cell(i, o, k, *, input_size, stride=1, padding=0): return {}"
    try:
        for name, answer in (("/tmp/ipykernel_1/11.py", 1), ("/tmp/ipykernel_1/22.py", 2)):
            exec(compile(text.format(answer), name, "exec"), {"layers": layers})
        assert layers.LAYER_KINDS["of_a_cell"].build(1, 1, 3, input_size=(8, 8)) == 2
    finally:
        layers.LAYER_KINDS.pop("of_a_cell", None)


def test_activation_bytes_follow_the_dtype_and_frozen_parameters_are_not_trainable():
    layer = layers.LowRankLocallyConnected2d(3, 4, 3, input_size=8, rank=2)
    single, shape = layers.activation_bytes(layer, (3, 8, 8)), (3, 8, 8)
    assert layers.activation_bytes(layer.double(), shape) == 2 * single
    trainable = layers.cost(layer, shape).parameters
    layer.basis.requires_grad_(False)
    assert layers.cost(layer, shape).parameters == trainable - layer.basis.numel()


@pytest.mark.parametrize("message", WRONG)
def test_wrong_networks_are_refused_in_one_line(message):
    with pytest.raises(layers.LayerError) as caught:
        layers.build_network("three_layer", IMAGE, 10, **WRONG[message])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_new_kind_is_one_function_and_one_line():
    def scaled(
        in_channels, out_channels, kernel_size, *, input_size, stride=1, padding=0, bias=False, gain=2.0
    ):
        layer = layers.Convolution2d(in_channels, out_channels, kernel_size, bias=bias)
        with torch.no_grad():
            layer.weight.mul_(gain)
        return layer

    try:
        layers.layer_kind("scaled_conv")(scaled)
        model = layers.build_network(
            "three_layer", IMAGE, 10, kind="scaled_conv", placement=(1,), options={"gain": 3.0}
        )
        assert model(torch.randn(2, *IMAGE)).shape == (2, 10)
        layers.layer_kind("scaled_conv")(scaled)  # the same file again replaces it
        with pytest.raises(layers.LayerError, match=r"already registered by .*convolution\.py"):
            layers.layer_kind("conv")(scaled)
    finally:
        layers.LAYER_KINDS.pop("scaled_conv", None)
