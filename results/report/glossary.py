"""Descriptions of the layers and networks, for readers new to them."""

from collections.abc import Iterable

from lrlc.results.names import KIND_NAMES

LAYERS = {
    "conv": "one filter bank, the same at every position of the image",
    "coord_conv": "a convolution that also receives each position's coordinates, as two more channels",
    "wide_conv": "a convolution with more channels, so that its network has as many parameters as LRLC's of that rank",
    "locally_connected": "a separate filter at every position, without sharing",
    "lrlc": "low-rank locally connected: a separate combination of K filter banks at every position, K being the rank, "
    "with combining weights that are learned for each position; rank 1 is a convolution with a spatial bias",
    "lrlc_input_dependent": "the same, with combining weights that a small network computes from each image",
    "relaxed_conv": "relaxed convolution: LRLC whose combining weights are free at every position, neither normalised "
    "nor shared along rows and columns, with a penalty on differences between neighbouring positions",
    "cond_conv": "conditionally parameterised convolution: K filter banks, combined for each image by a small network "
    "and used at all its positions",
    "constrained_local": "locally connected, with a penalty on differences between neighbouring positions' filters",
    "residual_pathway": "residual pathway prior: a convolution plus a locally connected path, which a stronger "
    "penalty keeps near zero",
    "involution": "a kernel for every position, computed from the image there and shared by the channels of a group",
    "position_map": "a convolution with one learned map per channel added to its output",
}
NETWORKS = {
    "three_layer": "three 3×3 layers of 64 channels, each with batch norm and ReLU; average pooling and a linear "
    "classifier",
    "resnet50": "ResNet-50; the places are 3×3 convolutions",
    "resnet18": "ResNet-18 with the 3×3 stem of the CIFAR literature; a place is a stage with its 3×3 convolutions",
    "convnext_like": "three stages of ConvNeXt-like blocks with dense 3×3 layers; a place is a stage with these layers",
}


def layers(kinds: Iterable[str]) -> dict[str, str]:
    """Descriptions of these kinds, by their names in tables; kinds from plugins are left out."""
    asked = set(kinds)
    return {KIND_NAMES[kind]: meaning for kind, meaning in LAYERS.items() if kind in asked}


def network(name: str) -> str:
    return f"{name}: {NETWORKS[name]}" if name in NETWORKS else name
