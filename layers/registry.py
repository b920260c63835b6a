"""Layer kinds and networks by name. Adding one takes a function and a decorator, in any file."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from torch import nn

from lrlc.layers.errors import LayerError, unknown
from lrlc.layers.module_places import ModulePlaces
from lrlc.layers.options import Option, declared, takes_any

Builder = Callable[..., nn.Module]
Decorated = TypeVar("Decorated", bound=Builder)


LONGEST_NAME = 100


@dataclass(frozen=True)
class LayerKind:
    """A kind of layer for a network's places.

    `build(in_channels, out_channels, kernel_size, *, input_size, stride=1, padding=0, bias=False, **options)`
    makes the layer; a `ranked` kind also gets `rank`. The module it returns has `out_channels`. A kind
    `matched_to` another is widened to the cost of that one (see `build_network`). `options` are those that a study may
    set; a builder that `takes_any` also gets others. A layer of a `from_conv` kind has
    `start_from_conv(conv: Convolution2d)` (see `take_over`). `source` is the file that registers it.
    """

    name: str
    build: Builder
    ranked: bool
    matched_to: str | None
    source: str
    options: Mapping[str, Option]
    takes_any: bool = False
    from_conv: bool = False

    def check_options(self, given: Mapping[str, object]) -> None:
        """LayerError unless the kind takes these options with these values."""
        for name in sorted(given):
            if name in self.options:
                self.options[name].check(given[name])
            elif not self.takes_any:
                raise unknown(f"option of {self.name}", name, self.options)


@dataclass(frozen=True)
class Network:
    """`build(image_shape (C, H, W), num_classes, layer)` makes the network.

    It calls `layer(position, in_channels, out_channels, kernel_size, input_size=..., stride=...,
    padding=...)` at each place; `position` is 1..`placements`, and the next layer takes the
    result's `out_channels`. `source` is the file that registers it. A network of a library has `modules`: its
    positions are module names, and the next layer has the input channels that the library chose.
    """

    name: str
    build: Builder
    placements: int
    source: str
    modules: ModulePlaces | None = None


LAYER_KINDS: dict[str, LayerKind] = {}
NETWORKS: dict[str, Network] = {}


def layer_kind(
    name: str,
    *,
    ranked: bool = False,
    matched_to: str | None = None,
    learning_options: Iterable[str] = (),
    from_conv: bool = False,
) -> Callable[[Decorated], Decorated]:
    """Register a builder (a function or a class) as the layer kind `name`.

    Its keywords beyond those of every builder are the kind's options; `Annotated[type, Option(...)]` declares their
    values. `learning_options` names undeclared options that change neither size nor cost.
    """

    def register(build: Decorated) -> Decorated:
        options = declared(build, learning_options)
        kind = LayerKind(
            name, build, ranked, matched_to, source_of(build), options, takes_any(build), from_conv
        )
        _claim("layer kind", name, kind.source, LAYER_KINDS.get(name))
        LAYER_KINDS[name] = kind
        return build

    return register


def network(name: str, *, placements: int) -> Callable[[Decorated], Decorated]:
    """Register a builder as the network `name`, with `placements` places for layer kinds."""

    def register(build: Decorated) -> Decorated:
        entry = Network(name, build, placements, source_of(build))
        _claim("network", name, entry.source, NETWORKS.get(name))
        NETWORKS[name] = entry
        return build

    return register


def find_kind(name: str) -> LayerKind:
    """The kind of that name, or a LayerError with the nearest name."""
    if name not in LAYER_KINDS:
        raise unknown("layer kind", name, LAYER_KINDS)
    return LAYER_KINDS[name]


def _claim(what: str, name: str, source: str, taken: LayerKind | Network | None) -> None:
    if not (0 < len(name) <= LONGEST_NAME and name.isprintable()):
        raise LayerError(f"{what} {name!r}: expected 1 to {LONGEST_NAME} printable characters")
    # A notebook cell gets a different name each time it runs, none of which is a file.
    if taken is not None and taken.source != source and Path(taken.source).is_file():
        raise LayerError(f"the {what} {name!r} of {source} is already registered by {taken.source}")


def source_of(build: Callable[..., object]) -> str:
    """The file that defines a function or class."""
    code = getattr(build, "__code__", None)
    return str(code.co_filename) if code is not None else inspect.getfile(build)
