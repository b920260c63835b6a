"""Layers between convolution and local connectivity, and networks to test them in. Imports only torch."""

from layers.combining import FixedCombiningWeights, InputDependentCombiningWeights
from layers.cond_conv import CondConv2d
from layers.constrained_local import ConstrainedLocallyConnected2d
from layers.convolution import Convolution2d
from layers.coord import CoordConv2d
from layers.cost import Cost, activation_bytes, cost
from layers.errors import LayerError
from layers.functional import lrlc_conv2d
from layers.import_tf import import_tf
from layers.initialise import initialise
from layers.involution import Involution2d
from layers.local import LocallyConnected2d
from layers.lrlc import InputDependentLowRankLocallyConnected2d, LowRankLocallyConnected2d
from layers.maps import combining_weight_maps
from layers.matching import match_of, match_options, nearest_width
from layers.measured import chosen_backends
from layers.networks import build_network, check_options
from layers.parameter_groups import parameter_groups
from layers.penalty import penalty
from layers.places import placed_layers
from layers.position_map import PositionMapConv2d
from layers.registry import LAYER_KINDS, NETWORKS, LayerKind, Network, layer_kind, network
from layers.relaxed import RelaxedConv2d
from layers.residual_pathway import ResidualPathway2d
from layers.resnet import resnet50
from layers.take_over import take_over
from layers.truncation import FilterSpectrum, filter_spectrum, local_layers, truncated

__all__ = [
    "LAYER_KINDS",
    "NETWORKS",
    "CondConv2d",
    "ConstrainedLocallyConnected2d",
    "Convolution2d",
    "CoordConv2d",
    "Cost",
    "FilterSpectrum",
    "FixedCombiningWeights",
    "InputDependentCombiningWeights",
    "InputDependentLowRankLocallyConnected2d",
    "Involution2d",
    "LayerError",
    "LayerKind",
    "LocallyConnected2d",
    "LowRankLocallyConnected2d",
    "Network",
    "PositionMapConv2d",
    "RelaxedConv2d",
    "ResidualPathway2d",
    "activation_bytes",
    "build_network",
    "check_options",
    "chosen_backends",
    "combining_weight_maps",
    "cost",
    "filter_spectrum",
    "import_tf",
    "initialise",
    "layer_kind",
    "local_layers",
    "lrlc_conv2d",
    "match_of",
    "match_options",
    "nearest_width",
    "network",
    "parameter_groups",
    "penalty",
    "placed_layers",
    "resnet50",
    "take_over",
    "truncated",
]
