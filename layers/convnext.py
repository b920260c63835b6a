"""A network of ConvNeXt-like blocks (Liu et al. 2022, https://arxiv.org/abs/2201.03545) with dense 3x3 layers.

ConvNeXt mixes positions with a depthwise 7x7 convolution. The layer kinds here also mix channels, so the blocks have
a dense 3x3 layer instead; everything else is as in the paper, sized for small images.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrlc.layers.convolution import Convolution2d
from lrlc.layers.geometry import make_geometry
from lrlc.layers.networks import Classifier, ImageShape, LayerFactory
from lrlc.layers.registry import network

WIDTHS = (48, 96, 192)
"""Widths of the three stages, each with BLOCKS blocks and at half the resolution of the previous one."""

BLOCKS = 2
EXPANSION = 4
SCALE = 1e-6
"""Initial scale of each block's branch (section A.1 of the paper)."""


class ConvNeXtLike(nn.Module):
    """Images (N, C, H, W) -> logits (N, classes): three stages of two blocks; a place is a stage's 3x3 layers.

    image_shape: (C, H, W) of the images.
    num_classes: how many classes there are.
    layer: builds the layer at a place (see `LayerFactory`).
    """

    def __init__(self, image_shape: ImageShape, num_classes: int, layer: LayerFactory) -> None:
        super().__init__()
        channels, height, width = image_shape
        size = (height, width)
        for position, out in enumerate(WIDTHS, 1):
            # Normalisation after the stem but not before it, as in the paper's 'patchify' and downsampling layers.
            halving = Convolution2d(channels, out, 2, stride=2)
            before = ChannelNorm(channels) if position > 1 else nn.Identity()
            after = ChannelNorm(out) if position == 1 else nn.Identity()
            size = make_geometry(size, 2, 2).output_size
            blocks = [Block(layer, position, out, size) for _ in range(BLOCKS)]
            self.add_module(f"stage{position}", nn.Sequential(before, halving, after, *blocks))
            channels = out
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.classifier = Classifier(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for position in range(1, len(WIDTHS) + 1):
            x = self.get_submodule(f"stage{position}")(x)
        return self.classifier(self.norm(x.mean((2, 3))))  # type: ignore[no-any-return]


class Block(nn.Module):
    """3x3 (the place), layer norm, 1x1 to four times the width, GELU, 1x1 back, scaled and added to the input."""

    def __init__(self, layer: LayerFactory, position: int, width: int, input_size: tuple[int, int]) -> None:
        super().__init__()
        self.mixing = layer(position, width, width, 3, input_size=input_size, padding=1)
        mixed = self.mixing.out_channels
        self.norm = ChannelNorm(mixed)
        self.expand = Convolution2d(mixed, EXPANSION * width, 1)
        self.reduce = Convolution2d(EXPANSION * width, width, 1)
        self.scale = LayerScale(width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.reduce(F.gelu(self.expand(self.norm(self.mixing(x)))))
        return x + self.scale(y)  # type: ignore[no-any-return]


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each position of (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class LayerScale(nn.Module):
    """A learned factor for each channel of (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.empty(channels, 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.constant_(self.factor, SCALE)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@network("convnext_like", placements=3)
def _convnext_like(image_shape: ImageShape, num_classes: int, layer: LayerFactory) -> nn.Module:
    return ConvNeXtLike(image_shape, num_classes, layer)
