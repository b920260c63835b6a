"""The options of layer kinds: declared once, with invalid values refused in one line."""

import inspect
from typing import Annotated, Any

import pytest
from torch import nn

from lrlc import layers
from lrlc.harness.plan.catalogue import catalogue
from lrlc.layers import LAYER_KINDS, LayerError, LayerKind, Option, check_options, layer_kind

MODULES = [
    each
    for name in layers.__all__
    if inspect.isclass(each := getattr(layers, name)) and issubclass(each, nn.Module)
]


@pytest.mark.parametrize("kind", LAYER_KINDS)
def test_every_option_of_a_shipped_kind_is_declared_and_takes_its_default(kind: str) -> None:
    for name, option in LAYER_KINDS[kind].options.items():
        if name != "bias":  # networks decide about it
            assert option.description
            assert option.value_type is not None
            option.check(option.default)


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "logits_lr must be a number above 0, not True": ("lrlc", {"logits_lr": True}),
    "unknown share 'row'; did you mean 'rows'?": ("lrlc", {"share": "row"}),
    "unknown option of lrlc 'shares'; did you mean 'share'?": ("lrlc", {"shares": "rows"}),
    "spatial_bias must be true or false, not 'no'": ("lrlc_input_dependent", {"spatial_bias": "no"}),
    "reduction must be an int of at least 1, not 1.5": ("involution", {"reduction": 1.5}),
    "group_channels (=5) must divide out_channels (=64)": ("involution", {"group_channels": 5}),
    "penalty must be a number of at least 0, not inf": ("relaxed_conv", {"penalty": float("inf")}),
}


@pytest.mark.parametrize("message", WRONG)
def test_an_invalid_value_is_refused_in_one_line(message: str) -> None:
    kind, options = WRONG[message]
    with pytest.raises(LayerError) as refused:
        check_options(LAYER_KINDS[kind], options)
    assert str(refused.value) == message


def test_a_matched_kind_takes_the_options_that_change_the_others_size() -> None:
    options = catalogue().options
    assert {"share", "match", "matched_to", "width"} <= options["wide_conv"].keys()
    assert not {"logits_lr", "start_logits", "bias"} & options["wide_conv"].keys()


@pytest.fixture
def plugin_kind() -> Any:
    """Registers kinds and removes them afterwards."""
    before = dict(LAYER_KINDS)

    def registered(build: Any, **how: Any) -> LayerKind:
        layer_kind("of_a_plugin", **how)(build)
        return LAYER_KINDS["of_a_plugin"]

    yield registered
    LAYER_KINDS.clear()
    LAYER_KINDS.update(before)


def test_a_kind_without_declarations_is_known_by_its_signature(plugin_kind: Any) -> None:
    def build(c_in, c_out, size, *, input_size, rank, gain=1.0, mode="a", **geometry):  # type: ignore[no-untyped-def]
        return nn.Conv2d(c_in, c_out, size)

    kind = plugin_kind(build, ranked=True, learning_options=["gain"])
    assert {name: option.default for name, option in kind.options.items()} == {"gain": 1.0, "mode": "a"}
    assert [name for name, option in kind.options.items() if option.learning] == ["gain"]
    check_options(kind, {"gain": "anything", "dilation": 2})
    assert catalogue().options["of_a_plugin"]["mode"].schema == {"default": "a"}


def test_a_kind_may_be_a_class_and_declare_its_options(plugin_kind: Any) -> None:
    class Scaled(nn.Conv2d):
        def __init__(
            self,
            c_in: int,
            c_out: int,
            size: int,
            *,
            input_size: object,
            stride: int = 1,
            padding: int = 0,
            gain: Annotated[float, Option("scales", above=0, below=2)] = 1.0,
        ) -> None:
            super().__init__(c_in, c_out, size, stride, padding)

    kind = plugin_kind(Scaled)
    check_options(kind, {"gain": 0.5})
    with pytest.raises(LayerError, match="gain must be a number above 0 and below 2, not 2"):
        check_options(kind, {"gain": 2})


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_layers_docstring_defines_every_argument_of_its_constructor(module: type[nn.Module]) -> None:
    defined = (module.__doc__ or "").splitlines()
    for name in list(inspect.signature(module.__init__).parameters)[1:]:
        assert any(line.startswith(f"    {name}: ") for line in defined), f"{module.__name__}: {name}"
