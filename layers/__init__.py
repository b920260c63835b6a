"""Layers between convolution and local connectivity, and networks to test them in. Imports only torch."""

import sys

from lrlc.layers.combining import FixedCombiningWeights, InputDependentCombiningWeights
from lrlc.layers.cond_conv import CondConv2d
from lrlc.layers.constrained_local import ConstrainedLocallyConnected2d
from lrlc.layers.convnext import ConvNeXtLike
from lrlc.layers.convolution import Convolution2d
from lrlc.layers.coord import CoordConv2d
from lrlc.layers.cost import Cost, activation_bytes, cost
from lrlc.layers.errors import InputError, LayerError
from lrlc.layers.functional import lrlc_conv2d
from lrlc.layers.import_tf import import_tf
from lrlc.layers.initialise import initialise
from lrlc.layers.involution import Involution2d
from lrlc.layers.kernels.measured import chosen_backends, record_choices
from lrlc.layers.libraries import is_of_library
from lrlc.layers.local import LocallyConnected2d
from lrlc.layers.lrlc import InputDependentLowRankLocallyConnected2d, LowRankLocallyConnected2d
from lrlc.layers.maps import combining_weight_maps
from lrlc.layers.matching import match_of, match_options, nearest_width
from lrlc.layers.module_places import ModulePlaces
from lrlc.layers.networks import (
    USUAL_CHANNELS,
    build_network,
    check_options,
    check_widths,
    find_network,
    placed_channels,
)
from lrlc.layers.onnx_export import export_onnx
from lrlc.layers.options import Option
from lrlc.layers.parameter_groups import parameter_groups
from lrlc.layers.penalty import penalty
from lrlc.layers.places import placed_layers
from lrlc.layers.position_map import PositionMapConv2d
from lrlc.layers.registry import (
    LAYER_KINDS,
    NETWORKS,
    LayerKind,
    Network,
    layer_kind,
    network,
)
from lrlc.layers.relaxed import RelaxedConv2d
from lrlc.layers.residual_pathway import ResidualPathway2d
from lrlc.layers.resnet import resnet50
from lrlc.layers.resnet18 import ResNet18
from lrlc.layers.take_over import take_over
from lrlc.layers.truncation import FilterSpectrum, filter_spectrum, local_layers, truncated

__all__ = [
    "LAYER_KINDS",
    "NETWORKS",
    "USUAL_CHANNELS",
    "CondConv2d",
    "ConstrainedLocallyConnected2d",
    "ConvNeXtLike",
    "Convolution2d",
    "CoordConv2d",
    "Cost",
    "FilterSpectrum",
    "FixedCombiningWeights",
    "InputDependentCombiningWeights",
    "InputDependentLowRankLocallyConnected2d",
    "InputError",
    "Involution2d",
    "LayerError",
    "LayerKind",
    "LocallyConnected2d",
    "LowRankLocallyConnected2d",
    "ModulePlaces",
    "Network",
    "Option",
    "PositionMapConv2d",
    "RelaxedConv2d",
    "ResNet18",
    "ResidualPathway2d",
    "activation_bytes",
    "build_network",
    "check_options",
    "check_widths",
    "chosen_backends",
    "combining_weight_maps",
    "cost",
    "export_onnx",
    "filter_spectrum",
    "find_network",
    "import_tf",
    "initialise",
    "is_of_library",
    "layer_kind",
    "local_layers",
    "lrlc_conv2d",
    "match_of",
    "match_options",
    "nearest_width",
    "network",
    "parameter_groups",
    "penalty",
    "placed_channels",
    "placed_layers",
    "record_choices",
    "resnet50",
    "take_over",
    "truncated",
]

# A script in a checkout may say `import layers` or `from layers.kernels import ops`, and gets these modules, not second
# copies. The import hook in harness/old_names.py does the same for the four old names in plugins, but cannot be used
# here: layers import nothing of ours. Nor could this replace the hook, as it needs a folder `layers` on the path.
if __name__ != "lrlc.layers":
    sys.modules |= {
        name.removeprefix("lrlc."): module
        for name, module in sys.modules.items()
        if name == "lrlc.layers" or name.startswith("lrlc.layers.")
    }
