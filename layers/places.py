"""The modules at a network's places, and the geometry of their inputs."""

from torch import nn

from lrlc.layers.geometry import Geometry

_GEOMETRY = "geometry_of_place"


def mark_placed(layer: nn.Module, geometry: Geometry) -> nn.Module:
    """Record that `layer` is at a place of a network with this geometry; returns the layer."""
    setattr(layer, _GEOMETRY, geometry)
    return layer


def placed_layers(model: nn.Module) -> dict[str, Geometry]:
    """The geometry of each module at a place of the network, of any kind, by module name."""
    marked = ((name, getattr(module, _GEOMETRY, None)) for name, module in model.named_modules())
    return {name: geometry for name, geometry in marked if geometry is not None}
