"""The cost of a layer or network: parameters, and FLOPs as counted by torch."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Cost:
    """Trainable `parameters`, and FLOPs of a forward pass: `flops_per_image` for each image, `flops_per_batch` once.

    One multiply-add is 2 FLOPs; convolutions and matrix products count, element-wise work does not, except for what
    a module's method `uncounted_flops_per_image()` reports in place of a matrix product. A fixed
    LRLC layer costs an image one convolution; forming its filters, K multiply-adds per filter element and
    position, is done once per batch. Input-dependent LRLC costs K convolutions and its weights' network.
    """

    parameters: int
    flops_per_image: int
    flops_per_batch: int


def cost(module: nn.Module, input_size: tuple[int, int, int]) -> Cost:
    """The cost of `module` for images of `input_size` (C, H, W), counted on the meta device: nothing is computed.

    Raises what the module raises for such images (InputError, for a layer of ours).
    """
    # The counter of torch 2.13 fails on a module that returns a view of a parameter with gradients.
    shadow = copy.deepcopy(module).to("meta").eval().requires_grad_(False)
    # The difference between two batches separates the work per image from that per batch.
    two, three = (_flops(shadow, (images, *input_size)) for images in (2, 3))
    per_image = three - two
    parameters = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return Cost(parameters, per_image + _uncounted(module), two - 2 * per_image)


def activation_bytes(module: nn.Module, input_size: tuple[int, int, int]) -> int:
    """Bytes that each additional image (C, H, W) of a batch adds to the tensors kept for the backward pass.

    Counted in training mode on the meta device; memory that several tensors share counts once. Raises what the module
    raises for such images.
    """
    shadow = copy.deepcopy(module).to("meta").train()
    two, three = (_kept_bytes(shadow, (images, *input_size)) for images in (2, 3))
    return three - two


def _kept_bytes(module: nn.Module, shape: tuple[int, ...]) -> int:
    kept: dict[int, tuple[int, Tensor]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = (storage.nbytes(), tensor)  # the tensor holds the address
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        output = module(_images(module, shape))
    del output
    return sum(size for size, _ in kept.values())


def _uncounted(module: nn.Module) -> int:
    methods = [getattr(part, "uncounted_flops_per_image", None) for part in module.modules()]
    return sum(method() for method in methods if callable(method))


def _flops(module: nn.Module, shape: tuple[int, ...]) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(_images(module, shape))
    return int(counter.get_total_flops())


def _images(module: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """A batch on the meta device, of the dtype of the module's parameters."""
    dtype = next((p.dtype for p in module.parameters()), None)
    return torch.empty(shape, device="meta", dtype=dtype)
