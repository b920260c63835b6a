"""ResNet-50 with places for layer kinds: the 3x3 convolutions of its four stages (for claim C7)."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from lrlc.layers.convolution import Convolution2d
from lrlc.layers.geometry import make_geometry
from lrlc.layers.networks import Classifier, ImageShape, LayerFactory, build_network
from lrlc.layers.registry import network

STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))
"""Blocks and width of each stage (He et al. 2016, table 1)."""

EXPANSION = 4


class ResNet50(nn.Module):
    """Bottleneck ResNet (He et al. 2016) with the stride in the 3x3 convolutions; 25,557,032 parameters.

    image_shape: (C, H, W) of the images.
    num_classes: how many classes there are.
    layer: builds the layer at a place (see `LayerFactory`).
    """

    def __init__(self, image_shape: ImageShape, num_classes: int, layer: LayerFactory) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.stem = Convolution2d(channels, 64, 7, stride=2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        size = make_geometry((height, width), 7, 2, 3).output_size
        size = make_geometry(size, 3, 2, 1).output_size
        channels = 64
        for position, (blocks, middle) in enumerate(STAGES, 1):
            stage = nn.Sequential()
            for index in range(blocks):
                stride = 2 if index == 0 and position > 1 else 1
                block = Bottleneck(layer, position, channels, middle, size, stride)
                stage.add_module(f"block{index + 1}", block)
                channels, size = middle * EXPANSION, block.output_size
            self.add_module(f"stage{position}", stage)
        self.classifier = Classifier(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.pool(self.norm(self.stem(images)).relu_())
        for position in range(1, len(STAGES) + 1):
            x = self.get_submodule(f"stage{position}")(x)
        return self.classifier(x.mean((2, 3)))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """1x1, 3x3 (the place), 1x1, added to the shortcut; the place's width may differ from `middle`."""

    def __init__(
        self,
        layer: LayerFactory,
        position: int,
        in_channels: int,
        middle: int,
        input_size: tuple[int, int],
        stride: int,
    ) -> None:
        super().__init__()
        out = middle * EXPANSION
        self.output_size = make_geometry(input_size, 3, stride, 1).output_size
        self.first = Convolution2d(in_channels, middle, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(middle)
        self.middle = layer(position, middle, middle, 3, input_size=input_size, stride=stride, padding=1)
        self.norm2 = nn.BatchNorm2d(self.middle.out_channels)
        self.last = Convolution2d(self.middle.out_channels, out, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(out)
        self.shortcut = shortcut(in_channels, out, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(self.first(x)).relu_()
        y = self.norm2(self.middle(y)).relu_()
        y = self.norm3(self.last(y))
        return y.add_(self.shortcut(x)).relu_()  # type: ignore[no-any-return]


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The shortcut that a block adds its branch to: the input, or a 1x1 convolution of it if shapes differ."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    projection = Convolution2d(in_channels, out_channels, 1, stride=stride, bias=False)
    return nn.Sequential(projection, nn.BatchNorm2d(out_channels))


@network("resnet50", placements=4)
def _resnet50(image_shape: ImageShape, num_classes: int, layer: LayerFactory) -> nn.Module:
    return ResNet50(image_shape, num_classes, layer)


def resnet50(
    num_classes: int = 1000,
    *,
    image_size: int = 224,
    kind: str = "conv",
    rank: int | None = None,
    placement: Sequence[int] | None = None,
    options: Mapping[str, object] | None = None,
) -> nn.Module:
    """ResNet-50 for RGB images (N, 3, image_size, image_size), with layers of `kind` in its 3x3 convolutions.

    num_classes: how many classes there are.
    image_size: height and width of the images, in pixels.
    kind, rank, options: as for `build_network`, which also lists the LayerErrors.
    placement: the stages, from 1 to 4, whose 3x3 convolutions are replaced; all four by default.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, table 1.
    """
    shape = (3, image_size, image_size)
    return build_network(
        "resnet50", shape, num_classes, kind=kind, rank=rank, placement=placement, options=options
    )
