"""ResNet-18 for small images, as the literature trains it on CIFAR: a 3x3 stem, no pooling before the stages."""

from torch import Tensor, nn

from lrlc.layers.convolution import Convolution2d
from lrlc.layers.geometry import make_geometry
from lrlc.layers.networks import Classifier, ImageShape, LayerFactory
from lrlc.layers.registry import network
from lrlc.layers.resnet import shortcut

WIDTHS = (64, 128, 256, 512)
"""Widths of the four stages (He et al. 2016, table 1), each with two blocks; all but the first halve the image."""


class ResNet18(nn.Module):
    """Four stages of basic blocks; a place is a stage, with the 3x3 convolutions of its blocks.

    11,173,962 parameters for RGB images of 10 classes. The width of a stage is that of its layers.

    image_shape: (C, H, W) of the images.
    num_classes: how many classes there are.
    layer: builds the layer at a place (see `LayerFactory`).
    """

    def __init__(self, image_shape: ImageShape, num_classes: int, layer: LayerFactory) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.stem = Convolution2d(channels, WIDTHS[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(WIDTHS[0])
        channels, size = WIDTHS[0], (height, width)
        for position, out in enumerate(WIDTHS, 1):
            first = BasicBlock(layer, position, channels, out, size, stride=1 if position == 1 else 2)
            second = BasicBlock(layer, position, first.out_channels, out, first.output_size)
            self.add_module(f"stage{position}", nn.Sequential(first, second))
            channels, size = second.out_channels, second.output_size
        self.classifier = Classifier(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.norm(self.stem(images)).relu_()
        for position in range(1, len(WIDTHS) + 1):
            x = self.get_submodule(f"stage{position}")(x)
        return self.classifier(x.mean((2, 3)))  # type: ignore[no-any-return]


class BasicBlock(nn.Module):
    """Two 3x3 layers (both of the place), added to the shortcut; a 1x1 convolution if shapes differ."""

    def __init__(
        self,
        layer: LayerFactory,
        position: int,
        in_channels: int,
        width: int,
        input_size: tuple[int, int],
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.output_size = make_geometry(input_size, 3, stride, 1).output_size
        self.first = layer(position, in_channels, width, 3, input_size=input_size, stride=stride, padding=1)
        middle = self.first.out_channels
        self.norm1 = nn.BatchNorm2d(middle)
        self.second = layer(position, middle, width, 3, input_size=self.output_size, padding=1)
        self.out_channels: int = self.second.out_channels
        self.norm2 = nn.BatchNorm2d(self.out_channels)
        self.shortcut = shortcut(in_channels, self.out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(self.first(x)).relu_()
        y = self.norm2(self.second(y))
        return y.add_(self.shortcut(x)).relu_()  # type: ignore[no-any-return]


@network("resnet18", placements=4)
def _resnet18(image_shape: ImageShape, num_classes: int, layer: LayerFactory) -> nn.Module:
    return ResNet18(image_shape, num_classes, layer)
