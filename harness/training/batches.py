"""Dividing an epoch's images into batches, including the one case in which a network cannot train on the remainder."""

import copy

import torch
from torch import nn

ImageShape = tuple[int, ...]


class LoneImageError(ValueError):
    """There is only one training image, and a batch norm of the network cannot train on it; one line for the user."""


def batch_sizes(network: nn.Module, image_shape: ImageShape, images: int, batch_size: int) -> list[int]:
    """The sizes of an epoch's batches: `batch_size` each, and the remainder last.

    A single leftover image joins the batch before it if `network` cannot train on one image (C, H, W), because a
    batch norm at one position would see a single value. LoneImageError if it is the only image.
    """
    whole, rest = divmod(images, batch_size)
    sizes = [batch_size] * whole + [rest] * (rest > 0)
    if sizes[-1] > 1 or _trains_on_one(network, image_shape):
        return sizes
    if len(sizes) == 1:
        raise LoneImageError(
            "a batch norm of the network would see one value per channel of the only training image; give more"
        )
    return [*sizes[:-2], batch_size + 1]


def _trains_on_one(network: nn.Module, image_shape: ImageShape) -> bool:
    """Whether training on one image works, tried on the meta device, where nothing is computed."""
    shadow = copy.deepcopy(network).to("meta").train()
    try:
        with torch.no_grad():
            shadow(torch.empty(1, *image_shape, device="meta"))
    except ValueError as error:  # torch's own, of batch norm
        return "more than 1 value per channel" not in str(error)
    return True
