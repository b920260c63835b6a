"""Which modules of a network stand at its places, and how their filters meet their inputs."""

from torch import nn

from lrlc.layers.geometry import Geometry

_GEOMETRY = "geometry_of_place"


def mark_placed(layer: nn.Module, geometry: Geometry) -> nn.Module:
    """Note that `layer` stands at a place of a network which gives it this geometry; returns it."""
    setattr(layer, _GEOMETRY, geometry)
    return layer


def placed_layers(model: nn.Module) -> dict[str, Geometry]:
    """The geometry of each module at a place of the network, whatever its kind, by module name."""
    marked = ((name, getattr(module, _GEOMETRY, None)) for name, module in model.named_modules())
    return {name: geometry for name, geometry in marked if geometry is not None}
