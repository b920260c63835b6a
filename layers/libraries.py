"""The networks of torchvision and timm, with layers in place of their 3x3 convolutions.

They are built by their library, without pretrained weights. The libraries are imported only when a network needs them.
"""

import copy
import hashlib
import importlib
import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lrlc.layers.errors import LayerError, unknown
from lrlc.layers.module_places import ModulePlaces
from lrlc.layers.registry import Network

Size = tuple[int, int]
RGB = 3


class _Library(NamedTuple):
    """How a library lists its classifiers and builds one for a number of classes."""

    names: Callable[[Any], Iterable[str]]
    build: Callable[[Any, str, int], nn.Module]


LIBRARIES = {
    "torchvision": _Library(
        lambda library: library.models.list_models(module=library.models),
        lambda library, name, classes: library.models.get_model(name, weights=None, num_classes=classes),
    ),
    "timm": _Library(
        lambda library: library.list_models(),
        lambda library, name, classes: library.create_model(name, pretrained=False, num_classes=classes),
    ),
}


def is_of_library(name: str) -> bool:
    """Whether the network is one of a library: 'timm/resnet18'."""
    return "/" in name


@lru_cache(maxsize=64)
def library_network(name: str) -> Network:
    """The network `LIBRARY/NAME`; its places are modules (`Network.modules`).

    LayerError for an unknown library or network, a library that is not installed, and a network without places.
    """
    modules = ModulePlaces.of(name, _untrained(name, 10))

    def build(
        image_shape: tuple[int, int, int], num_classes: int, layer: Callable[..., nn.Module]
    ) -> nn.Module:
        return _with_layers(name, modules, image_shape, num_classes, layer)

    return Network(name, build, len(modules.convolutions), name.partition("/")[0], modules)


def _with_layers(
    name: str,
    modules: ModulePlaces,
    image_shape: tuple[int, int, int],
    num_classes: int,
    layer: Callable[..., nn.Module],
) -> nn.Module:
    model = _untrained(name, num_classes)
    _take_channels(model, image_shape[0])
    sizes = _input_sizes(name, model, modules.convolutions, image_shape, num_classes)
    for place in modules.convolutions:
        conv = model.get_submodule(place)
        assert isinstance(conv, nn.Conv2d)
        geometry = {"input_size": sizes[place], "stride": conv.stride, "padding": conv.padding}
        bias = conv.bias is not None
        built = layer(place, conv.in_channels, conv.out_channels, 3, **geometry, bias=bias)
        _replace(model, place, built)
    return model


def _untrained(name: str, num_classes: int) -> nn.Module:
    """The network as the library builds it, on torch's default device; its random numbers depend only on the name."""
    title, _, model = name.partition("/")
    if title not in LIBRARIES:
        raise unknown("library of networks", title, LIBRARIES)
    library, of = _imported(title), LIBRARIES[title]
    known = set(of.names(library))
    if model not in known:
        raise unknown(f"network of {title}", model, known)
    device = torch.get_default_device()
    # Not on the meta device, where some builders fail.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about future changes of initialisation
        torch.manual_seed(int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big"))
        try:
            return of.build(library, model, num_classes).to(device)
        except (TypeError, ValueError, RuntimeError, AssertionError) as error:
            raise LayerError(
                f"{name} cannot be built for {num_classes} classes: {_first_line(error)}"
            ) from None


def _imported(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        raise LayerError(
            f"{library}'s networks need {missing}: pip install 'lrlc-bench[{library}]'"
        ) from None
    except (ImportError, RuntimeError) as error:  # torchvision's operators were built for another torch
        raise LayerError(
            f"{library} cannot be imported beside torch {torch.__version__}: {_first_line(error)}; "
            "install the torchvision that was built for this torch"
        ) from None


def _take_channels(model: nn.Module, channels: int) -> None:
    """Adapt the first convolution of an RGB network to this number of channels."""
    name, conv = next((name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d))
    if channels == conv.in_channels or conv.in_channels != RGB:
        return
    given = {key: getattr(conv, key) for key in ("kernel_size", "stride", "padding", "dilation")}
    entry = type(conv)(channels, conv.out_channels, **given, bias=conv.bias is not None)
    _replace(model, name, entry.to(conv.weight.device))


def _input_sizes(
    name: str,
    model: nn.Module,
    places: Iterable[str],
    image_shape: tuple[int, int, int],
    num_classes: int,
) -> dict[str, Size]:
    """(H, W) of the input of each place, determined with one batch on the meta device."""
    shadow, sizes = copy.deepcopy(model).to("meta").train(), dict[str, Size]()
    for place in places:
        shadow.get_submodule(place).register_forward_pre_hook(_noting(sizes, place))
    shape = "x".join(map(str, image_shape))
    try:
        with torch.no_grad():
            output = shadow(torch.empty(2, *image_shape, device="meta"))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise LayerError(f"{name} cannot take images of {shape}: {_first_line(error)}") from None
    if not isinstance(output, Tensor) or output.shape != (2, num_classes):
        raise LayerError(f"{name} does not return one score for each class, so it cannot be trained here")
    if unseen := [place for place in places if place not in sizes]:
        raise LayerError(f"{name} makes no use of its module {unseen[0]} for images of {shape}")
    return sizes


def _noting(sizes: dict[str, Size], place: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        height, width = inputs[0].shape[-2:]
        if sizes.setdefault(place, (height, width)) != (height, width):
            raise ValueError(f"its module {place} gets images of several sizes")

    return note


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, module)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
