"""Networks with places for layer kinds, and the one way to build them: `build_network`.

See docs/science.md, "The networks".
"""

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from lrlc.layers.cost import cost
from lrlc.layers.errors import LayerError, as_int, unknown
from lrlc.layers.geometry import Padding, make_geometry
from lrlc.layers.libraries import library_network
from lrlc.layers.matching import Match, match_of, nearest_width
from lrlc.layers.places import mark_placed
from lrlc.layers.registry import NETWORKS, LayerKind, Network, find_kind, network

ImageShape = tuple[int, int, int]
USUAL_CHANNELS = (64, 64)
"""C_in and C_out of a layer on which options are checked if nothing is known of its network."""
Place = int | str
"""A position from 1, or the name of a module of a library's network."""


class LayerFactory(Protocol):
    """The function that a network's builder calls at each place; its result has `out_channels`."""

    def __call__(
        self,
        position: Place,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        input_size: tuple[int, int],
        stride: int = 1,
        padding: Padding = 0,
    ) -> Any: ...


def build_network(
    name: str,
    image_shape: ImageShape,
    num_classes: int,
    *,
    kind: str = "conv",
    rank: int | None = None,
    placement: Sequence[Place] | None = None,
    options: Mapping[str, object] | None = None,
) -> nn.Module:
    """The network `name` with layers of `kind` at the places in `placement` (from 1; all of them if None).

    `timm/NAME` and `torchvision/NAME` are networks of these libraries, whose places are modules by name.

    image_shape (C, H, W); `rank` for ranked kinds and for kinds matched to one; `options` go to the layers'
    builder (for a matched kind: to the kind it is matched to). A matched kind's placed layers are widened by
    one common factor, so that the network's parameter count is as close as whole channels allow to that of the
    other kind. Its options also include `matched_to`, to choose the other kind; `match`: 'parameters', 'flops' (of the
    forward pass, per image) or 'train_seconds'; and `width`, the channels of the narrowest placed layer, which
    replaces matching and is required for 'train_seconds'.
    LayerError for unknown names, a rank that is missing or under 1, and places that the network does not have.
    """
    entry, layer = find_network(name), find_kind(kind)
    rank = rank if (number := as_int(rank)) is None else number
    places = _places(entry, placement)
    plan = _Plan(entry, image_shape, num_classes, layer, rank, places, dict(options or {}))
    _check(plan)
    return plan.build() if layer.matched_to is None else _matched(plan, match_of(layer, plan.options))


def find_network(name: str) -> Network:
    """The network of that name, registered or of a library ('timm/resnet18'); LayerError with the nearest name."""
    if "/" in name:
        return library_network(name)
    if name not in NETWORKS:
        raise unknown("network", name, NETWORKS)
    return NETWORKS[name]


def _places(network: Network, placement: Sequence[Place] | None) -> tuple[Place, ...]:
    if network.modules is not None:
        return network.modules.within(map(str, network.modules.all if placement is None else placement))
    if placement is None:
        return tuple(range(1, network.placements + 1))
    return tuple(place if (number := as_int(place)) is None else number for place in placement)


@dataclass(frozen=True)
class _Plan:
    """Everything that defines a network; `widths` of the placed layers are multiplied by `width` / `base_width`."""

    network: Network
    image_shape: ImageShape
    num_classes: int
    kind: LayerKind
    rank: int | None
    placement: tuple[Place, ...]
    options: Mapping[str, object]
    width: int = 1
    base_width: int = 1

    def build(self) -> nn.Module:
        return self.network.build(self.image_shape, self.num_classes, self.layer)

    def cost(self, match: str) -> int:
        """Parameters, or FLOPs per image."""
        with torch.device("meta"):
            model = self.build()
        if match == "flops":
            return cost(model, self.image_shape).flops_per_image
        return sum(p.numel() for p in model.parameters())

    def layer(
        self, position: Place, in_channels: int, out_channels: int, kernel_size: int, **arguments: Any
    ) -> nn.Module:
        """Builds the layer at a place of the network and marks it for `placed_layers`."""
        built = self._built(position, in_channels, out_channels, kernel_size, **arguments)
        place = {name: arguments[name] for name in ("input_size", "stride", "padding") if name in arguments}
        return mark_placed(built, make_geometry(kernel_size=kernel_size, **place))

    def _built(
        self, position: Place, in_channels: int, out_channels: int, kernel_size: int, **arguments: Any
    ) -> nn.Module:
        if position not in self.placement:
            return find_kind("conv").build(in_channels, out_channels, kernel_size, **arguments)
        if self.kind.ranked:
            arguments["rank"] = self.rank
        width = max(1, round(out_channels * self.width / self.base_width))
        return self.kind.build(in_channels, width, kernel_size, **arguments, **self.options)


def _matched(plan: _Plan, match: Match) -> nn.Module:
    """Build the plan of a matched kind at its matching width."""
    target = replace(plan, kind=match.to, options=match.options)
    _check(target)
    if match.width is None and match.by == "train_seconds":
        raise LayerError(
            f"{plan.kind.name} matched by train_seconds needs a width: seconds are measured beforehand"
        )
    plain = replace(plan, options={})
    plain = replace(plain, base_width=_narrowest_placed(plain))
    width = match.width or nearest_width(
        lambda tried: replace(plain, width=tried).cost(match.by), target.cost(match.by)
    )
    return replace(plain, width=width).build()


def _narrowest_placed(plan: _Plan) -> int:
    widths: list[int] = []

    def note(position: Place, in_channels: int, out_channels: int, *args: Any, **kwargs: Any) -> nn.Module:
        if position in plan.placement:
            widths.append(out_channels)
        return plan.layer(position, in_channels, out_channels, *args, **kwargs)

    with torch.device("meta"):
        plan.network.build(plan.image_shape, plan.num_classes, note)
    return min(widths)


def _check(plan: _Plan) -> None:
    places = plan.network.placements
    for place in plan.placement:
        if plan.network.modules is None and not (isinstance(place, int) and 1 <= place <= places):
            raise LayerError(
                f"placement {place} is outside {plan.network.name}, which has places 1 to {places}"
            )
    check_widths(plan.network, plan.kind)
    if plan.kind.name != "conv" and not plan.placement:
        raise LayerError(f"{plan.kind.name} needs a placement: one or more of 1 to {places}")
    if plan.kind.ranked and (not isinstance(plan.rank, int) or plan.rank < 1):
        raise LayerError(f"{plan.kind.name} needs a rank of at least 1, not {plan.rank}")
    if plan.kind.matched_to is None:
        plan.kind.check_options(plan.options)


def check_widths(network: Network, kind: LayerKind) -> None:
    """LayerError if layers of `kind` have a width that the network does not accept."""
    if network.modules is not None and kind.matched_to is not None:
        raise LayerError(
            f"{kind.name} is widened, but the layers after it in {network.name} have fixed widths; "
            "use it in a network without a '/' in its name"
        )


def placed_channels(network: str, placement: Collection[Place]) -> frozenset[tuple[int, int]]:
    """C_in and C_out of the layers at these places of a network, built on the meta device for images of 32x32.

    USUAL_CHANNELS for a library's network, and for one that cannot be built for such images.
    """
    entry = find_network(network)
    if entry.modules is not None:
        return frozenset([USUAL_CHANNELS])
    found: list[tuple[int, int]] = []

    def note(position: Place, in_channels: int, out_channels: int, *args: Any, **kwargs: Any) -> nn.Module:
        if position in placement:
            found.append((in_channels, out_channels))
        return find_kind("conv").build(in_channels, out_channels, *args, **kwargs)

    with torch.device("meta"), contextlib.suppress(Exception):  # a plugin's; training reports it
        entry.build((3, 32, 32), 10, note)
    return frozenset(found or [USUAL_CHANNELS])


def check_options(
    kind: LayerKind,
    options: Mapping[str, object],
    channels: Iterable[tuple[int, int]] = (USUAL_CHANNELS,),
) -> None:
    """LayerError unless layers of `kind` take these options: by their declarations, and by building small layers.

    `channels` are C_in and C_out of the layers to build.
    """
    if kind.matched_to:
        match = match_of(kind, options)
        kind, options = match.to, match.options
    kind.check_options(options)
    arguments: dict[str, Any] = {**options, "rank": 1} if kind.ranked else {**options}
    with torch.device("meta"):
        for in_channels, out_channels in sorted(channels):
            kind.build(in_channels, out_channels, 3, input_size=(8, 8), **arguments)


class Classifier(nn.Linear):
    """A linear layer initialised like the authors': Glorot uniform, zero bias."""

    def reset_parameters(self) -> None:
        with torch.no_grad():
            bound = sqrt(6 / (self.in_features + self.out_features))
            self.weight.uniform_(-bound, bound)
            self.bias.zero_()


class ThreeLayer(nn.Module):
    """Three 3x3 'valid' layers of 64 channels, each with batch norm and ReLU; pooling; a classifier.

    image_shape: (C, H, W) of the images.
    num_classes: how many classes there are.
    layer: builds the layer at a place (see `LayerFactory`).
    width: channels of each layer; 64 by default.
    """

    def __init__(
        self, image_shape: ImageShape, num_classes: int, layer: LayerFactory, width: int = 64
    ) -> None:
        super().__init__()
        channels, *size = image_shape
        here = (size[0], size[1])
        for position in (1, 2, 3):
            placed = layer(position, channels, width, 3, input_size=here)
            channels, here = placed.out_channels, make_geometry(here, 3).output_size
            self.add_module(f"layer{position}", placed)
            self.add_module(f"norm{position}", nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1))
        self.classifier = Classifier(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for position in (1, 2, 3):
            x = self.get_submodule(f"layer{position}")(x)
            x = self.get_submodule(f"norm{position}")(x).relu_()
        return self.classifier(x.mean((2, 3)))  # type: ignore[no-any-return]


@network("three_layer", placements=3)
def _three_layer(image_shape: ImageShape, num_classes: int, layer: LayerFactory) -> nn.Module:
    return ThreeLayer(image_shape, num_classes, layer)
